"""Temporal attention of a spectrogram, used as the third input image of Noisy-ArcMix.

S. Choi, J.-W. Choi, "Noisy-ArcMix", ICASSP 2024, arXiv:2310.06364.
"""

from torch import Tensor, nn

from skasd._typing import Float


class TAgramNet(nn.Module):
    r"""Spectrograms with each frame weighted by its loudness.

    With :math:`M` the log-mel spectrogram of a clip in dB and :math:`F` the number of bands, frame :math:`t` is multiplied
    by :math:`\sigma(\max_f M_{ft} + \frac{1}{F} \sum_f M_{ft})`. There is nothing to train.

    Notes
    -----
    For levels in dB the sigmoid is nearly always close to 0 or 1, so the module keeps the frames whose maximum and mean add
    up to more than 0 dB.
    """

    def __init__(self) -> None:
        super().__init__()

    def forward(self, log_mel: Float[Tensor, "clips bands frames"]) -> Float[Tensor, "clips bands frames"]:
        """Weighted spectrograms."""
        weight = log_mel.amax(dim=1, keepdim=True) + log_mel.mean(dim=1, keepdim=True)
        return weight.sigmoid() * log_mel
