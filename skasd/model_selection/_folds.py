"""Which fold each clip is tested in, so that every kind of clip is spread evenly.

A kind is what must be spread: normal clips of one section, anomalies of another.
"""

import numpy as np


def folds_of_clips(kind: np.ndarray, n_splits: int, rng: np.random.RandomState | None) -> np.ndarray:
    """Fold of each clip, of shape (n_clips,): each kind in equal shares, contiguous if `rng` is None.

    The first clip of a kind goes where the last of the kind before left off, so that whole folds are even too.
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
    """Fold of each clip, of shape (n_clips,), with the clips of a group together.

    Groups are placed one by one, the most one-sided first, each in the fold that leaves the shares of all kinds most
    even; among equal folds, in the smallest.
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
