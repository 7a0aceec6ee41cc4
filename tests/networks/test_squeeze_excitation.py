import pytest
import torch

from skasd.networks import FrequencyAttention, SqueezeExcitation


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


def test_attention_has_the_number_of_parameters_of_the_specification():
    assert sum(parameter.numel() for parameter in FrequencyAttention(313).parameters()) == 57_209


def test_attention_gives_an_image_of_the_size_of_the_log_mel():
    assert FrequencyAttention(313)(noise(2, 128, 313)).shape == (2, 128, 313)


def test_attention_knows_no_order_of_the_bands_and_looks_at_all():
    attention, log_mel = FrequencyAttention(20).eval(), noise(1, 16, 20)
    order = torch.randperm(16, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(attention(log_mel[:, order]), attention(log_mel)[:, order])
    other = log_mel.clone()
    other[:, 3] += 5
    assert ((attention(other) - attention(log_mel)).abs().amax(dim=2) > 1e-6).all()
