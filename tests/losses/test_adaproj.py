import numpy as np
import pytest
import torch
from torch.nn import functional

from skasd.losses import AdaProjHead, projection_cosine, soft_cross_entropy

A = [[1, 0, 0], [0.5, np.sqrt(0.75), 0]]
B = [[0, 0, 1], [0, 1, 0]]
C = [[0, 0, 1], [1, 0, 0]]
CENTERS = torch.tensor([A, B, C], dtype=torch.float64)
CLIP = torch.tensor([[0.6, 0, 0.8]], dtype=torch.float64)


def cross_entropy(label, scale):
    log_probability = (scale * projection_cosine(CLIP, CENTERS)).log_softmax(dim=1)
    return soft_cross_entropy(log_probability, torch.eye(3, dtype=torch.float64)[[label]]).item()


def test_cosines_with_the_projections():
    np.testing.assert_allclose(projection_cosine(CLIP, CENTERS).numpy(), [[0.566947, 0.8, 1]], atol=1e-6)


@pytest.mark.parametrize(
    ("label", "scale", "expected"),
    [(0, 0.980258, 1.331174), (1, 0.980258, 1.102722), (2, 0.980258, 0.906670), (0, 10, 4.468986)],
)
def test_cross_entropy(label, scale, expected):
    assert cross_entropy(label, scale) == pytest.approx(expected, abs=1e-5)


def test_a_centre_itself_does_not_reach_one():
    cosine = projection_cosine(torch.tensor([[1.0, 0, 0]], dtype=torch.float64), CENTERS)
    assert cosine[0, 0].item() == pytest.approx(0.944911, abs=1e-6)


def test_a_clip_at_right_angles_has_a_finite_gradient():
    clip = torch.tensor([[0.0, 0, 1]], dtype=torch.float64, requires_grad=True)
    cosine = projection_cosine(clip, CENTERS)
    assert cosine[0, 0].item() == 0
    cosine[0, 0].backward()
    assert torch.isfinite(clip.grad).all()


def test_head_has_the_scale_of_adacos_and_learns_its_centres():
    head = AdaProjHead(5, 3)
    assert head.scale == pytest.approx(0.980258, abs=1e-6)
    assert head.weight.shape == (3, 16, 5)
    assert head.weight.requires_grad
    assert not AdaProjHead(5, 3, trainable=False).weight.requires_grad


def test_loss_of_the_head():
    torch.manual_seed(0)
    head, embedding, label = AdaProjHead(5, 3, n_subclusters=2), torch.randn(4, 5), torch.tensor([0, 1, 2, 0])
    expected = functional.cross_entropy(head.scale * projection_cosine(embedding, head.weight), label)
    loss = head(embedding, functional.one_hot(label, 3).float())
    torch.testing.assert_close(loss, expected)
    loss.backward()
    assert (head.weight.grad.abs().sum(dim=2) > 0).all()
