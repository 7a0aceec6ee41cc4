"""Where in time and frequency the clips of a report are odd, as the inspection of the detector says."""

import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from skasd.inspection import anomaly_map, explain, map_axes

_AT_ONCE = 8  # clips whose maps are made in one call


@dataclass(frozen=True)
class AnomalyMap:
    """How much each place of a clip adds to its score.

    Parameters
    ----------
    values : ndarray of shape (n_mels, n_frames)
        Anomaly map.
    times : ndarray of shape (n_frames,)
        Centres of its frames, in s.
    frequencies : ndarray of shape (n_mels,)
        Centres of its bands, in Hz; NaN where they are not known.
    """

    values: np.ndarray
    times: np.ndarray
    frequencies: np.ndarray


@dataclass(frozen=True)
class Explanation:
    """Why a clip has its score.

    Parameters
    ----------
    places : AnomalyMap or None
        Its map.
    regions : list of dict, default=[]
        Rows of :func:`skasd.inspection.explain`, the largest share first.
    why_not : str, default=""
        Why there is no map, if there is none.
    """

    places: AnomalyMap | None
    regions: list[dict[str, Any]] = field(default_factory=list)
    why_not: str = ""

    @property
    def sentence(self) -> str:
        """What stands out most, or why that cannot be said."""
        if self.places is None:
            return f"Not explained: {self.why_not}"
        return str(self.regions[0]["sentence"]) if self.regions else "No region stands out."

    @property
    def center(self) -> float:
        """The middle, in s, of the region that adds most to the score; 0 if there is none."""
        return float(self.regions[0]["start_s"] + self.regions[0]["end_s"]) / 2 if self.regions else 0.0


def explanations(
    detector: Any, X: Any, is_anomaly: np.ndarray, normal: Any = None, *, verbose: int = 0
) -> list[Explanation]:
    """Explain clips; warns of those that cannot be explained, whose scores are as good as those of the others.

    Where no part of an anomaly is odd when it is put into normal sound, its map shows what lowers the score when it is
    replaced by normal sound, which takes longer.

    Parameters
    ----------
    detector : estimator
        Fitted detector.
    X : array, list of paths or clip table
        Clips.
    is_anomaly : ndarray of shape (n_clips,), bool
        Decisions about them.
    normal : array, list of paths or clip table, default=None
        Normal clips to compare with if the detector keeps no levels of its own.
    verbose : int, default=0
        Shows a progress bar if 1 or larger.
    """
    n_clips = len(is_anomaly)
    found: list[Explanation] = []
    with tqdm(total=n_clips, desc="explaining", disable=verbose < 1, unit="clip") as progress:
        for start in range(0, n_clips, _AT_ONCE):
            places = np.arange(start, min(start + _AT_ONCE, n_clips))
            found += _explained_or_not(detector, taken(X, places), is_anomaly[places], normal)
            progress.update(len(found) - progress.n)
    reasons = [each.why_not for each in found if each.why_not]
    if reasons:
        warnings.warn(f"{len(reasons)} of {n_clips} clips have a score but no explanation: {reasons[0]}", stacklevel=2)
    return found


def _explained_or_not(detector: Any, X: Any, is_anomaly: np.ndarray, normal: Any) -> list[Explanation]:
    """Explanations of all clips, or else of each clip by itself."""
    try:
        return _explained(detector, X, is_anomaly, normal)
    except ValueError as error:
        if len(is_anomaly) == 1:
            return [Explanation(None, why_not=str(error))]
    single = (np.array([place]) for place in range(len(is_anomaly)))
    return [
        each for place in single for each in _explained_or_not(detector, taken(X, place), is_anomaly[place], normal)
    ]


def _explained(detector: Any, X: Any, is_anomaly: np.ndarray, normal: Any) -> list[Explanation]:
    try:
        found = _by_method(detector, X, "auto", None)
    except ValueError:
        if normal is None:
            raise
        found = _by_method(detector, X, "auto", normal)
    else:
        normal = None
    dark = [place for place, each in enumerate(found) if is_anomaly[place] and not each.regions]
    if dark:
        for place, each in zip(dark, _by_method(detector, taken(X, np.array(dark)), "occlusion", normal), strict=True):
            found[place] = each
    return found


def _by_method(detector: Any, X: Any, method: str, normal: Any) -> list[Explanation]:
    maps, axes = anomaly_map(detector, X, method=method, normal=normal), map_axes(detector, X)
    regions = explain(detector, X, method=method, normal=normal)
    rows = [dict(zip(regions.columns, row, strict=True)) for row in regions.itertuples(index=False)]
    return [
        Explanation(AnomalyMap(values, axes.times, axes.frequencies), [row for row in rows if row["clip"] == number])
        for number, values in enumerate(maps)
    ]


def taken(X: Any, positions: np.ndarray) -> Any:
    """Some clips of X.

    Parameters
    ----------
    X : array, list of paths or clip table
        Clips.
    positions : ndarray of shape (n_taken,), int
        Their positions.
    """
    if isinstance(X, pd.DataFrame):
        return X.iloc[positions]
    return X[positions] if hasattr(X, "shape") else [X[position] for position in positions]
