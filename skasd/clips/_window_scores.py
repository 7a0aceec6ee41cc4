"""Anomaly scores of clips, of which the long ones are scored in windows."""

from typing import Any

import numpy as np

from skasd._extremes import as_of_one_window
from skasd.clips._clips import Clips


def checked_score(detector: Any, clips: Clips, name: str | None = None) -> np.ndarray:
    """Anomaly score of each clip, of long clips on the scale of one window of the training length.

    Parameters
    ----------
    detector : detector
        What scores windows by its hook ``_anomaly_score``, and knows the length and the scores of its training clips.
    clips : Clips
        Clips to score.
    name : str or None, default=None
        Name of the detector, for messages; None is that of its class.

    Returns
    -------
    score : ndarray of shape (n_clips,), float64
        Anomaly scores, high is anomalous.
    """
    score, share = largest_score(detector, clips, name)
    normal = detector._held_out_scores
    return score if normal is None else as_of_one_window(score, share, normal)


def largest_score(detector: Any, clips: Clips, name: str | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Largest anomaly score of the windows of each clip, and the length of each clip in windows.

    Parameters
    ----------
    detector : detector
        What scores windows by its hook ``_anomaly_score``, and knows the length of its training clips.
    clips : Clips
        Clips to score.
    name : str or None, default=None
        Name of the detector, for messages; None is that of its class.

    Returns
    -------
    score, share : ndarray of shape (n_clips,), float64
        Largest scores, and lengths in windows, 1 for clips that are not long.

    Raises
    ------
    ValueError
        If the hook returned anything other than finite scores.
    """
    name = name or type(detector).__name__
    windows = None if detector._training_length is None else detector._training_length.windows(clips)
    heard = clips if windows is None else windows.clips
    score = np.asarray(detector._anomaly_score(heard), dtype=np.float64)
    if score.shape != (len(heard),):
        raise ValueError(
            f"{name}._anomaly_score returned shape {score.shape} for {len(heard)} clips; ({len(heard)},) is expected."
        )
    if not np.isfinite(score).all():
        position = int(np.argmin(np.isfinite(score)))
        raise ValueError(
            f"The anomaly score of {heard.name(position)} is {score[position]}. Its values are out of the range that "
            f"{name} can compute with; look at the clip, and at parameters with extreme values."
        )
    return (score, np.ones(len(clips))) if windows is None else (windows.largest(score), windows.share)
