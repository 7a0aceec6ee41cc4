"""Selection of anomalies by their p-values."""

import numpy as np
import pytest

from skasd.decisions._selection import benjamini_hochberg, in_order


class FirstTwo:
    """A procedure for streams that selects the first two clips with p < 0.1."""

    n = 0

    def test_one(self, p_value):
        self.n += p_value < 0.1
        return p_value < 0.1 and self.n <= 2


def selected_by_hand(p, fdr):
    order = np.argsort(p)
    passes = np.flatnonzero(p[order] <= fdr * np.arange(1, len(p) + 1) / len(p))
    chosen = np.zeros(len(p), dtype=bool)
    chosen[order[: passes[-1] + 1 if len(passes) else 0]] = True
    return chosen


@pytest.mark.parametrize("seed", range(10))
def test_the_selection_is_that_of_benjamini_and_hochberg(seed):
    rng = np.random.default_rng(seed)
    p = np.r_[rng.random(30), 0.02 * rng.random(10)]
    np.testing.assert_array_equal(benjamini_hochberg(p, 0.1), selected_by_hand(p, 0.1))


def test_clips_without_a_p_value_are_not_in_the_batch():
    p = np.array([0.01, np.nan, 0.04])
    np.testing.assert_array_equal(benjamini_hochberg(p, 0.05), [True, False, True])
    np.testing.assert_array_equal(benjamini_hochberg(np.full(3, np.nan), 0.05), [False] * 3)


def test_a_procedure_for_streams_gets_the_clips_in_their_order():
    p = np.array([0.5, 0.01, np.nan, 0.02, 0.03])
    np.testing.assert_array_equal(in_order(p, FirstTwo()), [False, True, False, True, False])
    with pytest.raises(TypeError, match="has no method test_one"):
        in_order(p, object())


def test_online_fdr_is_such_a_procedure():
    online_fdr = pytest.importorskip("online_fdr.p_values", reason="online-fdr is optional")
    chosen = in_order(np.array([1e-6, 0.9, 1e-5]), online_fdr.Lond(0.1))
    assert chosen.tolist() == [True, False, True]
