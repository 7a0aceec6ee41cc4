import math

import numpy as np
import pytest
import torch
from torch import nn

from skasd.networks import TFgramNet


def n_parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def plain_network(network, n_mels, n_frames):
    """The same network built from one-dimensional layers, with the same parameters."""

    def layer(n_in, n_out, width, **settings):
        convolution = nn.Conv1d(n_in, n_out, width, bias=False, **settings)
        return [convolution, nn.BatchNorm1d(n_out), nn.ReLU()]

    def pair(n_in, n_out):
        return layer(n_in, n_out, 3, padding=1) + layer(n_out, n_out, 3, dilation=2, padding=2)

    plain = nn.Sequential(
        *layer(1, 64, 11, stride=5, padding=5),
        *pair(64, 64), nn.MaxPool1d(4),
        *pair(64, n_mels), nn.AdaptiveMaxPool1d(2 * n_frames),
        *pair(n_mels, n_mels), nn.AdaptiveMaxPool1d(n_frames),
    )  # fmt: skip
    values = zip(network.state_dict().values(), plain.state_dict().items(), strict=True)
    plain.load_state_dict({name: value.reshape(target.shape) for value, (name, target) in values})
    return plain.to(next(network.parameters()).dtype).train(network.training)


def away_from_the_start(network):
    for seed, (name, values) in enumerate(network.state_dict().items()):
        if name.endswith(("norm.weight", "running_var")):
            values.copy_(1 + 0.3 * noise(*values.shape, seed=seed).abs())
        elif name.endswith(("norm.bias", "running_mean")):
            values.copy_(0.3 * noise(*values.shape, seed=seed))
    return network


def test_published_numbers_of_parameters():
    network = TFgramNet((128, 313))
    parts = (network.stem, network.block1, network.block2, network.block3)
    assert [n_parameters(part) for part in parts] == [832, 24_832, 74_240, 98_816]
    assert n_parameters(network) == 198_720


@torch.no_grad()
def test_published_shapes():
    network, shapes = TFgramNet((128, 313)).eval(), []
    for part in (network.stem, network.block1, network.block2, network.block3):
        part.register_forward_hook(lambda part, inputs, output: shapes.append(tuple(output.shape)))
    output = network(noise(2, 160_000))
    assert shapes == [(2, 64, 1, 32_000), (2, 64, 1, 8000), (2, 128, 1, 626), (2, 128, 1, 313)]
    assert output.shape == (2, 128, 313)
    assert (output >= 0).all()


def adaptive_pools(network):
    pools = [network.block2[-1], network.block3[-1]]
    return [lambda x, pool=pool: pool(x[None, None, None])[0, 0, 0] for pool in pools]


def test_published_maxima_of_the_first_adaptive_pool():
    first, _ = adaptive_pools(TFgramNet((128, 313)))
    maxima = first(torch.arange(8000.0))
    assert maxima[:4].tolist() == [12, 25, 38, 51]
    assert maxima[-2:].tolist() == [7987, 7999]


def test_published_windows_of_the_first_adaptive_pool():
    first, _ = adaptive_pools(TFgramNet((128, 313)))
    position = torch.arange(8000.0)
    last, start = first(position), -first(-position)
    assert start.tolist() == [8000 * i // 626 for i in range(626)]
    assert (last + 1).tolist() == [math.ceil(8000 * (i + 1) / 626) for i in range(626)]
    assert (last - start + 1).to(torch.int64).bincount()[13:].tolist() == [140, 486]


def test_second_adaptive_pool_takes_pairs():
    _, second = adaptive_pools(TFgramNet((128, 313)))
    assert second(torch.arange(626.0)).tolist() == list(range(1, 626, 2))
    assert (-second(-torch.arange(626.0))).tolist() == list(range(0, 626, 2))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("channels_last", [True, False])
def test_equals_the_plain_one_dimensional_layers(channels_last, training):
    torch.manual_seed(0)
    network = away_from_the_start(TFgramNet((6, 5))).double().train(training)
    plain = plain_network(network, 6, 5)
    network.to(memory_format=torch.channels_last if channels_last else torch.contiguous_format)
    waveform, weighting = noise(3, 603).double(), noise(3, 6, 5, seed=1).double()
    outputs = network(waveform), plain(waveform[:, None])
    torch.testing.assert_close(*outputs, rtol=1e-9, atol=1e-9)
    for output in outputs:
        (output * weighting).sum().backward()
    for own, other in zip(network.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(own.grad, other.grad.reshape(own.shape), rtol=1e-8, atol=1e-9)
    for own, other in zip(network.buffers(), plain.buffers(), strict=True):
        torch.testing.assert_close(own, other, rtol=1e-9, atol=1e-9)


def test_initial_weights_are_drawn_as_xavier_does():
    torch.manual_seed(0)
    for layer in TFgramNet((128, 313)).modules():
        if isinstance(layer, nn.Conv2d):
            bound = math.sqrt(6 / (layer.kernel_size[1] * (layer.in_channels + layer.out_channels)))
            assert 0.98 * bound < layer.weight.abs().max() <= bound
            deviation = 5 / math.sqrt(2 * layer.weight.numel())
            assert layer.weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=deviation)


def test_initial_normalisation_changes_nothing():
    for layer in TFgramNet((16, 9)).modules():
        if isinstance(layer, nn.BatchNorm2d):
            assert (layer.weight == 1).all()
            assert (layer.bias == 0).all()


@pytest.mark.parametrize("n_timepoints", [3, 19, 20, 21, 500])
@pytest.mark.parametrize("n_frames", [1, 2, 9])
def test_image_has_the_size_of_the_spectrogram_for_any_waveform(n_frames, n_timepoints):
    network = TFgramNet((7, n_frames))
    for training in (True, False):
        output = network.train(training)(noise(2, n_timepoints))
        assert output.shape == (2, 7, n_frames)
        assert output.isfinite().all()


def test_zeros_follow_a_waveform_that_is_too_short():
    network, waveform = TFgramNet((7, 2)).eval(), noise(2, 3)
    filled = torch.cat([waveform, torch.zeros(2, 17)], dim=1)
    torch.testing.assert_close(network(waveform), network(filled))


def test_scored_clip_does_not_depend_on_its_batch():
    network, waveform = away_from_the_start(TFgramNet((7, 5))).eval(), noise(3, 700)
    with torch.no_grad():
        np.testing.assert_allclose(network(waveform)[1:2], network(waveform[1:2]), rtol=1e-4, atol=1e-5)
