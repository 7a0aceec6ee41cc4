"""Modules of pipelines: front ends and filters before a detector, statistics before a back end.

Axes: B clips, n time points, F bands, T frames, D values.
"""

from typing import Any

import torch
from sklearn.pipeline import Pipeline
from torch import Tensor, nn

from skasd.export._back_ends import map_module, scorer_module
from skasd.export._graph import score_module
from skasd.export._log_mel import frontend_module
from skasd.export._machine import Machine
from skasd.export._refusal import refused
from skasd.export._running_median import RunningMedian
from skasd.export._sorting import rank_weighted
from skasd.export._statistics import Statistics
from skasd.features import (
    LogMelTransformer,
    MedianFilter,
    NoiseReducedLogMel,
    StatisticsTransformer,
    TWFRTransformer,
)
from skasd.inputs._frontend import Frontend
from skasd.scoring._scorer import BaseScorer

_STEPS = (
    "LogMelTransformer, NoiseReducedLogMel, MedianFilter, TWFRTransformer, StatisticsTransformer, StandardScaler, PCA"
)
_MOST_FRAMES = 2**13  # that statistics of a pipeline, which knows no training length, can have


class RankedValues(nn.Module):
    """Rank-weighted spectra side by side.

    Parameters
    ----------
    r : sequence of float
        Decay values.
    """

    def __init__(self, r: tuple[float, ...]) -> None:
        super().__init__()
        self.r = r

    def forward(self, levels: Tensor) -> Tensor:
        """Spectra (B, R F) of levels (B, F, T)."""
        return rank_weighted(levels.sort(dim=2, descending=True).values, self.r).transpose(1, 2).flatten(1)


class StatisticsValues(nn.Module):
    """Statistics side by side.

    Parameters
    ----------
    statistics : Statistics
        Module that computes them.
    """

    def __init__(self, statistics: Statistics) -> None:
        super().__init__()
        self.statistics = statistics

    def forward(self, levels: Tensor) -> Tensor:
        """Values (B, D) of levels (B, F, T)."""
        return torch.cat(list(self.statistics(levels).values()), dim=1)


def pipeline_module(pipeline: Pipeline, machine: Machine) -> nn.Module:
    """Module from waveforms (B, n) to the anomaly scores (B,) of a fitted pipeline.

    Raises
    ------
    ValueError
        If a step cannot be exported, or steps are in an order that no estimator of skasd is used in.
    """
    *steps, (_, last) = pipeline.steps
    modules: list[nn.Module] = []
    frontend: Frontend | None = None
    for name, step in steps:
        module, frontend = _step_module(name, step, frontend)
        modules.append(module)
    if isinstance(last, BaseScorer):
        return nn.Sequential(*modules, scorer_module(last))
    return nn.Sequential(*modules, score_module(last, machine))


def _step_module(name: str, step: Any, frontend: Frontend | None) -> tuple[nn.Module, Frontend | None]:
    """Module of a step, and the front end that made the levels that come out of it, if that is what they are."""
    who = f"the step {name!r}, a {type(step).__name__},"
    if isinstance(step, LogMelTransformer | NoiseReducedLogMel) and frontend is None:
        if getattr(step, "flatten", False):
            raise refused(f"flatten=True of {who}", "set flatten=False")
        frontend = step._fitted_frontend if isinstance(step, NoiseReducedLogMel) else step._frontend()
        return frontend_module(frontend, who), frontend
    if isinstance(step, MedianFilter) and frontend is not None:
        if step.patch_length is not None:
            raise refused(f"patch_length={step.patch_length} of {who}", "set patch_length=None")
        return RunningMedian(step.size, step.axis), frontend
    if isinstance(step, TWFRTransformer | StatisticsTransformer):
        return _values_module(step, who, is_first=frontend is None), step._frontend
    if frontend is None:
        raise refused(f"{who} before there is a spectrogram", f"use one of {_STEPS} first")
    return map_module(step), frontend


def _values_module(step: TWFRTransformer | StatisticsTransformer, who: str, *, is_first: bool) -> nn.Module:
    front = frontend_module(step._frontend, who) if is_first else nn.Identity()
    if isinstance(step, TWFRTransformer):
        r = step.r if isinstance(step.r, tuple | list) else (step.r,)
        return nn.Sequential(front, RankedValues(tuple(map(float, r))))
    pooling = step._pooling()
    return nn.Sequential(
        front, StatisticsValues(Statistics(pooling.names, step._n_bands, pooling.log_unit, _MOST_FRAMES))
    )
