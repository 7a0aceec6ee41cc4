"""What a splitter must know of the clips before it splits them."""

from typing import Any

import numpy as np
from sklearn.utils import check_consistent_length

NORMAL, ANOMALY, UNKNOWN = 1, -1, 0


def check_split_labels(X: Any, y: Any, groups: Any = None) -> np.ndarray:
    """Labels of shape (n_clips,): +1 normal, -1 anomaly, 0 unknown; anything else is refused."""
    if y is None:
        raise ValueError("y=None; a split of normal clips and anomalies needs y: +1 normal, -1 anomaly, 0 unknown.")
    labels = np.asarray(y)
    if labels.ndim != 1:
        raise ValueError(f"y has shape {labels.shape}; one label per clip, shape (n_clips,), is expected.")
    check_consistent_length(X, labels, groups)
    known = np.zeros(len(labels), dtype=bool) if labels.dtype == bool else np.isin(labels, (NORMAL, ANOMALY, UNKNOWN))
    if labels.dtype.kind not in "iufbO" or not known.all():
        strange = sorted({repr(label) for label in labels[~known].tolist()}) or [f"dtype {labels.dtype}"]
        raise ValueError(f"y holds {', '.join(strange[:5])}; +1 (normal), -1 (anomaly) and 0 (unknown) are expected.")
    return labels.astype(np.int64)


def check_anomalies(y: np.ndarray) -> None:
    """Raise if there is no anomaly to test on."""
    if not np.any(y == ANOMALY):
        zeros = int(np.count_nonzero(y == UNKNOWN))
        hint = f" {zeros} labels are 0, which means unknown truth here; an anomaly is -1." if zeros else ""
        raise ValueError(
            f"None of {len(y)} clips is an anomaly (y == -1), so there is nothing to find in a test.{hint}"
        )
