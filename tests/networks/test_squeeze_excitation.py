import pytest
import torch

from skasd.networks import SqueezeExcitation


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("n_channels", "expected"), [(128, 2048), (16, 32), (8, 16)])
def test_number_of_parameters(n_channels, expected):
    assert sum(parameter.numel() for parameter in SqueezeExcitation(n_channels).parameters()) == expected


@pytest.mark.parametrize("shape", [(2, 32, 7), (2, 32, 5, 4)])
def test_each_channel_is_weighted_by_the_means_of_all(shape):
    layer, x = SqueezeExcitation(32), noise(*shape)
    first, second = layer.weigh[0].weight, layer.weigh[2].weight
    weight = torch.sigmoid(second @ torch.relu(first @ x.flatten(2).mean(dim=2).T)).T
    torch.testing.assert_close(layer(x), x * weight.reshape(2, 32, *[1] * (len(shape) - 2)))
