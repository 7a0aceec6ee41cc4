"""Temporal attention of a spectrogram: the third image of Noisy-ArcMix.

S. Choi, J.-W. Choi, "Noisy-ArcMix", ICASSP 2024, arXiv:2310.06364.

Axes: B clips, F mel bands, T frames.
"""

from torch import Tensor, nn


class TAgramNet(nn.Module):
    r"""Spectrograms, each frame weighted by how loud it is; without parameters.

    With :math:`M` the log-mel of a clip, in dB, frame :math:`t` is multiplied by
    :math:`\sigma(\max_f M_{ft} + \frac{1}{F} \sum_f M_{ft})`.

    Takes no parameters: `args` and `kwargs` are those of any module, and there are none.

    Notes
    -----
    On dB values the sigmoid is nearly always 0 or 1: it keeps the frames with a maximum and mean that add to more than 0 dB.
    """

    def forward(self, log_mel: Tensor) -> Tensor:
        """Image (B, F, T) of spectrograms (B, F, T)."""
        weight = log_mel.amax(dim=1, keepdim=True) + log_mel.mean(dim=1, keepdim=True)
        return weight.sigmoid() * log_mel
