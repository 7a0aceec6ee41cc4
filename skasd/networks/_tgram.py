"""TgramNet: a strided convolution that turns the waveform into a second time-frequency image.

Y. Liu et al., "Anomalous sound detection using spectral-temporal information fusion" (STgram-MFN), ICASSP 2022,
arXiv:2201.05510.
"""

from torch import Tensor, nn
from torch.nn import functional

from skasd._typing import Float

_SLOPE = 0.2
_BLOCKS = 3


class TgramNet(nn.Module):
    """Waveforms to an image of the size of a log-mel spectrogram.

    Parameters
    ----------
    size : tuple of int
        Number of bands and frames of the image.
    hop_length : int, default=512
        Distance between frames in samples; the filters are twice as long.

    Notes
    -----
    As in the reference code, layer normalisation runs over time, which fixes the number of frames. If the convolution gives
    another number of frames (for front ends without centred frames), its output is cut or padded with zeros at the end.
    """

    def __init__(self, size: tuple[int, int], hop_length: int = 512) -> None:
        super().__init__()
        n_mels, self.n_frames = size
        self.filters = nn.Conv1d(1, n_mels, 2 * hop_length, stride=hop_length, padding=hop_length, bias=False)
        self.blocks = nn.Sequential(*(_block(n_mels, self.n_frames) for _ in range(_BLOCKS)))

    def forward(self, waveform: Float[Tensor, "clips timepoints"]) -> Float[Tensor, "clips bands frames"]:
        """Image of waveforms."""
        x = self.filters(waveform[:, None])
        x = functional.pad(x, (0, self.n_frames - x.shape[-1]))
        return self.blocks(x)


def _block(n_mels: int, n_frames: int) -> nn.Sequential:
    return nn.Sequential(
        nn.LayerNorm(n_frames), nn.LeakyReLU(_SLOPE), nn.Conv1d(n_mels, n_mels, 3, padding=1, bias=False)
    )
