import numpy as np
import pytest
import torch

from skasd.losses import supervised_contrastive_loss

ANGLES = np.deg2rad([0, 60, 120, 180])
IN_THE_PLANE = np.column_stack([np.cos(ANGLES), np.sin(ANGLES)])
PUBLISHED = [  # labels, temperature, loss of each clip, loss
    ([0, 0, 1, 1], 0.02, [0, 0.198042, 0.198042, 0], 0.099021),
    ([0, 0, 1, 1], 0.07, [6.253687e-07, 0.693147, 0.693147, 6.253687e-07], 0.346574),
    ([0, 0, 1, 1], 0.5, [1.213186, 5.418741, 5.418741, 1.213186], 3.315963),
    ([0, 0, 0, 1], 0.02, [7.142857, 0.198042, 7.340899, 0], 3.670450),
    ([0, 1, 2, 3], 0.02, [0, 0, 0, 0], 0),
    ([0, 1, 2, 3], 0.5, [0, 0, 0, 0], 0),
]


def loss_of(embedding, label, temperature=0.02, base_temperature=0.07):
    settings = {"temperature": temperature, "base_temperature": base_temperature}
    return supervised_contrastive_loss(torch.as_tensor(embedding), torch.as_tensor(label), **settings).item()


def slow_losses(embedding, label, temperature=0.02, base_temperature=0.07):
    z = embedding / np.linalg.norm(embedding, axis=1, keepdims=True)
    losses = np.zeros(len(z))
    for i in range(len(z)):
        others = [a for a in range(len(z)) if a != i]
        positives = [p for p in others if label[p] == label[i]]
        largest = max(z[i] @ z[a] for a in others)
        denominator = sum(np.exp((z[i] @ z[a] - largest) / temperature) for a in others)
        for p in positives:
            losses[i] -= (z[i] @ z[p] - largest) / temperature - np.log(denominator)
        losses[i] *= temperature / base_temperature / max(len(positives), 1)
    return losses


def random_batch(n_clips=20, n_classes=6, embedding_dim=5, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n_clips, embedding_dim)), rng.integers(n_classes, size=n_clips)


@pytest.mark.parametrize("label, temperature, per_clip, loss", PUBLISHED)
def test_published_losses(label, temperature, per_clip, loss):
    assert loss_of(IN_THE_PLANE, label, temperature) == pytest.approx(loss, abs=1e-6)


@pytest.mark.parametrize("label, temperature, per_clip, loss", PUBLISHED)
def test_slow_loop_gives_the_published_losses_of_each_clip(label, temperature, per_clip, loss):
    np.testing.assert_allclose(slow_losses(IN_THE_PLANE, label, temperature), per_clip, rtol=0, atol=5e-7)


@pytest.mark.parametrize("temperature", [0.02, 0.07, 0.5])
def test_loss_without_positives_is_exactly_zero(temperature):
    assert loss_of(IN_THE_PLANE, [0, 1, 2, 3], temperature) == 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_published_loss_of_identical_clips(dtype):
    assert loss_of(torch.ones(4, 3, dtype=dtype), [0, 0, 1, 1]) == pytest.approx(0.313889, abs=1e-6)


@pytest.mark.parametrize("temperature", [0.02, 0.07, 1.0])
@pytest.mark.parametrize("n_classes", [1, 2, 6, 100])
def test_equals_the_formula(n_classes, temperature):
    embedding, label = random_batch(n_classes=n_classes)
    expected = slow_losses(embedding, label, temperature).mean()
    assert loss_of(embedding, label, temperature) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("base_temperature", [0.02, 1.0])
def test_base_temperature_only_scales(base_temperature):
    embedding, label = random_batch()
    scaled = loss_of(embedding, label, base_temperature=base_temperature) * base_temperature / 0.07
    assert scaled == pytest.approx(loss_of(embedding, label), rel=1e-12)


def test_two_clips_of_one_class_lose_nothing():
    assert loss_of(np.array([[1.0, 0.0], [0.0, 1.0]]), [3, 3]) == 0


def test_clips_without_positives_count_in_the_mean():
    embedding, _ = random_batch(n_clips=4)
    label = np.array([0, 0, 1, 2])
    with_positives = slow_losses(embedding, label)[:2]
    assert loss_of(embedding, label) == pytest.approx(with_positives.sum() / 4, rel=1e-12)


