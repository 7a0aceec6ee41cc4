"""Modules of the detectors without a network.

Axes: B clips, F bands, T frames, R decay values.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from skasd.detectors import StatisticsDetector, TWFRDetector
from skasd.detectors._experts import LEVEL, LEVEL_WEIGHT, FittedExperts, Normal
from skasd.detectors._spectrum_models import Mixtures
from skasd.export._back_ends import Mixture, buffer, refuse_approximate, scorer_module
from skasd.export._neighbors import Scaled, ScaledNearest
from skasd.export._setting import Setting
from skasd.export._sorting import rank_weighted
from skasd.export._statistics import Statistics
from skasd.scoring._scaled_neighbors import ScaledNeighbors


class RankSpectra(nn.Module):
    """Largest normalised score of rank-weighted spectra: the scores of :class:`TWFRDetector`.

    Parameters
    ----------
    front : nn.Module
        From clips to spectrograms (B, F, T).
    r : sequence of float
        Decay values.
    scorers : sequence of nn.Module
        Back end of each.
    location, spread : ndarray of shape (R,)
        Mean and standard deviation of the scores of normal clips.
    """

    location: Tensor
    spread: Tensor

    def __init__(
        self, front: nn.Module, r: tuple[float, ...], scorers: list[nn.Module], location: np.ndarray, spread: np.ndarray
    ) -> None:
        super().__init__()
        self.front, self.r, self.scorers = front, r, nn.ModuleList(scorers)
        self.register_buffer("location", buffer(location[:, None]))
        self.register_buffer("spread", buffer(spread[:, None]))

    def forward(self, clip: Tensor) -> Tensor:
        """Anomaly score (B,) of clips."""
        levels = self.front(clip)
        if any(r != 1 for r in self.r):  # the mean has no order
            levels = levels.sort(dim=2, descending=True).values
        spectra = rank_weighted(levels, self.r).unbind(dim=2)
        scores = torch.stack([scorer(spectrum) for scorer, spectrum in zip(self.scorers, spectra, strict=True)])
        return ((scores - self.location) / self.spread).amax(dim=0)


def twfr_module(detector: TWFRDetector, setting: Setting) -> nn.Module:
    """Module from clips to the scores of a TWFRDetector."""
    machine = detector._machines[setting.machine.name(detector._group_columns)]
    models = detector._models
    if isinstance(models, Mixtures):
        density = "component" if models.score_by == "component" else "mixture"
        scorers: list[nn.Module] = [Mixture(model, density) for model in machine.mixtures]
    else:
        scorers = [scorer_module(model) for model in machine.mixtures]
    front = setting.frontend(detector._frontend, type(detector).__name__)
    return RankSpectra(front, machine.r, scorers, machine.location, machine.spread)


class SquaredDistance(nn.Module):
    """Squared distance from the mean in a scaled space.

    Parameters
    ----------
    scaled : Scaled
        Map to that space.
    """

    def __init__(self, scaled: Scaled) -> None:
        super().__init__()
        self.scaled = scaled

    def forward(self, x: Tensor) -> Tensor:
        """Anomaly score (B,) of statistics (B, D)."""
        return self.scaled(x).square().sum(dim=1)


class Experts(nn.Module):
    """Scores of the experts of one machine, combined: the scores of :class:`StatisticsDetector`.

    Parameters
    ----------
    front : nn.Module
        From clips to spectrograms (B, F, T).
    statistics : Statistics
        Statistics that the experts need.
    experts : FittedExperts
        The experts.
    """

    def __init__(self, front: nn.Module, statistics: Statistics, experts: FittedExperts) -> None:
        super().__init__()
        self.front, self.statistics, self.experts = front, statistics, experts
        self.members = list(experts._back_ends)
        self.back_ends = nn.ModuleList(_expert_module(experts._back_ends[member]) for member in self.members)

    def forward(self, clip: Tensor) -> Tensor:
        """Anomaly score (B,) of clips."""
        values = self.statistics(self.front(clip))
        normal = self.experts._normal
        scores = {
            member: _normalised(back_end(values[member[0]]), normal[member])
            for member, back_end in zip(self.members, self.back_ends, strict=True)
        }
        every = self.experts.every
        parts = [_normalised(sum(scores[member] for member in expert), normal[expert]) for expert in every]
        weights = [LEVEL_WEIGHT if expert == LEVEL else 0.0 for expert in every]
        weighted = torch.stack([part + weight for part, weight in zip(parts, weights, strict=True)])
        return weighted.logsumexp(dim=0) - float(np.logaddexp.reduce(weights))


def _normalised(score: Any, normal: Normal) -> Tensor:
    return (score - normal.mean) / normal.spread


def _expert_module(back_end: Any) -> nn.Module:
    if isinstance(back_end, ScaledNeighbors):
        return ScaledNearest(back_end)
    return SquaredDistance(Scaled(back_end.scaling))


def statistics_module(detector: StatisticsDetector, setting: Setting) -> nn.Module:
    """Module from clips to the scores of a StatisticsDetector."""
    refuse_approximate(detector)
    experts = detector._machines[setting.machine.name(detector._group_columns)]
    names = tuple(dict.fromkeys(statistic for statistic, _ in experts._back_ends))
    n_bands, most_frames = setting.size(detector._frontend)
    statistics = Statistics(names, n_bands, detector._frontend.log_unit, most_frames)
    return Experts(setting.frontend(detector._frontend, type(detector).__name__), statistics, experts)
