import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from skasd.losses import ArcFaceHead, arcface_logits

GOOD = [0.6, 0.8, 0.0]
BELOW_THRESHOLD = [-0.95, 0.1, 0.2]
PUBLISHED = [  # cosines, margin, logits, cross-entropy of class 0 at scale 30
    (GOOD, 0.4, [7.233058, 24, 0], 16.766942),
    (GOOD, 0.7, [-1.694065, 24, 0], 25.694065),
    (GOOD, 0.0, [18, 24, 0], 6.002476),
    (BELOW_THRESHOLD, 0.4, [-33.173020, 3, 6], 39.221607),
    (BELOW_THRESHOLD, 0.7, [-42.028571, 3, 6], 48.077159),
]
LEAST_SINE = 1.3e-5  # at a cosine of 1 the sine is kept above 1e-6, which moves a logit by 1e-6 sin(0.4) 30
FIRST = torch.tensor([0])


def of_one_clip(cosines, margin=0.4, scale=30.0):
    return arcface_logits(torch.tensor([cosines], dtype=torch.float64), FIRST, margin=margin, scale=scale)


def random_cosines(n_clips, n_classes, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, (n_clips, n_classes))


def slow_logits(cosine, label, margin, scale):
    logits = scale * cosine
    for clip, own in enumerate(label):
        c = cosine[clip, own]
        moved = np.cos(np.arccos(c) + margin) if c > np.cos(np.pi - margin) else c - margin * np.sin(np.pi - margin)
        logits[clip, own] = scale * moved
    return logits


@pytest.mark.parametrize("cosines, margin, logits, cross_entropy", PUBLISHED)
def test_published_logits(cosines, margin, logits, cross_entropy):
    np.testing.assert_allclose(of_one_clip(cosines, margin)[0], logits, rtol=0, atol=1e-6)


@pytest.mark.parametrize("cosines, margin, logits, cross_entropy", PUBLISHED)
def test_published_cross_entropies(cosines, margin, logits, cross_entropy):
    loss = functional.cross_entropy(of_one_clip(cosines, margin), FIRST)
    assert loss.item() == pytest.approx(cross_entropy, abs=1e-6)


@pytest.mark.parametrize("margin", [0.1, 0.4, 0.7, 1.5])
def test_logit_just_above_the_threshold_is_that_of_the_opposite_direction(margin):
    assert of_one_clip([math.cos(math.pi - margin) + 1e-9, 0.0], margin)[0, 0].item() == pytest.approx(-30, abs=1e-5)


def test_published_logit_just_below_the_threshold():
    assert of_one_clip([math.cos(math.pi - 0.4) - 1e-9, 0.0])[0, 0].item() == pytest.approx(-32.304850, abs=1e-6)


def test_logit_at_the_threshold_is_the_fallback():
    assert of_one_clip([math.cos(math.pi - 0.4), 0.0])[0, 0].item() == pytest.approx(-32.304850, abs=1e-6)


@pytest.mark.parametrize("margin", [0.0, 0.3, 0.4, 0.7, 1.5])
def test_equals_the_angle_plus_the_margin(margin):
    cosine, label = random_cosines(200, 5), np.arange(200) % 5
    result = arcface_logits(torch.tensor(cosine), torch.tensor(label), margin=margin, scale=7.0)
    np.testing.assert_allclose(result, slow_logits(cosine, label, margin, 7.0), rtol=0, atol=1e-12)


def test_margin_zero_is_plain_softmax():
    cosine, label = torch.tensor(random_cosines(50, 4)), torch.arange(50) % 4
    torch.testing.assert_close(arcface_logits(cosine, label, margin=0.0, scale=30.0), 30 * cosine)


def test_cosines_stay_as_they_are():
    cosine = torch.tensor([GOOD])
    arcface_logits(cosine, FIRST, margin=0.4, scale=30.0)
    assert torch.equal(cosine, torch.tensor([GOOD]))


def test_margin_lowers_the_own_logit_everywhere():
    cosine = torch.linspace(-1, 1, 401, dtype=torch.float64)[:, None]
    label = torch.zeros(401, dtype=torch.int64)
    with_margin = arcface_logits(cosine, label, margin=0.4, scale=1.0)
    assert (with_margin < cosine).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("cosine", [1.0, -1.0, 1 - 2**-24, 0.0])
def test_gradient_is_finite_at_the_ends(cosine, dtype):
    cosine = torch.tensor([[cosine, 0.5]], dtype=dtype, requires_grad=True)
    functional.cross_entropy(arcface_logits(cosine, FIRST, margin=0.4, scale=30.0), FIRST).backward()
    assert cosine.grad.isfinite().all()
    assert (cosine.grad != 0).all()


def test_gradient_is_finite_where_rounding_takes_the_cosine_beyond_one():
    cosine = torch.tensor([[1 + 2**-23, 0.5]], requires_grad=True)
    logits = arcface_logits(cosine, FIRST, margin=0.4, scale=30.0)
    logits.sum().backward()
    assert logits.isfinite().all()
    assert cosine.grad.isfinite().all()


def test_gradient_agrees_with_finite_differences():
    cosine = torch.tensor(random_cosines(8, 3) * 0.98, requires_grad=True)
    label = torch.arange(8) % 3
    assert torch.autograd.gradcheck(lambda c: arcface_logits(c, label, margin=0.4, scale=3.0), cosine)