def test_loss_does_not_change_when_all_embeddings_are_rotated():
    embedding, label = random_batch()
    rotation = np.linalg.qr(np.random.default_rng(1).standard_normal((5, 5)))[0]
    assert loss_of(embedding @ rotation, label) == pytest.approx(loss_of(embedding, label), rel=1e-10)


def test_loss_does_not_depend_on_the_names_of_the_classes():
    embedding, label = random_batch()
    renamed = np.array([40, 7, 0, 3, 1, 12])[label]
    assert loss_of(embedding, renamed) == loss_of(embedding, label)


def test_loss_does_not_depend_on_the_order_of_the_clips():
    embedding, label = random_batch()
    order = np.random.default_rng(1).permutation(len(label))
    assert loss_of(embedding[order], label[order]) == pytest.approx(loss_of(embedding, label), rel=1e-12)


def test_lengths_of_the_embeddings_do_not_count():
    embedding, label = random_batch()
    longer = embedding * np.geomspace(0.01, 100, len(label))[:, None]
    assert loss_of(longer, label) == pytest.approx(loss_of(embedding, label), rel=1e-10)


def test_gradient_pulls_clips_of_one_class_together():
    embedding = torch.tensor(IN_THE_PLANE, requires_grad=True)
    supervised_contrastive_loss(embedding, torch.tensor([0, 0, 1, 1])).backward()
    moved = (embedding - 0.01 * embedding.grad).detach().numpy()
    assert moved[0] @ moved[1] / np.linalg.norm(moved[0]) / np.linalg.norm(moved[1]) > 0.5 + 1e-4


@pytest.mark.parametrize("label", [[0, 0, 1, 1, 2], [0, 1, 2, 3, 4], [0, 0, 0, 0, 0]])
def test_gradient_agrees_with_finite_differences(label):
    embedding = torch.tensor(random_batch(n_clips=5)[0], requires_grad=True)
    label = torch.tensor(label)
    assert torch.autograd.gradcheck(lambda z: supervised_contrastive_loss(z, label, temperature=0.2), embedding)


@pytest.mark.parametrize("embedding", [torch.ones(4, 3), torch.tensor([[1.0], [-1.0], [1.0], [-1.0]]), torch.eye(4)])
@pytest.mark.parametrize("label", [[0, 0, 1, 1], [0, 1, 2, 3]])
def test_gradient_of_identical_and_opposite_clips_is_finite_in_float32(embedding, label):
    embedding = embedding.clone().requires_grad_()
    loss = supervised_contrastive_loss(embedding, torch.tensor(label))
    loss.backward()
    assert loss.isfinite()
    assert embedding.grad.isfinite().all()


def test_float32_equals_float64():
    embedding, label = random_batch(n_clips=64, n_classes=41, embedding_dim=128)
    expected = loss_of(embedding, label)
    assert loss_of(embedding.astype(np.float32), label) == pytest.approx(expected, rel=1e-5)


def test_bfloat16_embeddings_are_computed_in_float32():
    embedding, label = random_batch()
    embedding, label = torch.tensor(embedding).bfloat16(), torch.tensor(label)
    loss = supervised_contrastive_loss(embedding, label)
    assert loss.dtype == torch.float32
    assert loss.item() == supervised_contrastive_loss(embedding.float(), label).item()


def test_gradient_of_bfloat16_embeddings_is_bfloat16():
    embedding, label = random_batch()
    embedding = torch.tensor(embedding).bfloat16().requires_grad_()
    supervised_contrastive_loss(embedding, torch.tensor(label)).backward()
    assert embedding.grad.dtype == torch.bfloat16
    assert (embedding.grad != 0).any()


def test_autocast_does_not_reach_the_loss():
    embedding, label = (torch.tensor(values) for values in random_batch())
    embedding = embedding.float()
    with torch.autocast("cpu", torch.bfloat16):
        inside = supervised_contrastive_loss(embedding, label)
    assert inside.item() == supervised_contrastive_loss(embedding, label).item()


def test_arguments_may_be_given_by_name():
    embedding, label = (torch.tensor(values) for values in random_batch())
    by_name = supervised_contrastive_loss(embedding=embedding, label=label)
    assert by_name.item() == supervised_contrastive_loss(embedding, label).item()


def test_loss_without_a_base_temperature():
    loss = loss_of(IN_THE_PLANE, [0, 0, 1, 1], temperature=0.1, base_temperature=0.1)
    assert loss == pytest.approx(0.346608, abs=1e-6)  # 5.010051 with each clip among its own negatives
