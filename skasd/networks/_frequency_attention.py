"""Attention over frequency, which learns the bands that distinguish machines.

H. Zhang et al., "Anomalous sound detection using self-attention-based frequency pattern analysis of machine sounds",
Interspeech 2023, arXiv:2308.14063. The paper does not give layer sizes; the sizes here are our choice. The gate is our
addition.

Axes: B clips, F bands, T frames.
"""

import torch
from torch import Tensor, nn

from skasd._typing import Float

_WIDTH, _HEADS = 64, 4
_REDUCTION = 16  # bands per hidden unit of the gate


class FrequencyAttention(nn.Module):
    """Self-attention between the bands of a spectrogram, which gives an image of the same size.

    Parameters
    ----------
    n_frames : int
        Number of frames of the spectrogram. The number of bands is arbitrary.
    """

    def __init__(self, n_frames: int) -> None:
        super().__init__()
        self.narrow = nn.Linear(n_frames, _WIDTH)
        self.attention = nn.MultiheadAttention(_WIDTH, _HEADS, batch_first=True)
        self.norm = nn.LayerNorm(_WIDTH)
        self.widen = nn.Linear(_WIDTH, n_frames)

    def forward(self, spectrogram: Float[Tensor, "clips bands frames"]) -> Float[Tensor, "clips bands frames"]:
        """Image of the size of the spectrogram."""
        band = self.narrow(spectrogram)  # (B, F, 64)
        attended, _ = self.attention(band, band, band, need_weights=False)
        return self.widen(self.norm(band + attended))


class FrequencyGate(nn.Module):
    """Weights in (0, 1) for the bands, computed from mean and standard deviation over time of all bands; no biases.

    Parameters
    ----------
    n_bands : int
        Number of bands of the spectrogram.
    """

    def __init__(self, n_bands: int) -> None:
        super().__init__()
        n_between = max(1, n_bands // _REDUCTION)
        self.weigh = nn.Sequential(
            nn.Linear(2 * n_bands, n_between, bias=False),
            nn.ReLU(),
            nn.Linear(n_between, n_bands, bias=False),
            nn.Sigmoid(),
        )

    def forward(self, spectrogram: Float[Tensor, "clips bands frames"]) -> Float[Tensor, "clips bands frames"]:
        """Spectrogram with weighted bands."""
        mean, spread = spectrogram.mean(dim=2), spectrogram.std(dim=2, correction=0)
        return spectrogram * self.weigh(torch.cat([mean, spread], dim=1))[:, :, None]
