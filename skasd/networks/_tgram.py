"""TgramNet: a strided convolution of the waveform as a second time-frequency image.

Y. Liu et al., "Anomalous sound detection using spectral-temporal information fusion" (STgram-MFN), ICASSP 2022,
arXiv:2201.05510.

Axes: B clips, F mel bands, T frames.
"""

from torch import Tensor, nn
from torch.nn import functional

_SLOPE = 0.2
_BLOCKS = 3


class TgramNet(nn.Module):
    """Waveforms to an image of the size of a log-mel spectrogram.

    Parameters
    ----------
    size : tuple of int
        Mel bands and frames of the image.
    hop_length : int, default=512
        From one frame to the next, in samples; the filters are twice as long.

    Notes
    -----
    The layer normalisation runs over time, as in the reference code, and so fixes the number of frames. Where the
    convolution gives more or fewer (a front end without centred frames), the last are cut, or zeros follow.
    """

    def __init__(self, size: tuple[int, int], hop_length: int = 512) -> None:
        super().__init__()
        n_mels, self.n_frames = size
        self.filters = nn.Conv1d(1, n_mels, 2 * hop_length, stride=hop_length, padding=hop_length, bias=False)
        self.blocks = nn.Sequential(*(_block(n_mels, self.n_frames) for _ in range(_BLOCKS)))

    def forward(self, waveform: Tensor) -> Tensor:
        """Image (B, F, T) of waveforms (B, n_timepoints)."""
        x = self.filters(waveform[:, None])
        x = functional.pad(x, (0, self.n_frames - x.shape[-1]))
        return self.blocks(x)


def _block(n_mels: int, n_frames: int) -> nn.Sequential:
    return nn.Sequential(
        nn.LayerNorm(n_frames), nn.LeakyReLU(_SLOPE), nn.Conv1d(n_mels, n_mels, 3, padding=1, bias=False)
    )
