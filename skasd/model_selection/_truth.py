"""Label checks shared by the splitters."""

from typing import Any

import numpy as np
from sklearn.utils import check_consistent_length

from skasd._parameters import naming

NORMAL, ANOMALY, UNKNOWN = 1, -1, 0


def check_split_labels(X: Any, y: Any, groups: Any = None) -> np.ndarray:
    """Labels (n_clips,): +1 normal, -1 anomaly, 0 unknown; raise for anything else."""
    if y is None:
        raise ValueError("y=None; this split needs labels: +1 normal, -1 anomaly, 0 unknown.")
    with naming("y"):
        labels = np.asarray(y)
    if labels.ndim != 1:
        raise ValueError(f"y has shape {labels.shape}; expected one label per clip, shape (n_clips,).")
    with naming("X and y" if groups is None else "X, y and groups"):
        check_consistent_length(X, labels, groups)
    known = np.zeros(len(labels), dtype=bool) if labels.dtype == bool else np.isin(labels, (NORMAL, ANOMALY, UNKNOWN))
    if labels.dtype.kind not in "iufbO" or not known.all():
        strange = sorted({repr(label) for label in labels[~known].tolist()}) or [f"dtype {labels.dtype}"]
        raise ValueError(f"y contains {', '.join(strange[:5])}; expected +1 (normal), -1 (anomaly) and 0 (unknown).")
    return labels.astype(np.int64)


def check_anomalies(y: np.ndarray) -> None:
    """Raise if there is no anomaly to test on."""
    if not np.any(y == ANOMALY):
        zeros = int(np.count_nonzero(y == UNKNOWN))
        hint = f" {zeros} labels are 0, which means unknown; use -1 for anomalies." if zeros else ""
        raise ValueError(f"None of {len(y)} clips is an anomaly (y == -1), so no detector can be tested.{hint}")
