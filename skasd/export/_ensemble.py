"""Module of the ensemble: scores of its detectors on one scale.

Axes: B clips, E detectors.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from skasd.export._reading import Interpolated


class CombinedScores(nn.Module):
    """Weighted mean of scores that are standardised, or replaced by their rank among those of normal clips.

    Parameters
    ----------
    members : sequence of nn.Module
        From clips to anomaly scores (B,).
    normal : sequence of ndarray of shape (n_normal,)
        Scores of normal clips by each member, ascending.
    weights : ndarray of shape (E,)
        Weights, which sum to 1.
    by_rank : bool
        Whether scores are replaced by ranks.
    """

    def __init__(
        self, members: Sequence[nn.Module], normal: Sequence[np.ndarray], weights: np.ndarray, *, by_rank: bool
    ) -> None:
        super().__init__()
        scale = Ranks if by_rank else Standardised
        self.members, self.weights = nn.ModuleList(members), [float(weight) for weight in weights]
        self.scales = nn.ModuleList(map(scale, normal))

    def forward(self, clip: Tensor) -> Tensor:
        """Anomaly score (B,) of clips."""
        parts = zip(self.members, self.scales, self.weights, strict=True)
        return torch.stack([weight * scale(member(clip)) for member, scale, weight in parts]).sum(dim=0)


class Standardised(nn.Module):
    """Scores relative to the mean and standard deviation of normal clips.

    Parameters
    ----------
    normal : ndarray of shape (n_normal,)
        Scores of normal clips.
    """

    def __init__(self, normal: np.ndarray) -> None:
        super().__init__()
        self.mean, self.spread = float(normal.mean()), _spread(normal)

    def forward(self, score: Tensor) -> Tensor:
        """Standardised scores (B,)."""
        return (score - self.mean) / self.spread


class Ranks(nn.Module):
    """Ranks of scores among those of normal clips as shares, extrapolated by less than one rank at both ends.

    Parameters
    ----------
    normal : ndarray of shape (n_normal,)
        Scores of normal clips, ascending.
    """

    def __init__(self, normal: np.ndarray) -> None:
        super().__init__()
        self.n_normal, self.spread = len(normal), _spread(normal)
        self.least, self.largest = float(normal[0]), float(normal[-1])
        self.rank = Interpolated(normal, np.arange(1, len(normal) + 1) / len(normal))

    def forward(self, score: Tensor) -> Tensor:
        """Ranks (B,)."""
        beyond = (score - score.clamp(self.least, self.largest)) / self.spread
        return self.rank(score) + beyond / (1 + beyond.abs()) / self.n_normal


def _spread(normal: np.ndarray) -> float:
    return float(normal.std()) or 1.0
