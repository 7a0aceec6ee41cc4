import numpy as np

from skasd.scoring._smote import grown_target, interpolated


class Fixed:
    """A generator that draws what the test says."""

    def __init__(self, integers, share):
        self.integers, self.share = iter(integers), share

    def randint(self, high, size):
        return np.full(size, next(self.integers))

    def uniform(self, size):
        return np.full(size, self.share)


def test_new_clip_lies_on_the_way_to_a_neighbour():
    new = interpolated(np.array([[0.0, 0.0], [2.0, 1.0]]), 1, 1, Fixed([0, 0], 0.25))
    np.testing.assert_allclose(new, [[0.5, 0.25]])


def test_neighbours_are_the_nearest_others():
    line = np.array([[0.0], [1.0], [10.0], [11.0]])
    new = interpolated(line, 500, 1, np.random.RandomState(0))
    assert ((new <= 1) | (new >= 10)).all()
    assert len(np.unique(new)) > 450


def test_twenty_for_a_hundred():
    X, is_target = np.random.default_rng(0).standard_normal((1000, 3)), np.arange(1000) >= 990
    target = grown_target(X, is_target, 0.2, 2, np.random.RandomState(0))
    assert len(target) == 198
    np.testing.assert_array_equal(target[:10], X[990:])


def test_too_few_to_interpolate_stay_as_they_are():
    X, is_target = np.random.default_rng(0).standard_normal((100, 3)), np.arange(100) >= 98
    np.testing.assert_array_equal(grown_target(X, is_target, 0.2, 2, np.random.RandomState(0)), X[98:])


def test_enough_target_clips_stay_as_they_are():
    X, is_target = np.random.default_rng(0).standard_normal((100, 3)), np.arange(100) >= 50
    np.testing.assert_array_equal(grown_target(X, is_target, 0.2, 2, np.random.RandomState(0)), X[50:])
