"""Where in time and frequency the clips of a report are odd, as the inspection of the detector says."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from skasd.inspection._explain import explained_maps
from skasd.inspection._subject import Subject


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
    subject = Subject.of(detector, X)
    if subject.normal is None and normal is not None:
        subject = Subject.of(detector, X, normal)
    explained = tqdm(explained_maps(subject), "explaining", len(subject.clips), disable=verbose < 1, unit="clip")
    return [Explanation(rows, of_clip.added, axes.times, axes.frequencies) for of_clip, axes, rows in explained]


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
