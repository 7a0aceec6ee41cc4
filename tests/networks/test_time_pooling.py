import numpy as np
import pytest
import torch

from skasd.networks import JointNet, MobileFaceNet, TimePooling, folded
from skasd.networks._time_pooling import TIME_POOLINGS


def feature_map(seed=0):
    return torch.randn(2, 3, 4, 7, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_generalised_mean_is_that_of_its_formula():
    x = feature_map()
    expected = (np.maximum(x.numpy(), 1e-6) ** 3).mean(axis=3) ** (1 / 3)
    np.testing.assert_allclose(TimePooling(3, "generalised_mean")(x)[..., 0].numpy(), expected)


def test_rank_weighted_mean_is_that_of_its_formula():
    x = feature_map()
    weight = 0.7 ** np.arange(7)
    expected = np.sort(x.numpy(), axis=3)[..., ::-1] @ (weight / weight.sum())
    np.testing.assert_allclose(TimePooling(3, "rank")(x)[..., 0].numpy(), expected)


def test_attention_weights_frames_by_a_softmax_of_the_channels():
    pooling, x = TimePooling(3, "attention").double(), feature_map()
    logits = np.einsum("c,bcft->bft", pooling.attention.weight.detach().numpy().ravel(), x.numpy())
    weight = np.exp(logits) / np.exp(logits).sum(axis=2, keepdims=True)
    expected = (x.numpy() * weight[:, None]).sum(axis=3)
    np.testing.assert_allclose(pooling(x)[..., 0].detach().numpy(), expected)


@pytest.mark.parametrize("kind", TIME_POOLINGS)
def test_a_constant_stays_and_the_order_of_frames_does_not_matter(kind):
    pooling, x = TimePooling(3, kind).double(), feature_map()
    torch.testing.assert_close(
        pooling(torch.full((1, 3, 2, 5), 2.0, dtype=torch.float64)), torch.full((1, 3, 2, 1), 2.0).double()
    )
    torch.testing.assert_close(pooling(x.flip(3)), pooling(x))


@pytest.mark.parametrize("kind", TIME_POOLINGS)
def test_networks_learn_every_weight_and_can_be_folded(kind):
    torch.manual_seed(0)
    network, image = MobileFaceNet(1, (20, 30), embedding_dim=8, pooling=kind), torch.randn(3, 1, 20, 30)
    network(image).square().sum().backward()
    assert all(weight.grad is not None for weight in network.parameters())
    with torch.inference_mode():
        torch.testing.assert_close(folded(network.eval())(image), network(image), rtol=1e-4, atol=1e-4)
    joint = JointNet(20, 16, 2, width=0.1, pooling=kind, has_autoencoder=False)
    joint.logits(joint.features(torch.randn(4, 16, 20))).sum().backward()
    assert all(weight.grad is not None for weight in joint.parameters())
