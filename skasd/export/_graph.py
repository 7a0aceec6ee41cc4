"""The module of a fitted estimator: from clips to anomaly scores, in double precision.

Axes: B clips, n time points, F bands, T frames.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from skasd.base import BaseDetector
from skasd.detectors import StatisticsDetector, TWFRDetector
from skasd.export._machine import Machine
from skasd.export._reading import InWindows
from skasd.export._refusal import refused
from skasd.export._setting import Setting
from skasd.export._statistical import statistics_module, twfr_module

_BUILDERS: dict[type, Callable[[Any, Setting], nn.Module]] = {
    StatisticsDetector: statistics_module,
    TWFRDetector: twfr_module,
}


def score_module(detector: Any, machine: Machine) -> nn.Module:
    """Module from clips, waveforms (B, n) or features (B, F, T), to anomaly scores (B,).

    Parameters
    ----------
    detector : estimator
        Fitted detector.
    machine : Machine
        Machine whose model is used.

    Raises
    ------
    ValueError
        If there is no module for detectors of this class, or with one of its parameters.
    """
    if type(detector) not in _BUILDERS:
        known = ", ".join(sorted(kind.__name__ for kind in _BUILDERS))
        raise refused(f"a {type(detector).__name__}", f"it can export {known}, and pipelines that end with one")
    if detector._training_length is None:
        return _BUILDERS[type(detector)](detector, Setting(machine, "waveform", None, 0))
    length = detector._training_length
    longest = max(1, int(1.1 * length.median))
    setting = Setting(machine, "waveform", None, longest).of(detector)
    inside = _BUILDERS[type(detector)](detector, setting)
    heard = InWindows(inside, length.median, detector._held_out_scores)
    reader = length.reader
    if setting.kind == "feature" or reader.duration is None:
        return heard
    return nn.Sequential(Cut(max(1, round(reader.duration * reader.sample_rate))), heard)


class Cut(nn.Module):
    """The beginning of waveforms.

    Parameters
    ----------
    n_timepoints : int
        Largest length of the output.
    """

    def __init__(self, n_timepoints: int) -> None:
        super().__init__()
        self.n_timepoints = n_timepoints

    def forward(self, waveform: Tensor) -> Tensor:
        """Waveforms (B, n) of waveforms that may be longer."""
        return waveform[:, : self.n_timepoints]


class Decision(nn.Module):
    """Anomaly scores in single precision, and whether they exceed the threshold.

    Parameters
    ----------
    score : nn.Module
        From clips to anomaly scores in double precision.
    detector : BaseDetector
        Detector whose threshold is used.
    """

    def __init__(self, score: nn.Module, detector: BaseDetector) -> None:
        super().__init__()
        self.score, self.threshold = score, -float(detector.offset_)

    def forward(self, waveform: Tensor) -> tuple[Tensor, Tensor]:
        """Anomaly score (B,) and decision (B,) of waveforms (B, n)."""
        score = self.score(waveform)
        return score.float(), score > torch.tensor(self.threshold, dtype=torch.float64)
