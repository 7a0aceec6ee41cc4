import math

import numpy as np
import pytest
import torch

from skasd.losses import two_view_loss

EYE = torch.eye(2, dtype=torch.float64)
NEAR = torch.tensor([[0.8, 0.6], [0.6, 0.8]], dtype=torch.float64)
THREE = torch.tensor([[1.0, 0], [0, 1], [-1, 0]], dtype=torch.float64)
OTHER = torch.tensor([[0.8, 0.6], [0.6, 0.8], [0, -1]], dtype=torch.float64)
FORMS = ("one_way", "symmetric", "one_way_with_positive")


@pytest.mark.parametrize(
    ("first", "second", "temperature", "expected"),
    [
        (EYE, EYE, 0.07, (-28.571429, 1.249749e-06, 6.248748e-07)),
        (EYE, EYE, 1.0, (-2.0, math.log(1 + 2 / math.e), 0.313262)),
        (EYE, NEAR, 1.0, (-0.4, 0.957474, 0.598139)),
        (EYE, NEAR, 0.5, (-0.8, 0.870714, 0.513015)),
        (EYE, NEAR, 0.07, (-5.714286, 1.221856, 0.055844)),
        (THREE, OTHER, 0.5, (-1.183749, 0.953298, None)),
        (EYE[:1].repeat(4, 1), EYE[:1].repeat(4, 1), 0.3, (4 * math.log(3), math.log(7), math.log(4))),
    ],
)
def test_values_of_the_specification(first, second, temperature, expected):
    for form, value in zip(FORMS, expected, strict=True):
        if value is not None:
            made = two_view_loss(first, second, temperature=temperature, form=form).item()
            assert made == pytest.approx(value, rel=1e-5, abs=1e-11)


def test_which_view_comes_first_matters_to_one_way_alone():
    assert two_view_loss(OTHER, THREE, temperature=0.5).item() == pytest.approx(0.953298, abs=1e-6)
    assert two_view_loss(OTHER, THREE, temperature=0.5, form="one_way").item() == pytest.approx(-0.527203, abs=1e-6)


def test_length_of_the_views_matters():
    assert two_view_loss(2 * EYE, 2 * EYE, temperature=1.0).item() == pytest.approx(0.035976, abs=1e-6)


@pytest.mark.parametrize("form", FORMS)
def test_a_rotation_of_all_views_changes_nothing(form):
    c, s = math.cos(0.3), math.sin(0.3)
    turn = torch.tensor([[c, -s], [s, c]], dtype=torch.float64)
    torch.testing.assert_close(
        two_view_loss(THREE @ turn, OTHER @ turn, form=form), two_view_loss(THREE, OTHER, form=form)
    )


@pytest.mark.parametrize("form", FORMS)
def test_equal_to_a_slow_loop(form):
    rng = np.random.default_rng(0)
    u, p, rho = *rng.standard_normal((2, 5, 3)), 0.7
    if form == "symmetric":
        z = np.concatenate([p, u])
        losses = [
            -np.log(np.exp(z[k] @ z[(k + 5) % 10] / rho) / sum(np.exp(z[k] @ z[m] / rho) for m in range(10) if m != k))
            for k in range(10)
        ]
        expected = np.mean(losses)
    else:
        with_positive = form == "one_way_with_positive"
        losses = [
            -np.log(
                np.exp(u[i] @ p[i] / rho) / sum(np.exp(u[i] @ p[j] / rho) for j in range(5) if j != i or with_positive)
            )
            for i in range(5)
        ]
        expected = np.mean(losses) if with_positive else np.sum(losses)
    made = two_view_loss(torch.from_numpy(u), torch.from_numpy(p), temperature=rho, form=form)
    assert made.item() == pytest.approx(expected)


@pytest.mark.parametrize("form", FORMS)
def test_gradient_agrees_with_finite_differences(form):
    first, second = THREE.clone().requires_grad_(), OTHER.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda a, b: two_view_loss(a, b, temperature=0.5, form=form), (first, second))
