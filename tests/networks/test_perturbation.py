import numpy as np
import pytest
import torch

from skasd.networks import PerturbationHead


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_published_number_of_parameters():
    assert sum(parameter.numel() for parameter in PerturbationHead().parameters()) == 16_960


@pytest.mark.parametrize("embedding_dim", [2, 5, 128])
def test_embedding_keeps_its_length(embedding_dim):
    assert PerturbationHead(embedding_dim)(noise(4, embedding_dim)).shape == (4, embedding_dim)


def test_equals_the_formula_in_training():
    head, embedding = PerturbationHead(6).double(), noise(4, 6).double()
    narrow, wide = (
        [values.detach().numpy() for values in (layer.weight, layer.bias)] for layer in (head.layers[0], head.layers[3])
    )
    x = embedding.numpy()
    for weight, bias in (narrow, wide):
        x = np.maximum(x @ weight.T + bias, 0)
        x = (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + 1e-5)
    np.testing.assert_allclose(head(embedding).detach(), x, rtol=0, atol=1e-12)


@pytest.mark.parametrize("training", [True, False])
def test_nothing_in_it_is_random(training):
    head, embedding, outputs = PerturbationHead().train(training), noise(4, 128), []
    for seed in (0, 1):
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        outputs.append(head(embedding))
        assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(*outputs)
