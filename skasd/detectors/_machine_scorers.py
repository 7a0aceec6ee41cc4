"""Back ends on embeddings: one for each machine, and one for clips of no machine or of another."""

from typing import Any

import numpy as np

from skasd.scoring import BackEnd


def fitted_back_ends(
    scorer: Any, embedding: np.ndarray, machines: np.ndarray, domains: np.ndarray, *, seed: int, each: bool = True
) -> dict[str, BackEnd]:
    """Back ends by machine, and one of all clips by the name "".

    Parameters
    ----------
    scorer : estimator
        What is cloned for each.
    embedding : ndarray of shape (n_clips, embedding_dim)
        Of the training clips.
    machines, domains : ndarray of shape (n_clips,)
        Machine of each clip, and ``"source"`` or ``"target"``.
    seed : int
        For scorers with a `random_state` that is None.
    each : bool, default=True
        Whether machines of at least two clips have one of their own.
    """
    rows = {"": np.ones(len(machines), dtype=bool)}
    if each:
        rows |= {str(name): machines == name for name in np.unique(machines) if (machines == name).sum() > 1}
    back_ends = {name: BackEnd(scorer, seed=seed) for name in rows}
    return {name: back_end.fit(embedding[rows[name]], domains[rows[name]]) for name, back_end in back_ends.items()}


def distance(back_ends: dict[str, BackEnd], embedding: np.ndarray, machines: np.ndarray) -> np.ndarray:
    """Anomaly score (n_clips,) of embeddings by the back ends of their machines."""
    scores = np.empty(len(embedding))
    for name in np.unique(machines):
        back_end = back_ends.get(str(name), back_ends[""])
        scores[machines == name] = back_end.anomaly_score(embedding[machines == name])
    return scores
