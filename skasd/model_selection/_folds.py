"""Assignment of clips to test folds so that every kind of clip is spread evenly.

A kind is a stratum, such as the normal clips of one section or the anomalies of another.
"""

import numpy as np


def folds_of_clips(kind: np.ndarray, n_splits: int, rng: np.random.RandomState | None) -> np.ndarray:
    """Fold (n_clips,) of each clip: each kind is split equally, into contiguous blocks if `rng` is None.

    Each kind continues with the fold after the last one used by the previous kind, so that fold sizes are even too.
    """
    fold = np.empty(len(kind), dtype=np.int64)
    n_done = 0
    for value in np.unique(kind):
        rows = np.flatnonzero(kind == value)
        if rng is not None:
            rows = rng.permutation(rows)
        fold[rows] = np.sort((n_done + np.arange(len(rows))) % n_splits)
        n_done += len(rows)
    return fold


def folds_of_groups(
    kind: np.ndarray, group: np.ndarray, n_splits: int, rng: np.random.RandomState | None
) -> np.ndarray:
    """Fold (n_clips,) of each clip, keeping the clips of a group together.

    Groups are assigned greedily, starting with those whose kinds are most unbalanced. Each goes to the fold that keeps the
    distribution of all kinds most even; ties go to the smallest fold.
    """
    _, kind = np.unique(kind, return_inverse=True)
    _, group = np.unique(group, return_inverse=True)
    counts = np.zeros((group.max() + 1, kind.max() + 1))
    np.add.at(counts, (group, kind), 1)
    order = np.arange(len(counts)) if rng is None else rng.permutation(len(counts))
    order = order[np.argsort(-counts[order].std(axis=1), kind="stable")]
    fold = np.empty(len(counts), dtype=np.int64)
    held = np.zeros((n_splits, counts.shape[1]))
    for row in order:
        tried = held + np.eye(n_splits)[:, :, None] * counts[row]  # (n_splits to try, n_splits, n_kinds)
        unevenness = (tried / counts.sum(axis=0)).std(axis=1).mean(axis=1)
        fold[row] = np.lexsort((held.sum(axis=1), unevenness.round(12)))[0]
        held[fold[row]] += counts[row]
    return fold[group]
