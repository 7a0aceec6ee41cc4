import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from skasd.losses import (
    SubClusterAdaCosHead,
    adacos_scale,
    adapted_scale,
    soft_cross_entropy,
    sub_cluster_log_probability,
)

COSINE = torch.tensor([[[0.8, 0.1], [0.3, -0.2]]], dtype=torch.float64)  # one clip, two classes of two sub-clusters


def head(n_classes=3, n_subclusters=2, **settings):
    torch.manual_seed(0)
    return SubClusterAdaCosHead(5, n_classes, n_subclusters=n_subclusters, **settings)


def one_hot(*labels, n_classes=3):
    return functional.one_hot(torch.tensor(labels), n_classes).double()


@pytest.mark.parametrize(
    ("n_classes", "expected"), [(2, 4.856391), (6, 6.440154), (41, 9.170659), (67, 9.866046), (143, 10.938937)]
)
def test_scale_of_sixteen_sub_clusters(n_classes, expected):
    assert adacos_scale(16 * n_classes) == pytest.approx(expected, abs=1e-6)
    assert SubClusterAdaCosHead(4, n_classes).scale.item() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(("n_classes", "expected"), [(3, 0.980258), (6, 2.276089), (41, 5.216863)])
def test_scale_of_one_centre_per_class(n_classes, expected):
    assert adacos_scale(n_classes) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("n_centers", [1, 2])
def test_scale_of_too_few_centres_is_that_of_three(n_centers):
    assert adacos_scale(n_centers) == adacos_scale(3) > 0


def test_probabilities_of_sub_clusters_are_added():
    scale = adacos_scale(4)
    assert scale == pytest.approx(1.553672, abs=1e-6)
    p = sub_cluster_log_probability(COSINE, scale=scale).exp()
    np.testing.assert_allclose(p.numpy(), [[0.665733, 0.334267]], atol=1e-6)


@pytest.mark.parametrize(("target", "expected"), [([1.0, 0.0], 0.406866), ([0.7, 0.3], 0.613551)])
def test_cross_entropy_of_shares(target, expected):
    log_probability = sub_cluster_log_probability(COSINE, scale=adacos_scale(4))
    loss = soft_cross_entropy(log_probability, torch.tensor([target], dtype=torch.float64))
    assert loss.item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("n_subclusters", [1, 2, 16])
def test_equal_cosines_tell_nothing(n_subclusters):
    log_probability = sub_cluster_log_probability(torch.full((1, 41, n_subclusters), 0.3), scale=7.0)
    assert soft_cross_entropy(log_probability, torch.eye(41)[:1]).item() == pytest.approx(3.713572, abs=1e-5)


def test_one_sub_cluster_is_softmax_of_scaled_cosines():
    cosine = torch.rand(8, 5, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    ours = sub_cluster_log_probability(cosine, scale=4.0)
    torch.testing.assert_close(ours, (4.0 * cosine[:, :, 0]).log_softmax(dim=1))


def test_cosines_of_a_class_lie_together():
    made = head(3, 2)
    with torch.no_grad():
        made.weight.zero_()
        made.weight[2, 0] = 1.0  # the first sub-cluster of the second class
    cosine = made.cosine(torch.tensor([[2.0, 0, 0, 0, 0]]))
    assert cosine[0].tolist() == [[0, 0], [1, 0], [0, 0]]


def test_dynamic_scale_of_adacos():
    cosine = torch.tensor([[0.9, 0.1, -0.2], [0.2, 0.7, 0.1]], dtype=torch.float64)[:, :, None]
    scale = adapted_scale(cosine, one_hot(0, 1), 0.980258)
    assert scale.item() == pytest.approx(0.926699, abs=1e-6)


def test_median_of_an_even_number_of_angles_is_the_mean_of_the_middle_two():
    cosine = torch.tensor([[0.9, 0.1, -0.2], [0.2, 0.7, 0.1]], dtype=torch.float64)[:, :, None]
    numerator = math.log(2.122271)
    angle = math.acos(numerator / adapted_scale(cosine, one_hot(0, 1), 0.980258).item())
    assert angle == pytest.approx(0.623213, abs=1e-5)


@pytest.mark.parametrize("cosine", [0.0, 0.5, -0.9])
def test_dynamic_scale_of_sub_clusters_is_saturated_whatever_the_angle(cosine):
    """The sum of sixteen angles exceeds pi / 4, where the angle is clamped."""
    scale = adapted_scale(torch.full((4, 41, 16), cosine, dtype=torch.float64), torch.eye(41)[:4], 3.0)
    assert scale.item() == pytest.approx(9.172817 + math.sqrt(2) * 3.0 * cosine, abs=1e-6)


@pytest.mark.parametrize(("n_classes", "n_subclusters"), [(1, 1), (2, 1), (1, 4), (2, 4)])
def test_dynamic_scale_of_few_classes_stays_above_zero(n_classes, n_subclusters):
    made = head(n_classes, n_subclusters, dynamic_scale=True)
    for seed in range(5):
        embedding = torch.randn(8, 5, generator=torch.Generator().manual_seed(seed))
        target = one_hot(*(np.arange(8) % n_classes), n_classes=n_classes).float()
        loss = made(embedding, target)
        assert torch.isfinite(loss)
        assert made.scale >= adacos_scale(3) * (1 - 1e-6)


def test_dynamic_scale_is_for_training_alone():
    made = head(dynamic_scale=True)
    embedding, target = torch.randn(6, 5, generator=torch.Generator().manual_seed(0)), torch.eye(3).repeat(2, 1)
    fixed = made.scale.item()
    made.eval()(embedding, target)
    assert made.scale.item() == fixed
    made.train()(embedding, target).backward()
    assert made.scale.item() != fixed
    assert made.weight.grad.abs().sum() > 0


def test_fixed_scale_stays():
    made = head()
    before = made.scale.item()
    made(torch.randn(6, 5), torch.eye(3).repeat(2, 1))
    assert made.scale.item() == before


def test_loss_is_the_cross_entropy_of_the_log_probabilities():
    made = head()
    embedding, target = torch.randn(6, 5, generator=torch.Generator().manual_seed(0)), torch.eye(3).repeat(2, 1)
    expected = functional.nll_loss(made.log_probability(embedding), target.argmax(dim=1))
    torch.testing.assert_close(made(embedding, target), expected)


def test_centres_are_learnt_or_stay():
    assert head().weight.requires_grad
    assert not head(trainable=False).weight.requires_grad


def test_length_of_embeddings_and_centres_is_of_no_account():
    made, embedding, target = head(), torch.randn(6, 5), torch.eye(3).repeat(2, 1)
    loss = made(embedding, target)
    with torch.no_grad():
        made.weight.mul_(3)
    torch.testing.assert_close(made(7 * embedding, target), loss)


def test_bfloat16_embeddings_are_classified_in_float32():
    made = head()
    assert made.log_probability(torch.randn(6, 5).bfloat16()).dtype == torch.float32
