import math

import pytest
import torch
from torch import nn

from skasd.networks import MobileFaceNet
from skasd.networks._cpu_layers import GlobalDepthwiseConv2d
from skasd.networks._mobilefacenet import BOTTLENECKS, Bottleneck

SIZE = (128, 313)
SMALL = ((2, 6, 2, 2), (3, 6, 2, 1))


def n_parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


class PlainBottleneck(nn.Module):
    def __init__(self, n_in, n_out, expansion, stride):
        super().__init__()
        width = expansion * n_in
        self.layers = nn.Sequential(
            nn.Conv2d(n_in, width, 1, bias=False), nn.BatchNorm2d(width), nn.PReLU(width),
            nn.Conv2d(width, width, 3, stride, 1, groups=width, bias=False), nn.BatchNorm2d(width), nn.PReLU(width),
            nn.Conv2d(width, n_out, 1, bias=False), nn.BatchNorm2d(n_out),
        )  # fmt: skip
        self.is_residual = stride == 1 and n_in == n_out

    def forward(self, x):
        return self.layers(x) + x if self.is_residual else self.layers(x)


def plain_network(network, n_channels, map_size, stages):
    """The same network built from torch's own layers, with the same parameters."""
    bottlenecks, n_in = [], 64
    for expansion, n_out, n_blocks, stride in stages:
        for block in range(n_blocks):
            bottlenecks.append(PlainBottleneck(n_in, n_out, expansion, 1 if block else stride))
            n_in = n_out
    plain = nn.Sequential(
        nn.Conv2d(n_channels, 64, 3, 2, 1, bias=False), nn.BatchNorm2d(64), nn.PReLU(64),
        nn.Conv2d(64, 64, 3, 1, 1, groups=64, bias=False), nn.BatchNorm2d(64), nn.PReLU(64),
        *bottlenecks,
        nn.Conv2d(n_in, 512, 1, bias=False), nn.BatchNorm2d(512), nn.PReLU(512),
        nn.Conv2d(512, 512, map_size, groups=512, bias=False), nn.Flatten(), nn.BatchNorm1d(512),
        nn.Linear(512, 128, bias=False), nn.BatchNorm1d(128),
    )  # fmt: skip
    values = zip(network.state_dict().values(), plain.state_dict().items(), strict=True)
    plain.load_state_dict({name: value.reshape(target.shape) for value, (name, target) in values})
    return plain.double().train(network.training)


def away_from_the_start(network):
    for seed, (name, values) in enumerate(network.state_dict().items()):
        if values.is_floating_point() and values.ndim == 1:
            is_shift = name.endswith(("bias", "running_mean"))
            values.copy_(0.3 * noise(len(values), seed=seed) + (0 if is_shift else values.abs().clamp(min=1.5)))
    return network


@pytest.mark.parametrize("n_channels, stem", [(3, 1920), (2, 1344), (1, 768)])
def test_published_numbers_of_parameters(n_channels, stem):
    network = MobileFaceNet(n_channels, SIZE)
    assert [n_parameters(network.stem[:2]), n_parameters(network.stem[2:])] == [stem, 768]
    assert [n_parameters(block) for block in network.stages] == [26_752, 69_632] + 4 * [139_008]
    parts = (network.widen, network.pool, network.project)
    assert [n_parameters(part) for part in parts] == [67_072, 82_944, 65_792]
    assert n_parameters(network) == stem + 768 + 26_752 + 69_632 + 4 * 139_008 + 67_072 + 82_944 + 65_792


@torch.no_grad()
@pytest.mark.parametrize("memory_format", [torch.channels_last, torch.contiguous_format], ids=["last", "plain"])
def test_published_shapes(memory_format):
    network, shapes = MobileFaceNet(3, SIZE).eval(), []
    parts = [network.stem[1], network.stem[3], *network.stages, network.widen, network.pool, network.project]
    for part in parts:
        part.register_forward_hook(lambda part, inputs, output: shapes.append(tuple(output.shape)))
    network(noise(2, 3, *SIZE).contiguous(memory_format=memory_format))
    stages = [(2, 128, 32, 79)] * 2 + [(2, 128, 16, 40)] * 2 + [(2, 128, 8, 20)] * 2
    assert shapes == 2 * [(2, 64, 64, 157)] + stages + [(2, 512, 8, 20), (2, 512), (2, 128)]


