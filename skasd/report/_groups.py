"""The clips of a report by detector: their scores, p-values and decisions, and which of them are shown whole."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from skasd.clips import MACHINE_COLUMNS
from skasd.clips._machine_names import split_names
from skasd.decisions import CalibratedDetector
from skasd.decisions._table import decided
from skasd.persistence._description import detector_in


@dataclass(frozen=True)
class Group:
    """Clips that one detector scores.

    Parameters
    ----------
    detector : estimator
        Fitted detector, or a pipeline that ends in one.
    X : array, list of paths or clip table
        The clips, all of which can be used.
    names : sequence of str
        Name of each clip.
    machines : sequence of str
        Machine of each clip; "" without one.
    normal : array, list of paths or clip table, default=None
        Clips known to be normal.
    normal_names, normal_machines : sequence of str, default=()
        The same of the normal clips.
    """

    detector: Any
    X: Any
    names: Sequence[str]
    machines: Sequence[str]
    normal: Any = None
    normal_names: Sequence[str] = ()
    normal_machines: Sequence[str] = ()


@dataclass(frozen=True)
class Scores:
    """What a detector says of the clips of a group.

    Parameters
    ----------
    anomaly_score, threshold : ndarray of shape (n_clips,)
        High is anomalous; a clip above the threshold is an anomaly.
    p_value : ndarray of shape (n_clips,) or None
        How often a normal clip is at least as unusual, in [0, 1]; NaN where the decision is provisional, as there were too
        few normal clips; None if the detector is not calibrated.
    is_anomaly : ndarray of shape (n_clips,), bool
        The decisions.
    normal : dict of str to ndarray
        Anomaly scores of the normal clips that set the threshold, by machine; "" stands for all machines together. Empty if
        the detector does not keep them.
    """

    anomaly_score: np.ndarray
    threshold: np.ndarray
    p_value: np.ndarray | None
    is_anomaly: np.ndarray
    normal: dict[str, np.ndarray]


def scored(detector: Any, X: Any) -> Scores:
    """Score clips and decide about them.

    Parameters
    ----------
    detector : estimator
        Fitted detector.
    X : array, list of paths or clip table
        Clips.
    """
    known, last = decided(detector, X), detector_in(detector)
    p_value = known.p_value if isinstance(last, CalibratedDetector) else None
    return Scores(known.anomaly_score, known.threshold, p_value, known.is_anomaly, _normal_scores(last))


def _normal_scores(detector: Any) -> dict[str, np.ndarray]:
    """Scores of the normal clips that set the threshold of a detector, or each threshold of a calibrated one."""
    if isinstance(detector, CalibratedDetector):
        machines = ["/".join(filter(None, cells)) for cells in split_names(detector._groups)]
        scores = [group.calibration.score for group in detector._groups.values()]
        return dict(zip(machines, scores, strict=True))
    kept = getattr(detector, "_held_out_scores", None)
    return {} if kept is None else {"": kept}


def machines_of(X: Any, n_clips: int) -> list[str]:
    """Machine of each clip: the cells of the columns `machine_type` and `section` joined by "/"; "" without them.

    Parameters
    ----------
    X : array, list of paths or clip table
        Clips.
    n_clips : int
        Their number.
    """
    columns = [name for name in MACHINE_COLUMNS if isinstance(X, pd.DataFrame) and name in X.columns]
    if not columns:
        return [""] * n_clips
    return ["/".join(str(cell) for cell in row if not pd.isna(cell)) for row in X[columns].to_numpy(dtype=object)]


def most_anomalous(scores: Sequence[Scores], most: int) -> list[np.ndarray]:
    """Positions within each group of the clips that are the most anomalous of all groups, at most `most` together.

    Parameters
    ----------
    scores : sequence of Scores
        Scores of each group.
    most : int
        Number of clips.
    """
    group = np.concatenate([np.full(len(each.anomaly_score), number) for number, each in enumerate(scores)])
    position = np.concatenate([np.arange(len(each.anomaly_score)) for each in scores])
    chosen = order(scores)[:most]
    return [np.sort(position[chosen][group[chosen] == number]) for number in range(len(scores))]


def order(scores: Sequence[Scores]) -> np.ndarray:
    """Positions in all groups one behind the other, from the most to the least anomalous clip.

    Parameters
    ----------
    scores : sequence of Scores
        Scores of each group. Anomalies come first, then small p-values where there are any, then high scores above the
        threshold.
    """
    if not scores:
        return np.empty(0, dtype=int)
    excess = np.concatenate([each.anomaly_score - each.threshold for each in scores])
    is_normal = np.concatenate([~each.is_anomaly for each in scores])
    p_value = np.concatenate(
        [np.full(len(each.anomaly_score), np.inf) if each.p_value is None else each.p_value for each in scores]
    )
    return np.lexsort((-excess, p_value, is_normal))
