"""Approximate nearest neighbours: clips are sorted into cells, and only those of the nearest cells are compared.

A graph of neighbours (HNSW) would take n log n and less time for millions of clips, but where a machine has operating states
of different spread, its search ends in the wrong one for some clips, which then look anomalous.

M. Douze et al., "The Faiss library", 2024. arXiv:2401.08281.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from skasd._parameters import check_option

NEIGHBORS = ("exact", "approximate")
_CELLS = 2  # times the square root of the number of clips
_SEARCHED = 64  # cells: all of them up to 1024 clips
_CLIPS_AT_A_TIME = 4096


def check_neighbors(neighbors: Any) -> None:
    """Raise if the parameter `neighbors` is unknown, or takes a library that is not installed."""
    check_option("neighbors", neighbors, NEIGHBORS)
    if neighbors == "approximate":
        _faiss()


def _faiss() -> Any:
    try:
        import faiss
    except ImportError as error:
        raise ImportError(
            "neighbors='approximate' needs faiss: pip install \"skasd[approximate]\". neighbors='exact' does without it."
        ) from error
    return faiss


class ApproximateNeighbors:
    """Nearest neighbours in the nearest cells, with their exact distances.

    It stands in for ``sklearn.neighbors.NearestNeighbors``. Pickles and model files hold the embeddings alone: the cells are
    made again when they are first used, and are the same ones, as they are made in one thread from a fixed seed.

    Parameters
    ----------
    embedding : ndarray of shape (n_known, embedding_dim)
        Known embeddings.
    """

    _cells: Any = None

    def __init__(self, embedding: np.ndarray) -> None:
        self.embedding = embedding

    def __getstate__(self) -> dict[str, Any]:
        return {"embedding": self.embedding}

    def kneighbors(self, x: np.ndarray | None = None, n_neighbors: int = 1) -> tuple[np.ndarray, np.ndarray]:
        """Nearest known embeddings.

        Parameters
        ----------
        x : ndarray of shape (n_clips, embedding_dim) or None, default=None
            Embeddings. None takes the known ones, of which none is its own neighbour.
        n_neighbors : int, default=1
            Number of neighbours, at most the number of (other) known embeddings.

        Returns
        -------
        distance : ndarray of shape (n_clips, n_neighbors)
            Euclidean distances, ascending.
        position : ndarray of shape (n_clips, n_neighbors), int
            Positions of the neighbours.
        """
        wanted = self.embedding if x is None else x
        parts = []
        for start in range(0, len(wanted), _CLIPS_AT_A_TIME):
            part = wanted[start : start + _CLIPS_AT_A_TIME]
            own = start + np.arange(len(part)) if x is None else None
            parts.append(self._nearest(part, n_neighbors, own))
        distance, position = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        return distance, position

    def _nearest(self, x: np.ndarray, n_neighbors: int, own: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        n_found = n_neighbors + (own is not None)
        cells, few = self._made(), _faiss().SearchParametersIVF(nprobe=_SEARCHED)
        _, position = cells.search(self._near_zero(x), n_found, params=few)
        found = np.linalg.norm(self.embedding[position] - x[:, None], axis=2)
        for clip in np.flatnonzero((position < 0).any(axis=1)):  # the cells hold too few
            to_all = np.linalg.norm(self.embedding - x[clip], axis=1)
            position[clip] = np.argsort(to_all, kind="stable")[:n_found]
            found[clip] = to_all[position[clip]]
        if own is not None:
            found = _without(position == own[:, None], found)
        order = np.argsort(found, axis=1, kind="stable")[:, :n_neighbors]
        return np.take_along_axis(found, order, axis=1), np.take_along_axis(position, order, axis=1)

    def _near_zero(self, x: np.ndarray) -> np.ndarray:
        """Embeddings in float32, relative to the mean of the known ones, so that a common offset costs no digits."""
        return np.ascontiguousarray(x - self.embedding.mean(axis=0), dtype=np.float32)

    def _made(self) -> Any:
        """The cells, made by k-means when they are first needed."""
        if self._cells is None:
            faiss = _faiss()
            n_known, n_features = self.embedding.shape
            n_cells = max(1, int(_CELLS * n_known**0.5))
            known = self._near_zero(self.embedding)
            with _one_thread(faiss):
                cells = faiss.IndexIVFFlat(faiss.IndexFlatL2(n_features), n_features, min(n_cells, n_known))
                cells.cp.min_points_per_centroid = 1
                cells.train(known)
                cells.add(known)
            self._cells = cells
        return self._cells


class DensityLayers:
    """Nearest neighbours among clips of each density, so that those of sparse regions are found beside those of dense ones.

    Parameters
    ----------
    embedding : ndarray of shape (n_known, embedding_dim)
        Known embeddings.
    spread : ndarray of shape (n_known,)
        Mean distance of each to its neighbours, positive.
    step : float
        Ratio of the largest to the smallest spread of a layer.
    """

    def __init__(self, embedding: np.ndarray, spread: np.ndarray, step: float) -> None:
        level = np.floor(np.log(spread / spread.min()) / np.log(step))
        self._members = [np.flatnonzero(level == one) for one in np.unique(level)]
        self._layers = [ApproximateNeighbors(embedding[members]) for members in self._members]

    def kneighbors(self, x: np.ndarray, n_neighbors: int) -> tuple[np.ndarray, np.ndarray]:
        """Nearest known embeddings of each layer, one layer after the other.

        Parameters
        ----------
        x : ndarray of shape (n_clips, embedding_dim)
            Embeddings.
        n_neighbors : int
            Number of neighbours in a layer; all if it has fewer.

        Returns
        -------
        distance : ndarray of shape (n_clips, n_found)
            Euclidean distances.
        position : ndarray of shape (n_clips, n_found), int
            Positions of the neighbours among all known embeddings.
        """
        found, which = [], []
        for layer, members in zip(self._layers, self._members, strict=True):
            distance, position = layer.kneighbors(x, min(n_neighbors, len(members)))
            found.append(distance)
            which.append(members[position])
        return np.hstack(found), np.hstack(which)


def _without(is_own: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Distances (n_clips, n_found) with that of the clip itself last, or the farthest if the clip did not find itself."""
    is_own = is_own.copy()
    is_own[~is_own.any(axis=1), -1] = True
    return np.where(is_own, np.inf, found)


@contextmanager
def _one_thread(faiss: Any) -> Iterator[None]:
    """One thread of faiss within a ``with`` block: the last bits of sums depend on their number."""
    n_threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(n_threads)