@pytest.mark.parametrize(
    "own, others, margin, score",
    [
        (1.0, 1.0, 0.4, 6.059388),
        (0.0, 0.0, 0.4, 15.371430),
        (1.0, 0.9, 0.4, 3.103004),
        (1.0, 0.5, 0.4, 0.000131),
        (0.9, 0.5, 0.4, 0.290481),
        (0.9, 0.5, 0.0, 0.000246),
        (1.0, 1.0, 0.0, 3.713572),
        (0.0, 0.0, 0.0, 3.713572),
    ],
)
def test_published_scores_among_41_classes(own, others, margin, score):
    loss = functional.cross_entropy(of_one_clip([own] + 40 * [others], margin), FIRST)
    assert loss.item() == pytest.approx(score, abs=LEAST_SINE if own == 1 else 1e-6)


def test_published_score_where_all_centres_equal_the_embedding():
    head = ArcFaceHead(128, 41).double()
    embedding = torch.randn(1, 128, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    head.weight.data[:] = 3 * embedding
    for label in (0, 40):
        score = functional.cross_entropy(head(embedding, torch.tensor([label])), torch.tensor([label]))
        assert score.item() == pytest.approx(6.059388, abs=LEAST_SINE)


def test_published_score_where_the_embedding_is_orthogonal_to_all_centres():
    head = ArcFaceHead(128, 41).double()
    head.weight.data[:, 0] = 0
    embedding = torch.eye(1, 128, dtype=torch.float64)
    score = functional.cross_entropy(head(embedding, FIRST), FIRST)
    assert score.item() == pytest.approx(15.371430, abs=1e-6)


def test_head_without_sub_centres_has_one_centre_for_each_class():
    assert ArcFaceHead(128, 41).weight.shape == (41, 128)


def test_head_draws_centres_as_xavier_does():
    torch.manual_seed(0)
    weight = ArcFaceHead(128, 41).weight.detach()
    bound = math.sqrt(6 / (128 + 41))
    assert 0.99 * bound < weight.abs().max() <= bound
    assert weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.03)


@pytest.mark.parametrize("n_subcenters", [1, 3])
def test_nearest_centre_of_a_class_counts(n_subcenters):
    rng = np.random.default_rng(0)
    head = ArcFaceHead(6, 4, n_subcenters=n_subcenters).double()
    weight, embedding = rng.standard_normal((4 * n_subcenters, 6)), rng.standard_normal((5, 6))
    head.weight.data[:] = torch.tensor(weight)
    expected = np.empty((5, 4))
    for clip, e in enumerate(embedding):
        for c in range(4):
            centres = weight[c * n_subcenters : (c + 1) * n_subcenters]
            expected[clip, c] = max(e @ w / np.linalg.norm(e) / np.linalg.norm(w) for w in centres)
    np.testing.assert_allclose(head.cosine(torch.tensor(embedding)).detach(), expected, rtol=0, atol=1e-12)


def test_only_the_nearest_centre_learns():
    head = ArcFaceHead(2, 1, n_subcenters=2)
    head.weight.data[:] = torch.tensor([[1.0, 0.1], [-1.0, 0.1]])
    head.cosine(torch.tensor([[-0.9, 0.0]])).sum().backward()
    assert (head.weight.grad[0] == 0).all()
    assert (head.weight.grad[1] != 0).any()


def test_lengths_of_embeddings_and_centres_do_not_count():
    head = ArcFaceHead(8, 3).double()
    embedding = torch.randn(5, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    label = torch.tensor([0, 1, 2, 0, 1])
    before = head(embedding, label)
    head.weight.data *= torch.tensor([[0.01], [1.0], [100.0]])
    torch.testing.assert_close(head(embedding * 50, label), before)


def test_head_puts_its_margin_on_the_given_class():
    head = ArcFaceHead(8, 3, margin=0.2, scale=5.0).double()
    embedding = torch.randn(3, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    logits = head(embedding, torch.arange(3)).detach()
    expected = slow_logits(head.cosine(embedding).detach().numpy(), np.arange(3), 0.2, 5.0)
    np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-12)


def test_gradient_of_the_head_agrees_with_finite_differences():
    torch.manual_seed(0)
    head = ArcFaceHead(3, 4, n_subcenters=2, scale=3.0).double()
    embedding = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    label = torch.tensor([0, 1, 2, 3, 0])

    def logits(embedding, weight):
        return torch.func.functional_call(head, {"weight": weight}, (embedding, label))

    assert torch.autograd.gradcheck(logits, (embedding, head.weight))


def test_bfloat16_embeddings_are_computed_in_float32():
    head = ArcFaceHead(128, 41)
    embedding = torch.randn(4, 128, generator=torch.Generator().manual_seed(0)).bfloat16()
    label = torch.arange(4)
    logits = head(embedding, label)
    assert logits.dtype == torch.float32
    assert torch.equal(logits, head(embedding.float(), label))


def test_bfloat16_cosines_are_computed_in_float32():
    cosine = torch.tensor([GOOD]).bfloat16()
    logits = arcface_logits(cosine, FIRST, margin=0.4, scale=30.0)
    assert logits.dtype == torch.float32
    assert torch.equal(logits, arcface_logits(cosine.float(), FIRST, margin=0.4, scale=30.0))


def test_autocast_does_not_reach_the_head():
    head = ArcFaceHead(128, 41)
    embedding, label = torch.randn(4, 128, generator=torch.Generator().manual_seed(0)), torch.arange(4)
    with torch.autocast("cpu", torch.bfloat16):
        inside = head(embedding, label)
    assert torch.equal(inside, head(embedding, label))


def test_head_takes_its_arguments_by_name():
    head = ArcFaceHead(8, 3)
    embedding, label = torch.eye(2, 8), torch.tensor([0, 1])
    torch.testing.assert_close(head(embedding=embedding, label=label), head(embedding, label))
    torch.testing.assert_close(head.cosine(embedding=embedding), head.cosine(embedding))
