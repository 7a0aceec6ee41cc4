"""SMOTE: oversample a small domain by interpolating between its clips.

N. Chawla et al., "SMOTE", JAIR 2002, arXiv:1106.1813.
"""

import numpy as np
from sklearn.neighbors import NearestNeighbors

from skasd._parameters import check_integer, check_number

_LARGEST_RATIO = 100


def check_smote(ratio: float, n_neighbors: int) -> None:
    """Raise if a parameter of SMOTE is out of range."""
    check_number("smote_ratio", ratio, low=0, high=_LARGEST_RATIO)
    check_integer("smote_neighbors", n_neighbors, low=1)


def interpolated(embedding: np.ndarray, n_new: int, n_neighbors: int, generator: np.random.RandomState) -> np.ndarray:
    r"""New embeddings :math:`e_a + u (e_b - e_a)`, interpolated between given embeddings and their neighbours.

    Parameters
    ----------
    embedding : ndarray of shape (n_clips, embedding_dim)
        Embeddings of one domain.
    n_new : int
        Number of new embeddings.
    n_neighbors : int
        Number of nearest neighbours from which :math:`b` is drawn.
    generator : RandomState
        Draws :math:`a`, :math:`b`, and :math:`u` uniformly from [0, 1).

    Returns
    -------
    new : ndarray of shape (n_new, embedding_dim)
        New embeddings; empty if there are no more than `n_neighbors` clips.
    """
    if n_new < 1 or len(embedding) <= n_neighbors:
        return embedding[:0]
    neighbors = NearestNeighbors(n_neighbors=n_neighbors).fit(embedding).kneighbors(return_distance=False)
    first = generator.randint(len(embedding), size=n_new)
    second = neighbors[first, generator.randint(n_neighbors, size=n_new)]
    share = generator.uniform(size=(n_new, 1)).astype(embedding.dtype)
    return embedding[first] + share * (embedding[second] - embedding[first])


def grown_target(
    embedding: np.ndarray, is_target: np.ndarray, ratio: float, n_neighbors: int, generator: np.random.RandomState
) -> np.ndarray:
    """Embeddings of the target domain, oversampled to `ratio` times the size of the source domain.

    Parameters
    ----------
    embedding : ndarray of shape (n_clips, embedding_dim)
        Embeddings of both domains.
    is_target : ndarray of shape (n_clips,), bool
        Whether a clip belongs to the target domain.
    ratio : float
        Minimum size of the target domain relative to the source domain, dimensionless; 0 adds nothing.
    n_neighbors : int
        Number of nearest neighbours, as in :func:`interpolated`.
    generator : RandomState
        Source of randomness, as in :func:`interpolated`.

    Returns
    -------
    target : ndarray of shape (n_target_clips, embedding_dim)
        The given embeddings followed by the new ones.
    """
    target = embedding[is_target]
    n_new = int(ratio * np.count_nonzero(~is_target)) - len(target)
    return np.concatenate([target, interpolated(target, n_new, n_neighbors, generator)])
