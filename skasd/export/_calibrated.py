"""What a calibrated detector adds to the graph: the threshold of the machine, and p-values.

Axes: B clips, n calibration clips.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from torch import Tensor, nn

from skasd.decisions import CalibratedDetector
from skasd.decisions._calibration import Calibration, rounding_of
from skasd.export._machine import Machine


@dataclass(frozen=True)
class Scoring:
    """An estimator that scores clips, and how it decides.

    Parameters
    ----------
    estimator : detector or Pipeline
        What computes the scores.
    threshold : float
        Largest anomaly score of a normal clip.
    calibration : Calibration or None
        Scores that p-values rank a clip among; None without p-values.
    properties : dict of str to value
        What the file says of the calibration.
    """

    estimator: Any
    threshold: float
    calibration: Calibration | None
    properties: dict[str, Any]


def inside(estimator: Any) -> Any:
    """The estimator that scores clips: what is inside a calibrated detector, and inside a frozen one.

    Parameters
    ----------
    estimator : detector or Pipeline
        Fitted estimator.
    """
    if isinstance(estimator, CalibratedDetector):
        return inside(estimator.detector_)
    if isinstance(estimator, FrozenEstimator):
        return inside(estimator.estimator)
    if isinstance(estimator, Pipeline):
        *steps, (name, last) = estimator.steps
        return estimator if inside(last) is last else Pipeline([*steps, (name, inside(last))])
    return estimator


def scoring_of(estimator: Any, machine: Machine) -> Scoring:
    """How an estimator scores clips of a machine and decides about them.

    Parameters
    ----------
    estimator : detector or Pipeline
        Fitted estimator.
    machine : Machine
        Machine whose model is exported.
    """
    last = estimator.steps[-1][1] if isinstance(estimator, Pipeline) else estimator
    if not isinstance(last, CalibratedDetector):
        return Scoring(inside(estimator), -float(last.offset_), None, {})
    name = machine.name(last._group_columns)
    if name not in last._groups:
        raise ValueError(
            f"The detector is calibrated for {sorted(last._groups)}; name one of them with machine=, as each has a "
            "threshold of its own."
        )
    is_provisional = last.is_provisional_[name]
    properties = {
        "alpha": last.alpha_,
        "calibration": last.method_,
        "n_calibration": last.n_calibration_[name],
        "is_provisional": is_provisional,
    }
    calibration = None if is_provisional else last._groups[name].calibration
    return Scoring(inside(estimator), -last.offsets_[name], calibration, properties)


class PValues(nn.Module):
    """P-values of anomaly scores, as :class:`skasd.decisions._calibration.Calibration` defines them.

    Parameters
    ----------
    calibration : Calibration
        Scores of calibration clips.
    """

    known: Tensor
    weight: Tensor

    def __init__(self, calibration: Calibration) -> None:
        super().__init__()
        at_most = calibration.score + rounding_of(calibration.score)
        self.register_buffer("known", torch.from_numpy(np.asarray(at_most)))
        self.register_buffer("weight", torch.from_numpy(np.array(calibration.weight)))
        self.n_recordings = calibration.n_recordings

    def forward(self, score: Tensor) -> Tensor:
        """P-values (B,) of scores (B,) in double precision."""
        is_higher = (self.known >= score[:, None]).double()
        return (1 + is_higher @ self.weight) / (self.n_recordings + 1)
