"""Approximate nearest neighbours: a graph that is searched in logarithmic time, instead of a distance to every known clip.

Y. Malkov, D. Yashunin, "Efficient and robust approximate nearest neighbor search using hierarchical navigable small world
graphs", IEEE TPAMI 42(4), 2020. arXiv:1603.09320.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from sklearn.utils import gen_batches

from skasd._parameters import check_option

NEIGHBORS = ("exact", "approximate")
_LINKS = 32  # of a clip in each layer of the graph, M of the paper
_BUILD_WIDTH, _SEARCH_WIDTH = 80, 64  # candidates while a clip is added, and while one is searched: ef of the paper
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
    """Nearest neighbours by a graph, with the exact distances of those that are found.

    It stands in for ``sklearn.neighbors.NearestNeighbors``. Pickles and model files hold the embeddings alone: the graph is
    built again when it is first used, and is the same one, since it is built in one thread from a fixed seed.

    Parameters
    ----------
    embedding : ndarray of shape (n_known, embedding_dim)
        Known embeddings.
    """

    _graph: Any = None

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
        for part in gen_batches(len(wanted), _CLIPS_AT_A_TIME):
            own = np.arange(part.start, part.stop) if x is None else None
            parts.append(self._nearest(wanted[part], n_neighbors, own))
        distance, position = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        return distance, position

    def _nearest(self, x: np.ndarray, n_neighbors: int, own: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        n_found = n_neighbors + (own is not None)
        width = _faiss().SearchParametersHNSW(efSearch=max(_SEARCH_WIDTH, 2 * n_found))
        _, position = self._built().search(np.ascontiguousarray(x, dtype=np.float32), n_found, params=width)
        found = np.linalg.norm(self.embedding[position] - x[:, None], axis=2)
        for clip in np.flatnonzero((position < 0).any(axis=1)):  # copies are linked to each other, and to few others
            to_all = np.linalg.norm(self.embedding - x[clip], axis=1)
            position[clip] = np.argsort(to_all, kind="stable")[:n_found]
            found[clip] = to_all[position[clip]]
        if own is not None:
            found = _without(position == own[:, None], found)
        order = np.argsort(found, axis=1, kind="stable")[:, :n_neighbors]
        return np.take_along_axis(found, order, axis=1), np.take_along_axis(position, order, axis=1)

    def _built(self) -> Any:
        """The graph, built when it is first needed."""
        if self._graph is None:
            faiss = _faiss()
            with _one_thread(faiss):
                graph = faiss.IndexHNSWFlat(self.embedding.shape[1], _LINKS)
                graph.hnsw.efConstruction = _BUILD_WIDTH
                graph.add(np.ascontiguousarray(self.embedding, dtype=np.float32))
            self._graph = graph
        return self._graph


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
    """One thread of faiss within a ``with`` block: the links of a graph depend on the order in which clips are added."""
    n_threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(n_threads)
