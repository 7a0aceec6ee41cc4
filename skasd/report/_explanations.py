"""Where in time and frequency the clips of a report are odd, as the inspection of the detector says."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from skasd.clips import as_clips
from skasd.inspection import anomaly_map, explain, map_axes

_AT_ONCE = 8  # clips whose maps are made in one call


@dataclass(frozen=True)
class Explanation:
    """Why a clip has its score.

    Parameters
    ----------
    regions : list of dict
        Rows of :func:`skasd.inspection.explain`, the largest share first.
    values : ndarray of shape (n_mels, n_frames)
        Anomaly map.
    times : ndarray of shape (n_frames,)
        Centres of its frames, in s.
    frequencies : ndarray of shape (n_mels,)
        Centres of its bands, in Hz.
    """

    regions: list[dict[str, Any]]
    values: np.ndarray
    times: np.ndarray
    frequencies: np.ndarray


def explanations(detector: Any, X: Any, normal: Any = None, *, verbose: int = 0) -> list[Explanation]:
    """Explain clips.

    Parameters
    ----------
    detector : estimator
        Fitted detector.
    X : array, list of paths or clip table
        Clips.
    normal : array, list of paths or clip table, default=None
        Normal clips to compare with if the detector keeps no levels of its own.
    verbose : int, default=0
        Shows a progress bar if 1 or larger.

    Raises
    ------
    ValueError
        If there is nothing to compare with.
    """
    n_clips = len(as_clips(X))
    found: list[Explanation] = []
    with tqdm(total=n_clips, desc="explaining", disable=verbose < 1, unit="clip") as progress:
        for start in range(0, n_clips, _AT_ONCE):
            part = taken(X, np.arange(start, min(start + _AT_ONCE, n_clips)))
            found += _explained(detector, part, normal)
            progress.update(len(found) - progress.n)
    return found


def _explained(detector: Any, X: Any, normal: Any) -> list[Explanation]:
    try:
        maps = anomaly_map(detector, X)
    except ValueError:
        if normal is None:
            raise
        maps = anomaly_map(detector, X, normal=normal)
    else:
        normal = None
    regions, axes = explain(detector, X, normal=normal), map_axes(detector, X)
    rows = [dict(zip(regions.columns, row, strict=True)) for row in regions.itertuples(index=False)]
    return [
        Explanation([row for row in rows if row["clip"] == number], values, axes.times, axes.frequencies)
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
