"""row_products: a matrix product in which the rows do not change each other."""

import numpy as np

_CACHED_BYTES = 2**19  # of the matrix at a time: each row reads it anew


def row_products(X: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Product of each row of X with a matrix.

    The last bits of a row of ``X @ matrix`` depend on the number of rows, by which BLAS chooses how it sums; here they do
    not, so that a clip has the same score alone and among others.

    Parameters
    ----------
    X : ndarray of shape (n, d)
        Rows.
    matrix : ndarray of shape (d, k)
        Matrix.

    Returns
    -------
    products : ndarray of shape (n, k)
        ``X @ matrix``.
    """
    n_columns = max(1, _CACHED_BYTES // max(1, matrix.itemsize * len(matrix)))
    parts = [matrix[:, start : start + n_columns] for start in range(0, matrix.shape[1], n_columns)]
    if len(parts) <= 1:
        return (X[:, None] @ matrix)[:, 0]
    return np.concatenate([(X[:, None] @ part)[:, 0] for part in parts], axis=1)
