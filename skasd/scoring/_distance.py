"""Distances between embeddings, and nearest neighbours without a full distance matrix.

An embedding that equals that of a training clip up to rounding is treated as that clip and compared with the other clips,
because its distance to itself carries no information.
"""

from typing import Any

import numpy as np

from skasd.scoring._approximate import ApproximateNeighbors

METRICS = ("cosine", "chord", "euclidean")
_CLIPS_AT_A_TIME = 4096
RESOLUTION = 1e-6  # smallest meaningful distance of unit vectors that a network computed in float32
_NEAR_COPY = 1e-3  # relative to the root mean square distance to the mean; one recording, dithered or written anew
_MANY_COPIES = 2000  # more are compared through a search tree, a few of them all with each other
_SAME = 1e-5  # relative to the length; exceeds rounding differences between batches and devices


def scaled(embedding: np.ndarray, metric: str) -> np.ndarray:
    """Embeddings scaled to unit length, or unchanged for ``"euclidean"``; zero vectors stay zero."""
    if metric == "euclidean":
        return embedding
    length = np.linalg.norm(embedding, axis=1, keepdims=True)
    return embedding / np.where(length > 0, length, 1)


def distance(euclidean: np.ndarray, metric: str) -> np.ndarray:
    r"""Distance in `metric` from the Euclidean distance of scaled embeddings: :math:`1 - \cos` is half its square."""
    return euclidean**2 / 2 if metric == "cosine" else euclidean


def are_same(nearest: np.ndarray, x: np.ndarray, metric: str) -> np.ndarray:
    """Whether scaled embeddings x (n_clips, embedding_dim) equal their nearest known clips, given distances (n_clips,)."""
    return nearest <= _SAME * (np.linalg.norm(x, axis=1) if metric == "euclidean" else 1)


def is_near_copy(nearest: np.ndarray, embedding: np.ndarray) -> np.ndarray:
    """Whether training clips with these distances to the nearest other one are almost equal to it."""
    return nearest <= _near_copy_radius(embedding)


def _near_copy_radius(embedding: np.ndarray) -> float:
    return float(_NEAR_COPY * np.sqrt(embedding.var(axis=0).sum(dtype=np.float64)))


def without_near_copies(embedding: np.ndarray, neighbors: str = "exact") -> np.ndarray:
    """Embeddings (n_different, embedding_dim) of which no two are almost equal; the first of a group is kept.

    Parameters
    ----------
    embedding : ndarray of shape (n_clips, embedding_dim)
        Embeddings of training clips.
    neighbors : {"exact", "approximate"}, default="exact"
        Whether all embeddings are compared with each other, or those that a search tree finds; what is found is the same.
    """
    if len(embedding) < 2:
        return embedding
    from sklearn.neighbors import KDTree, NearestNeighbors

    radius = _near_copy_radius(embedding)
    if neighbors == "approximate":
        tree = KDTree(embedding)
        waiting = np.flatnonzero(tree.query_radius(embedding, radius, count_only=True) > 1)
        return _first_of_groups(embedding, waiting, tree, radius)
    nearest, _ = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(embedding).kneighbors()
    waiting = np.flatnonzero(nearest[:, 0] <= radius)
    if len(waiting) > _MANY_COPIES:
        return _first_of_groups(embedding, waiting, KDTree(embedding), radius)
    is_kept = np.ones(len(embedding), dtype=bool)
    while len(waiting):
        first, others = waiting[0], waiting[1:]
        is_near = np.linalg.norm(embedding[others] - embedding[first], axis=1) <= radius
        is_kept[others[is_near]] = False
        waiting = others[~is_near]
    return embedding if is_kept.all() else embedding[is_kept]


def _first_of_groups(embedding: np.ndarray, waiting: np.ndarray, tree: Any, radius: float) -> np.ndarray:
    """Embeddings without those that follow one, at these positions (ascending), that is kept and within the radius."""
    is_kept = np.ones(len(embedding), dtype=bool)
    for clip in waiting:
        if is_kept[clip]:
            near = tree.query_radius(embedding[clip : clip + 1], radius)[0]
            is_kept[near[near > clip]] = False
    return embedding if is_kept.all() else embedding[is_kept]


class KnownEmbeddings:
    """Nearest-neighbour search among known embeddings, in chunks, so that memory use does not grow with their number.

    Parameters
    ----------
    embedding : ndarray of shape (n_known, embedding_dim)
        Known embeddings, scaled.
    metric : {"cosine", "chord", "euclidean"}
        Metric of the distances.
    are_clips : bool, default=True
        Whether the embeddings belong to clips, which may be scored again, rather than being cluster centres.
    neighbors : {"exact", "approximate"}, default="exact"
        Whether all embeddings are compared, or those of the nearest cells.
    """

    def __init__(self, embedding: np.ndarray, metric: str, *, are_clips: bool = True, neighbors: str = "exact") -> None:
        from sklearn.neighbors import NearestNeighbors

        self.embedding, self.metric, self.are_clips = embedding, metric, are_clips
        if neighbors == "approximate":
            self._index: Any = ApproximateNeighbors(embedding)
        else:
            self._index = NearestNeighbors(algorithm="brute", metric="euclidean").fit(embedding)

    def __len__(self) -> int:
        return len(self.embedding)

    def spread(self, n_neighbors: int) -> np.ndarray:
        """Mean distance (n_known,) of each known embedding to its nearest others."""
        found, _ = self._index.kneighbors(n_neighbors=n_neighbors)
        return distance(found, self.metric).mean(axis=1)

    def mean_distance(self, x: np.ndarray, n_neighbors: int) -> np.ndarray:
        """Mean distance to the nearest known embeddings.

        Parameters
        ----------
        x : ndarray of shape (n_clips, embedding_dim)
            Embeddings to score, scaled.
        n_neighbors : int
            Number of neighbours to average over; all if fewer are known.

        Returns
        -------
        distance : ndarray of shape (n_clips,)
            Mean distance; infinite if there is no other embedding to compare with.
        """
        from sklearn.utils import gen_batches

        parts = gen_batches(len(x), _CLIPS_AT_A_TIME)
        return np.concatenate([self._mean_distance(x[part], n_neighbors) for part in parts])

    def _mean_distance(self, x: np.ndarray, n_neighbors: int) -> np.ndarray:
        found, _ = self._index.kneighbors(x, min(n_neighbors + 1, len(self)))
        is_same = are_same(found[:, 0], x, self.metric) & self.are_clips
        if self.metric != "euclidean":
            found[found < RESOLUTION] = 0
        found[is_same, 0] = np.inf
        nearest = distance(np.sort(found, axis=1)[:, :n_neighbors], self.metric)
        n_found = np.isfinite(nearest).sum(axis=1)
        total = np.where(np.isfinite(nearest), nearest, 0).sum(axis=1)
        return np.where(n_found, total / np.maximum(n_found, 1), np.inf)


def finite(score: np.ndarray) -> np.ndarray:
    """Score with infinities replaced by zero; they occur for the only known clip, which has no neighbour."""
    return np.where(np.isfinite(score), score, 0)
