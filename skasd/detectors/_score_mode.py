"""What ``score_with="auto"`` stands for, clip table by clip table."""

import warnings

import numpy as np


def settled_mode(score_with: str, machines: np.ndarray, *, knows_labels: bool, of_offset: str | None) -> str:
    """What clips are scored with; warns where the threshold is of another scale.

    Parameters
    ----------
    score_with : str
        What the detector was told.
    machines : ndarray of shape (n_clips,), str
        Machine of each clip, "" where the table names none.
    knows_labels : bool
        Whether several machines were trained on.
    of_offset : str or None
        What the clips that set the threshold were scored with; None while they are.

    Returns
    -------
    mode : str
        "label" or "embedding" for "auto", the first where there are several machines and every clip has a name; else what
        the detector was told.
    """
    if score_with != "auto":
        return score_with
    mode = "label" if knows_labels and (machines != "").all() else "embedding"
    if of_offset not in (mode, None):
        warnings.warn(
            f"Scores are by the {mode} of the clips, since X names no machine, and the threshold offset_ is of scores by "
            f"{of_offset}: score_samples can be ranked, but predict and decision_function are off. Name the machines, or "
            f"fit with score_with={mode!r}.",
            stacklevel=5,
        )
    return mode
