import numpy as np
import pytest

from skasd import _row_products
from skasd._row_products import row_products


@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (3, 7), (64, 5000)])  # of the matrix: empty, one part, several parts
def test_it_is_the_product_and_a_row_does_not_depend_on_the_others(shape):
    generator = np.random.default_rng(0)
    X, matrix = generator.normal(size=(30, shape[0])), generator.normal(size=shape)
    products = row_products(X, matrix)
    np.testing.assert_allclose(products, X @ matrix, rtol=1e-9, atol=1e-12)
    for row in (0, 7, 29):
        np.testing.assert_array_equal(row_products(X[row : row + 1], matrix)[0], products[row])


def test_a_column_too_long_for_the_cache_is_taken_alone(monkeypatch):
    monkeypatch.setattr(_row_products, "_CACHED_BYTES", 64)
    X, matrix = np.random.default_rng(0).normal(size=(2, 4, 100))
    np.testing.assert_allclose(row_products(X, matrix.T), X @ matrix.T)
