"""Statistics of spectrograms over time, by name, as :class:`skasd.features.StatisticsTransformer` computes them.

Axes: B clips, F bands, T frames, G groups of bands, K frequencies, R rates.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from scipy.fft import next_fast_len
from torch import Tensor, nn

from skasd.export._lengths import length_of
from skasd.export._sorting import quantile, rank_weighted
from skasd.features._pooled import (
    FLOOR,
    LEAST_POWER,
    LEVEL_RATES,
    N_GROUPS,
    N_SPREADS,
    POWER_RATES,
    groups_of_bands,
)


class Statistics(nn.Module):
    """Statistics of spectrograms.

    Parameters
    ----------
    names : sequence of str
        Names of the statistics.
    n_bands : int
        Number of bands.
    log_unit : float
        Natural logarithm of the power ratio of one unit of the spectrograms.
    most_frames : int
        Largest number of frames.
    """

    group_mean: Tensor
    spread_group: Tensor
    fast_lengths: Tensor

    def __init__(self, names: Sequence[str], n_bands: int, log_unit: float, most_frames: int) -> None:
        super().__init__()
        self.names, self.log_unit = tuple(names), float(log_unit)
        of_groups = _group_matrix(n_bands, N_GROUPS)
        self.register_buffer("group_mean", of_groups / of_groups.sum(dim=1, keepdim=True))
        self.register_buffer("spread_group", _group_matrix(n_bands, N_SPREADS))
        self.register_buffer("fast_lengths", torch.tensor(_fast_lengths(most_frames)))

    def forward(self, levels: Tensor) -> dict[str, Tensor]:
        """Each statistic (B, d) of levels (B, F, T), in double precision."""
        made = self._by_rank(levels)
        if {"modulation", "level", "spread"} & set(self.names):
            loudest = levels.amax(dim=2, keepdim=True)
            power = torch.exp((levels - loudest) * self.log_unit)  # relative to the loudest frame of the band
            peak = torch.exp((loudest - loudest.amax(dim=1, keepdim=True)) * self.log_unit)
            if "modulation" in self.names:
                made["modulation"] = self._modulation(power)
            if "level" in self.names:
                total = (peak * power.mean(dim=2, keepdim=True)).sum(dim=1)
                made["level"] = loudest.amax(dim=1) + total.log() / self.log_unit
            if "spread" in self.names:
                ascending = (self.spread_group @ (peak * power)).sort(dim=2).values
                quiet, loud = (quantile(ascending, share) + LEAST_POWER for share in (0.25, 0.98))
                made["spread"] = (loud / quiet).log() / self.log_unit
        if "dynamics" in self.names:
            made["dynamics"] = self._dynamics(levels)
        return {name: made[name].double() for name in self.names}

    def _by_rank(self, levels: Tensor) -> dict[str, Tensor]:
        """Rank-weighted means and quantiles (B, F)."""
        decays = [name for name in self.names if name[0] == "r"]
        quantiles = [name for name in self.names if name[0] == "q"]
        made: dict[str, Tensor] = {}
        if not decays and not quantiles:
            return made
        descending = levels.sort(dim=2, descending=True).values
        if decays:
            pooled = rank_weighted(descending, [float(name[1:]) for name in decays])  # (B, F, R)
            made = dict(zip(decays, pooled.unbind(dim=2), strict=True))
        return made | {name: quantile(descending, 1 - float(name[1:])) for name in quantiles}

    def _dynamics(self, levels: Tensor) -> Tensor:
        grouped = self.group_mean @ levels  # (B, G, T)
        steps = grouped[:, :, 1:] - grouped[:, :, :-1]
        n_steps = (length_of(levels) - 1).clamp(min=1).to(levels.dtype)  # one frame has no steps
        deviation = steps - steps.sum(dim=2, keepdim=True) / n_steps
        steadiness = (deviation.square().sum(dim=2) / n_steps).sqrt()
        changes = self._amplitudes(grouped, LEVEL_RATES)
        return (torch.cat([steadiness, changes.transpose(1, 2).flatten(1)], dim=1) + FLOOR).log()

    def _modulation(self, power: Tensor) -> Tensor:
        changes = self._amplitudes(power, POWER_RATES) / power.mean(dim=2, keepdim=True)  # (B, F, R)
        return ((self.group_mean @ changes).transpose(1, 2).flatten(1) + FLOOR).log()

    def _amplitudes(self, signal: Tensor, rates: Sequence[float]) -> Tensor:
        """Root mean square amplitudes (B, n, R) between consecutive rates of signals (B, n, T) around their means."""
        n_frames = length_of(signal)
        n_fft: Any = torch.where(self.fast_lengths >= n_frames, self.fast_lengths, self.fast_lengths[-1]).amin()
        frequency = torch.arange(n_fft // 2 + 1)
        turn = (torch.arange(n_frames)[:, None] * frequency) % n_fft
        angle = turn.to(signal.dtype) * (2 * np.pi / n_fft.to(signal.dtype))
        centred = signal - signal.mean(dim=2, keepdim=True)
        power = (centred @ angle.cos()).square() + (centred @ angle.sin()).square()  # (B, n, K)
        average = _averages(frequency.double() * (1.0 / n_fft.double()), rates).to(signal.dtype)
        return (power @ average / n_frames.to(signal.dtype)).sqrt()


def _group_matrix(n_bands: int, n_groups: int) -> Tensor:
    """Matrix (G, F) that sums the bands of each group."""
    starts, sizes = groups_of_bands(n_bands, n_groups)
    matrix = np.zeros((len(starts), n_bands), dtype=np.float32)
    for row, (start, size) in enumerate(zip(starts, sizes, strict=True)):
        matrix[row, start : start + size] = 1
    return torch.from_numpy(matrix)


def _fast_lengths(most_frames: int) -> list[int]:
    """Lengths of the transforms of clips of up to so many frames, ascending."""
    lengths = [1]
    while lengths[-1] < most_frames:
        lengths.append(next_fast_len(lengths[-1] + 1, real=True))
    return lengths


def _averages(frequency: Tensor, rates: Sequence[float]) -> Tensor:
    """Weights (K, R) that average a spectrum at frequencies (K,) between consecutive rates."""
    place = torch.arange(frequency.shape[0])
    columns = []
    for low, high in pairwise(rates):
        chosen = ((frequency >= low) & (frequency < high)).double()
        far = (frequency - low).abs() + (place == 0)  # if none lies between two rates, the nearest one above 0 counts
        nearest = (place == far.argmin()).double()
        count = chosen.sum()
        columns.append(torch.where(count > 0, chosen / count.clamp(min=1), nearest))
    return torch.stack(columns, dim=1)
