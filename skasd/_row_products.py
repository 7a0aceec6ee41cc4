"""row_products: a matrix product in which the rows do not change each other."""

import numpy as np


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
    return (X[:, None] @ matrix)[:, 0]
