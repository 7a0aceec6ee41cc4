"""Cross-domain contrastive loss: values of the specification, values computed by hand, and symmetries."""

import numpy as np
import pytest
import torch

from skasd.losses import cross_domain_loss, cross_domain_pairs

DEGREES = torch.tensor([0.0, 20.0, 40.0, 50.0, 120.0, 180.0], dtype=torch.float64)
LABEL = torch.tensor([0, 0, 0, 0, 1, 1])
DOMAIN = torch.tensor([0, 0, 1, 0, 0, 1])
CLIP = torch.tensor([0, 0, 1, 2, 3, 4])


def plane(degrees=DEGREES):
    angle = torch.deg2rad(torch.as_tensor(degrees, dtype=torch.float64))
    return torch.stack([angle.cos(), angle.sin()], dim=1)


def loss(embedding=None, label=LABEL, domain=DOMAIN, clip=CLIP, *, temperature=0.5, form="supcon", **settings):
    pairs = cross_domain_pairs(label, domain, clip, **settings)
    return cross_domain_loss(plane() if embedding is None else embedding, *pairs, temperature=temperature, form=form)


@pytest.mark.parametrize(
    ("temperature", "ignored", "pushed"),
    [(0.5, 0.701455, 0.917208), (1.0, 0.934134, 1.144656), (0.07, 0.638168, 0.696282)],
)
def test_six_views_in_the_plane(temperature, ignored, pushed):
    assert loss(temperature=temperature).item() == pytest.approx(ignored, abs=1e-6)
    assert loss(temperature=temperature, ignore_same_domain=False).item() == pytest.approx(pushed, abs=1e-6)


@pytest.mark.parametrize(
    ("temperature", "expected"),
    [
        (0.5, [0.752186, 0.756684, 1.200863, 0.273886, 0.972672, 0.252442]),
        (1.0, [0.884935, 0.908720, 1.305056, 0.543618, 1.239285, 0.723193]),
        (0.07, [1.320712, 0.693147, 1.706914, 0.000103, 0.108129, 9.689918e-08]),
    ],
)
def test_each_view_of_them(temperature, expected):
    positive, negative = cross_domain_pairs(LABEL, DOMAIN, CLIP)
    for index, value in enumerate(expected):
        only = torch.zeros_like(positive)
        only[index] = positive[index]
        made = cross_domain_loss(plane(), only, negative, temperature=temperature)
        assert made.item() == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize("temperature", [0.07, 0.5, 1.0])
def test_four_equal_vectors(temperature):
    label, domain = torch.tensor([0, 0, 1, 1]), torch.tensor([0, 1, 0, 1])
    made = loss(plane([0, 0, 0, 0]), label, domain, torch.arange(4), temperature=temperature)
    assert made.item() == pytest.approx(np.log(3), abs=1e-9)


@pytest.mark.parametrize(("temperature", "expected"), [(0.5, 0.239545), (0.07, 1.249749e-06)])
def test_two_pairs_on_two_axes(temperature, expected):
    label, domain = torch.tensor([0, 0, 1, 1]), torch.tensor([0, 1, 0, 1])
    made = loss(plane([0, 0, 90, 90]), label, domain, torch.arange(4), temperature=temperature)
    assert made.item() == pytest.approx(expected, rel=1e-5)


def test_it_knows_no_rotation_no_order_and_no_name_of_a_domain():
    expected = loss()
    torch.testing.assert_close(loss(plane(DEGREES + 33)), expected)
    torch.testing.assert_close(loss(domain=1 - DOMAIN), expected)
    order = torch.tensor([3, 5, 0, 2, 4, 1])
    torch.testing.assert_close(loss(plane()[order], LABEL[order], DOMAIN[order], CLIP[order]), expected)


def test_pairwise_squares():
    label, clip = torch.tensor([0, 0, 1, 1]), torch.tensor([0, 0, 1, 1])
    positive, negative = cross_domain_pairs(label, torch.zeros(4, dtype=torch.int64), clip)
    embedding, nothing = plane([0, 60, 120, 180]), torch.zeros_like(positive)
    assert cross_domain_loss(embedding, positive, nothing, form="pairwise").item() == pytest.approx(0.25)
    assert cross_domain_loss(embedding, nothing, negative, form="pairwise").item() == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("cosine", "pulled", "pushed"), [(1, 0, 0.49), (0.5, 0.25, 0.04), (0.3, 0.49, 0), (0, 1, 0), (-1, 4, 0)]
)
def test_what_one_pair_lacks(cosine, pulled, pushed):
    embedding = plane([0, np.degrees(np.arccos(cosine))])
    pair, nothing = ~torch.eye(2, dtype=torch.bool), torch.zeros(2, 2, dtype=torch.bool)
    assert cross_domain_loss(embedding, pair, nothing, form="pairwise").item() == pytest.approx(pulled, abs=1e-9)
    assert cross_domain_loss(embedding, nothing, pair, form="pairwise").item() == pytest.approx(pushed, abs=1e-9)


def test_pairs_of_two_views_and_two_domains():
    label, domain, clip = torch.zeros(4, dtype=torch.int64), torch.tensor([0, 0, 1, 1]), torch.tensor([0, 0, 1, 2])
    positive, negative = cross_domain_pairs(label, domain, clip)
    expected = torch.tensor([[0, 1, 1, 1], [1, 0, 1, 1], [1, 1, 0, 0], [1, 1, 0, 0]], dtype=torch.bool)
    assert torch.equal(positive, expected)
    assert not negative.any()
    assert cross_domain_pairs(label, domain, clip, ignore_same_domain=False)[1].nonzero().tolist() == [[2, 3], [3, 2]]


def test_without_domains_all_of_a_class_are_pulled():
    label, same = torch.tensor([0, 0, 1]), torch.zeros(3, dtype=torch.int64)
    for cross_domain in (True, False):  # a view without positives in another domain falls back to its class
        positive, _ = cross_domain_pairs(label, same, torch.arange(3), cross_domain=cross_domain)
        assert positive.nonzero().tolist() == [[0, 1], [1, 0]]


def test_no_pair_is_no_loss():
    alone = loss(plane([0, 90]), torch.tensor([0, 1]), torch.zeros(2, dtype=torch.int64), torch.arange(2))
    assert alone.item() == 0


def test_gradients_are_those_of_finite_differences():
    embedding = plane().mul(1.5).requires_grad_(True)
    for form in ("supcon", "pairwise"):
        assert torch.autograd.gradcheck(lambda values, form=form: loss(values, form=form), (embedding,))
    with torch.no_grad():
        assert torch.isfinite(loss(embedding.half()))


def test_unknown_forms_are_named():
    with pytest.raises(ValueError, match="form='triplet' is unknown"):
        loss(form="triplet")