def test_only_blocks_that_keep_their_shape_add_their_input():
    assert [block.residual for block in MobileFaceNet(3, (32, 32)).stages] == 3 * [False, True]
    assert [Bottleneck(4, 4, 2, 2).residual, Bottleneck(4, 5, 2, 1).residual] == [False, False]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("memory_format", [torch.channels_last, torch.contiguous_format], ids=["last", "plain"])
@pytest.mark.parametrize(
    "stages, size, map_size",
    [(SMALL, (9, 13), (3, 4)), (SMALL, (4, 2), (1, 1)), (BOTTLENECKS["2023"], (16, 12), (1, 1))],
    ids=["odd", "one place", "2023"],
)
def test_equals_the_plain_layers(stages, size, map_size, memory_format, training):
    torch.manual_seed(0)
    network = away_from_the_start(MobileFaceNet(2, size, bottlenecks=stages)).double().train(training)
    plain = plain_network(network, 2, map_size, stages)
    image = noise(4, 2, *size).double().contiguous(memory_format=memory_format)
    weighting = noise(4, 128, seed=1).double()
    outputs = network(image), plain(image)
    torch.testing.assert_close(*outputs, rtol=1e-8, atol=1e-8)
    for output in outputs:
        (output * weighting).sum().backward()
    for own, other in zip(network.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(own.grad, other.grad.reshape(own.shape), rtol=1e-6, atol=1e-8)
    for own, other in zip(network.buffers(), plain.buffers(), strict=True):
        torch.testing.assert_close(own, other, rtol=1e-8, atol=1e-8)


def test_older_bottlenecks_are_fifteen_blocks_of_five_stages():
    blocks = MobileFaceNet(2, (32, 32), bottlenecks="2021").stages
    outputs = [block.layers[4].out_channels for block in blocks]
    strides = [block.layers[2].stride[0] for block in blocks]
    expansions = [block.layers[0].out_channels // block.layers[0].in_channels for block in blocks]
    assert outputs == 5 * [64] + 10 * [128]
    assert strides == [2, 1, 1, 1, 1, 2, 1, 1, 1, 1, 1, 1, 2, 1, 1]
    assert expansions == 5 * [2] + [4] + 6 * [2] + [4] + 2 * [2]


@pytest.mark.parametrize("bottlenecks", ["2023", "2021"])
def test_initial_weights_have_the_published_deviation(bottlenecks):
    torch.manual_seed(0)
    n_seen = 0
    for layer in MobileFaceNet(3, SIZE, bottlenecks=bottlenecks).modules():
        if isinstance(layer, nn.Conv2d | nn.Linear | GlobalDepthwiseConv2d):
            area = {nn.Linear: 1, GlobalDepthwiseConv2d: 8 * 20}.get(type(layer)) or math.prod(layer.kernel_size)
            expected = math.sqrt(2 / (area * len(layer.weight)))
            n_values = layer.weight.numel()
            assert layer.weight.std().item() == pytest.approx(expected, rel=5 / math.sqrt(2 * n_values))
            assert layer.weight.mean().item() == pytest.approx(0, abs=5 * expected / math.sqrt(n_values))
            n_seen += 1
    assert n_seen == 5 + 3 * {"2023": 6, "2021": 15}[bottlenecks]


def test_initial_normalisation_changes_nothing_and_slopes_are_those_of_torch():
    for layer in MobileFaceNet(3, (16, 12)).modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            assert (layer.weight == 1).all()
            assert (layer.bias == 0).all()
        if isinstance(layer, nn.PReLU):
            assert (layer.weight == 0.25).all()


def test_no_convolution_has_a_bias():
    for layer in MobileFaceNet(3, (16, 12)).modules():
        assert getattr(layer, "bias", None) is None or isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d)


@pytest.mark.parametrize("size", [(1, 1), (16, 2), (15, 33), (5, 7), (3, 100)])
@pytest.mark.parametrize("bottlenecks", ["2023", "2021", SMALL], ids=["2023", "2021", "own"])
def test_any_size_of_image_gives_an_embedding(bottlenecks, size):
    network = MobileFaceNet(2, size, embedding_dim=5, bottlenecks=bottlenecks)
    for training in (True, False):
        output = network.train(training)(noise(2, 2, *size).contiguous(memory_format=torch.channels_last))
        assert output.shape == (2, 5)
        assert output.isfinite().all()
