"""Quantiles and rank-weighted means over the last axis.

Axes: T frames, R decay values.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from skasd.export._lengths import length_of


def quantile(ascending: Tensor, share: float) -> Tensor:
    """Quantile (...) of sorted values (..., T), with linear interpolation.

    Parameters
    ----------
    ascending : Tensor of shape (..., T)
        Sorted values.
    share : float
        Share of values below, in [0, 1].
    """
    last = length_of(ascending) - 1
    place = share * last.double()
    below = place.floor().long()
    above = torch.minimum(below + 1, last)
    low, high = ascending.index_select(-1, below[None])[..., 0], ascending.index_select(-1, above[None])[..., 0]
    return low + (place - below).to(low.dtype) * (high - low)


def rank_weights(n_frames: Any, r: Sequence[float]) -> Tensor:
    """Weights (T, R) of rank-weighted means, for values in descending order, in double precision."""
    rank = torch.arange(n_frames, dtype=torch.float64)[:, None]
    weight = torch.tensor([list(r)], dtype=torch.float64) ** rank
    return weight / weight.sum(dim=0)


def rank_weighted(descending: Tensor, r: Sequence[float]) -> Tensor:
    """Rank-weighted means (..., R), in double precision, of values (..., T) in descending order."""
    return descending.double() @ rank_weights(length_of(descending), r)
