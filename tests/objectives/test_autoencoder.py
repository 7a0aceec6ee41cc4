import numpy as np
import pytest
import torch

from skasd.objectives._autoencoder import AutoencoderObjective, Residuals
from skasd.scoring._residual_mahalanobis import covariance_of_batches, mahalanobis_score, shrunk_inverse

ROWS = np.array([[1.0, 0.0], [-1.0, 0.0], [2.0, 1.0], [0.0, -1.0]])
SOURCE, TARGET = np.diag([2.0, 0.5]), np.diag([0.25, 4.0])


def score(rows, *inverses, form="clip_mean"):
    return mahalanobis_score(rows[None], np.array(inverses), form)


class Plus(torch.nn.Module):
    def __init__(self, difference):
        super().__init__()
        self.difference = difference

    def forward(self, patch):
        return patch + self.difference


@pytest.mark.parametrize(
    ("inverse", "official", "per_frame"),
    [(SOURCE, 0.5, 3.25), (np.array([[2.0, 0.3], [0.3, 0.5]]), 0.5, 3.55)],
)
def test_values_of_the_specification(inverse, official, per_frame):
    assert score(ROWS, inverse) == pytest.approx(official)
    assert score(ROWS, inverse, form="frame") == pytest.approx(per_frame)


def test_residuals_that_cancel_are_nothing_to_the_official_form():
    both = np.concatenate([ROWS, -ROWS])
    assert score(both, SOURCE) == pytest.approx(0)
    assert score(both, SOURCE, form="frame") == pytest.approx(3.25)


def test_the_nearer_domain_counts():
    assert score(ROWS, SOURCE, TARGET) == pytest.approx(0.0625)
    assert score(ROWS, SOURCE, TARGET, form="frame") == pytest.approx(2.375)
    assert score(ROWS, SOURCE, TARGET, form="frame_minimum") == pytest.approx(1.5)


def test_official_form_is_the_mean_of_the_whole_matrix_of_products():
    rows = np.random.default_rng(0).standard_normal((50, 4))
    inverse = np.cov(rows.T)
    assert score(rows, inverse) == pytest.approx((rows @ inverse @ rows.T).mean(), rel=1e-12)


def test_order_of_the_forms():
    rng = np.random.default_rng(0)
    for _ in range(20):
        rows = rng.standard_normal((10, 3))
        inverses = [np.cov(rng.standard_normal((3, 9))) for _ in range(2)]
        made = {form: score(rows, *inverses, form=form) for form in ("clip_mean", "frame", "frame_minimum")}
        assert made["clip_mean"] <= made["frame"]
        assert made["frame_minimum"] <= made["frame"]


def test_scatter_of_two_patches():
    rows = np.tile(np.arange(5.0), 2).reshape(2, 5, 1)
    assert covariance_of_batches([rows]) == pytest.approx(20)
    assert covariance_of_batches([rows], centering="global") == pytest.approx(20 / 9)


def test_each_batch_is_centred_by_itself_or_all_together():
    batches = [np.arange(5.0).reshape(1, 5, 1), np.arange(5.0).reshape(1, 5, 1) + 10]
    assert covariance_of_batches(batches) == pytest.approx(20)
    assert covariance_of_batches(batches, centering="global") == pytest.approx(270 / 9)


def test_global_covariance_is_that_of_numpy():
    residual = np.random.default_rng(0).standard_normal((30, 5, 4)) + 3
    expected = np.cov(residual.reshape(-1, 4).T)
    np.testing.assert_allclose(covariance_of_batches(np.split(residual, 3), centering="global"), expected)


def test_shrinkage_adds_to_the_variances():
    covariance = np.diag([1.0, 3.0])
    np.testing.assert_allclose(shrunk_inverse(covariance, 0.5), np.diag([1 / 2, 1 / 4]))
    np.testing.assert_allclose(shrunk_inverse(covariance, 0.0), np.linalg.inv(covariance))


def test_a_band_that_never_changes_counts_for_nothing():
    np.testing.assert_allclose(shrunk_inverse(np.diag([2.0, 0.0]), 0.0), np.diag([0.5, 0.0]))


@pytest.mark.parametrize(("difference", "expected"), [(0.0, 0.0), (1.0, 1.0), (-2.0, 4.0)])
def test_loss_is_the_mean_squared_residual(difference, expected):
    patch = torch.randn(3, 5, 4)
    inputs = {"patch": patch}
    objective = AutoencoderObjective(Plus(difference))
    loss = objective(inputs, torch.zeros(3), torch.Generator())
    assert loss.item() == pytest.approx(expected, abs=1e-6)
    torch.testing.assert_close(Residuals(Plus(difference))(patch), torch.full_like(patch, -difference))
