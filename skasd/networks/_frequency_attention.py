"""Attention over frequency, which finds the bands that tell machines apart.

H. Zhang et al., "Anomalous sound detection using self-attention-based frequency pattern analysis of machine sounds",
Interspeech 2023, arXiv:2308.14063. The paper does not tell sizes; these are ours, and so is the gate.

Axes: B clips, F bands, T frames.
"""

import torch
from torch import Tensor, nn

_WIDTH, _HEADS = 64, 4
_REDUCTION = 16  # of the gate


class FrequencyAttention(nn.Module):
    """An image of the size of a spectrogram in which each band has looked at all others.

    Parameters
    ----------
    n_frames : int
        Frames of the spectrogram; its bands may be any number.
    """

    def __init__(self, n_frames: int) -> None:
        super().__init__()
        self.narrow = nn.Linear(n_frames, _WIDTH)
        self.attention = nn.MultiheadAttention(_WIDTH, _HEADS, batch_first=True)
        self.norm = nn.LayerNorm(_WIDTH)
        self.widen = nn.Linear(_WIDTH, n_frames)

    def forward(self, spectrogram: Tensor) -> Tensor:
        """Image (B, F, T) of a spectrogram (B, F, T)."""
        band = self.narrow(spectrogram)  # (B, F, 64)
        attended, _ = self.attention(band, band, band, need_weights=False)
        return self.widen(self.norm(band + attended))


class FrequencyGate(nn.Module):
    """Weights in (0, 1) for the bands of a spectrogram, made of mean and spread over time of all of them; without biases.

    Parameters
    ----------
    n_bands : int
        Bands of the spectrogram.
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

    def forward(self, spectrogram: Tensor) -> Tensor:
        """Spectrogram (B, F, T) with its bands weighted."""
        mean, spread = spectrogram.mean(dim=2), spectrogram.std(dim=2, correction=0)
        return spectrogram * self.weigh(torch.cat([mean, spread], dim=1))[:, :, None]
