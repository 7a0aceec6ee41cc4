"""Distances between embeddings, and the nearest of many without a matrix of all of them.

An embedding that is that of a known clip, but for rounding, is taken for that clip, and compared with the others, since the
distance to itself says nothing.
"""

import numpy as np
from sklearn.neighbors import NearestNeighbors
from sklearn.utils import gen_batches

METRICS = ("cosine", "chord", "euclidean")
_CLIPS_AT_A_TIME = 4096
_RESOLUTION = 1e-6  # of the difference of unit vectors that a network made in float32
_SAME = 1e-5  # times the length: farther than rounding moves an embedding made among other clips or on another device


def scaled(embedding: np.ndarray, metric: str) -> np.ndarray:
    """Embeddings between which the Euclidean distance is taken: of unit length but for ``"euclidean"``; zeros stay zeros."""
    if metric == "euclidean":
        return embedding
    length = np.linalg.norm(embedding, axis=1, keepdims=True)
    return embedding / np.where(length > 0, length, 1)


def distance(euclidean: np.ndarray, metric: str) -> np.ndarray:
    r"""Distance of a metric from the Euclidean one of scaled embeddings: :math:`1 - \cos` is half its square."""
    return euclidean**2 / 2 if metric == "cosine" else euclidean


def are_same(nearest: np.ndarray, x: np.ndarray, metric: str) -> np.ndarray:
    """Whether scaled embeddings x (n_clips, embedding_dim) are those of the known clips at the distances (n_clips,)."""
    return nearest <= _SAME * (np.linalg.norm(x, axis=1) if metric == "euclidean" else 1)


class KnownEmbeddings:
    """Embeddings of training clips, searched through in parts, so that memory does not grow with their number.

    Parameters
    ----------
    embedding : ndarray of shape (n_known, embedding_dim)
        Scaled.
    metric : {"cosine", "chord", "euclidean"}
        Of the distances.
    are_clips : bool, default=True
        Whether they are clips, one of which a new embedding may be; or centres, say.
    """

    def __init__(self, embedding: np.ndarray, metric: str, *, are_clips: bool = True) -> None:
        self.embedding, self.metric, self.are_clips = embedding, metric, are_clips
        self._index = NearestNeighbors(algorithm="brute", metric="euclidean").fit(embedding)

    def __len__(self) -> int:
        return len(self.embedding)

    def spread(self, n_neighbors: int) -> np.ndarray:
        """Mean distance (n_known,) of each to its nearest others."""
        found, _ = self._index.kneighbors(n_neighbors=n_neighbors)
        return distance(found, self.metric).mean(axis=1)

    def mean_distance(self, x: np.ndarray, n_neighbors: int) -> np.ndarray:
        """Mean distance to the nearest known embeddings.

        Parameters
        ----------
        x : ndarray of shape (n_clips, embedding_dim)
            Scaled.
        n_neighbors : int
            Over how many the mean is taken; over all if fewer are known.

        Returns
        -------
        distance : ndarray of shape (n_clips,)
            Infinite where there is nothing to be compared with.
        """
        parts = gen_batches(len(x), _CLIPS_AT_A_TIME)
        return np.concatenate([self._mean_distance(x[part], n_neighbors) for part in parts])

    def _mean_distance(self, x: np.ndarray, n_neighbors: int) -> np.ndarray:
        found, _ = self._index.kneighbors(x, min(n_neighbors + 1, len(self)))
        is_same = are_same(found[:, 0], x, self.metric) & self.are_clips
        if self.metric != "euclidean":
            found[found < _RESOLUTION] = 0
        found[is_same, 0] = np.inf
        nearest = distance(np.sort(found, axis=1)[:, :n_neighbors], self.metric)
        n_found = np.isfinite(nearest).sum(axis=1)
        total = np.where(np.isfinite(nearest), nearest, 0).sum(axis=1)
        return np.where(n_found, total / np.maximum(n_found, 1), np.inf)


def finite(score: np.ndarray) -> np.ndarray:
    """Zero for the score of the only known clip, which has nothing to be far from."""
    return np.where(np.isfinite(score), score, 0)
