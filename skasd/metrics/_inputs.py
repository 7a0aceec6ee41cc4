"""Checks of labels, scores and clip table, which every metric runs first."""

from typing import Any

import numpy as np
import pandas as pd

from skasd._parameters import naming

NORMAL, ANOMALY = 1, -1


def check_truth(y_true: Any, name: str = "y_true") -> np.ndarray:
    """Labels as integers of shape (n_clips,), +1 normal and -1 anomaly; raises for any other label."""
    with naming(name):
        labels = np.asarray(y_true)
    if labels.ndim != 1:
        raise ValueError(f"{name} has shape {labels.shape}; one label per clip, shape (n_clips,), is expected.")
    known = np.zeros(len(labels), dtype=bool) if labels.dtype == bool else np.isin(labels, (NORMAL, ANOMALY))
    if labels.dtype.kind not in "iufbO" or not known.all():
        raise ValueError(_strange_labels(name, labels, known))
    return labels.astype(np.int64)


def check_scores(score_samples: Any, n_clips: int, y_name: str = "y_true") -> np.ndarray:
    """Scores as float64 of shape (n_clips,); raises unless they are finite and there is one for each label."""
    with naming("score_samples"):
        scores = np.asarray(score_samples)
    if scores.ndim != 1:
        raise ValueError(f"score_samples has shape {scores.shape}; one score per clip, shape (n_clips,), is expected.")
    if len(scores) != n_clips:
        raise ValueError(
            f"{y_name} has {n_clips} clips and score_samples has {len(scores)}; one score per clip is expected."
        )
    if scores.dtype.kind not in "iufbO":
        raise ValueError(f"score_samples holds values of type {scores.dtype}; numbers are expected.")
    try:
        scores = scores.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"score_samples holds values that are not numbers: {error}.") from error
    finite = np.isfinite(scores)
    if not finite.all():
        row = int(np.flatnonzero(~finite)[0])
        raise ValueError(
            f"{np.count_nonzero(~finite)} of {n_clips} scores are not finite; the first is score_samples[{row}] = "
            f"{scores[row]}. A clip without a finite score cannot be ranked: drop it, or find out why it has none."
        )
    return scores


def check_table(table: Any, n_clips: int) -> None:
    """Raise unless `table` is None or a DataFrame with one row per label."""
    if table is None:
        return
    if not isinstance(table, pd.DataFrame):
        raise TypeError(f"table is a {type(table).__name__}; a pandas DataFrame with one row per clip is expected.")
    if len(table) != n_clips:
        raise ValueError(f"y_true has {n_clips} clips and table has {len(table)} rows; one row per clip is expected.")


def check_inputs(y_true: Any, score_samples: Any, table: Any = None) -> tuple[np.ndarray, np.ndarray]:
    """Checked labels and scores, both of shape (n_clips,); the table is checked and left as it is."""
    y_true = check_truth(y_true)
    score_samples = check_scores(score_samples, len(y_true))
    check_table(table, len(y_true))
    return y_true, score_samples


def count_classes(y_true: np.ndarray) -> tuple[int, int]:
    """Number of normal and of anomalous clips."""
    return int(np.count_nonzero(y_true == NORMAL)), int(np.count_nonzero(y_true == ANOMALY))


def _strange_labels(name: str, labels: np.ndarray, known: np.ndarray) -> str:
    strange = sorted({repr(label) for label in labels[~known].tolist()}) or [f"dtype {labels.dtype}"]
    shown = ", ".join(strange[:5]) + (", ..." if len(strange) > 5 else "")
    text = f"{name} holds {shown}; +1 (normal) and -1 (anomaly) are expected."
    if labels.dtype == bool or "0" in strange or "0.0" in strange:
        text += (
            " One half of the field writes 1 for an anomaly, the other half 0: convert labels 0 and 1 with"
            " np.where(labels == 1, -1, 1) or np.where(labels == 1, 1, -1). If 0 marks clips with an unknown label, drop"
            " them first: keep = y != 0, then y[keep], score_samples[keep] and table[keep]."
        )
    return text
