import pytest
import torch
from torch import nn

from skasd.networks import MobileNetV2, OSSCLNet, folded
from skasd.networks._cpu_layers import NormActivation
from skasd.training import seeded


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    network = OSSCLNet(("log_mel", "tgram", "tfgram"), (16, 12), hop_length=32).double()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
            nn.init.uniform_(module.weight, -1.0, 2.0)
            nn.init.uniform_(module.bias)
    return network.eval()


def inputs():
    generator = torch.Generator().manual_seed(0)
    shapes = {"log_mel": (3, 16, 12), "waveform": (3, 352)}
    return {name: torch.randn(shape, generator=generator, dtype=torch.float64) for name, shape in shapes.items()}


def test_folded_network_gives_the_same_embedding(network):
    with torch.no_grad():
        torch.testing.assert_close(folded(network)(inputs()), network(inputs()), rtol=1e-10, atol=1e-12)


def test_no_batch_normalisation_of_maps_is_left(network):
    assert not any(isinstance(module, NormActivation | nn.BatchNorm2d) for module in folded(network).modules())


def test_the_network_itself_stays_as_it_is(network):
    before = {name: value.clone() for name, value in network.state_dict().items()}
    folded(network)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(parameter.requires_grad for parameter in network.parameters())


def test_folded_network_is_the_same_with_gradients_and_channels_last():
    with seeded(0):
        network = MobileNetV2(1, width=0.25)
    generator = torch.Generator().manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.copy_(torch.randn(len(module.running_mean), generator=generator) / 10)
    network, x = network.double().eval(), torch.randn(2, 1, 32, 32, generator=generator, dtype=torch.float64)
    x = x.contiguous(memory_format=torch.channels_last).requires_grad_()
    with torch.no_grad():
        expected = network(x)
    assert expected.abs().max() > 0
    torch.testing.assert_close(folded(network)(x).detach(), expected, rtol=1e-8, atol=1e-10)
