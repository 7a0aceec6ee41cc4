import numpy as np
import pytest
import torch
from torch import nn

from skasd.networks import TgramNet


def n_parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_published_number_of_parameters():
    network = TgramNet((128, 313))
    assert n_parameters(network.filters) == 128 * 1024
    assert [n_parameters(block) for block in network.blocks] == 3 * [2 * 313 + 128 * 128 * 3]
    assert n_parameters(network) == 280_406


@torch.no_grad()
def test_published_shapes():
    network, shapes = TgramNet((128, 313)), []
    for layer in [network.filters, *network.blocks]:
        layer.register_forward_hook(lambda layer, inputs, output: shapes.append(tuple(output.shape)))
    assert network(noise(2, 160_000)).shape == (2, 128, 313)
    assert shapes == 4 * [(2, 128, 313)]


def test_equals_the_plain_layers():
    torch.manual_seed(0)
    network = TgramNet((5, 9), hop_length=8).double()
    for norm in (block[0] for block in network.blocks):
        nn.init.normal_(norm.weight), nn.init.normal_(norm.bias)
    waveform = noise(2, 8 * 8).double()
    x = np.stack([np.pad(clip, 8) for clip in waveform.numpy()])
    filters = network.filters.weight.detach().numpy()[:, 0]
    x = np.stack([filters @ x[:, 8 * frame : 8 * frame + 16].T for frame in range(9)], axis=2)  # (5, 2, 9)
    x = x.transpose(1, 0, 2)
    for norm, _, convolution in network.blocks:
        weight, bias = norm.weight.detach().numpy(), norm.bias.detach().numpy()
        x = (x - x.mean(axis=2, keepdims=True)) / np.sqrt(x.var(axis=2, keepdims=True) + 1e-5) * weight + bias
        x = np.where(x > 0, x, 0.2 * x)
        padded = np.pad(x, ((0, 0), (0, 0), (1, 1)))
        x = sum(convolution.weight.detach().numpy()[:, :, k] @ padded[:, :, k : k + 9] for k in range(3))
    np.testing.assert_allclose(network(waveform).detach(), x, rtol=0, atol=1e-10)


def test_normalisation_runs_over_time_and_the_last_layer_is_a_convolution():
    network = TgramNet((128, 313))
    assert [block[0].normalized_shape for block in network.blocks] == 3 * [(313,)]
    assert isinstance(network.blocks[-1][-1], nn.Conv1d)


def test_initial_weights_are_those_of_torch():
    torch.manual_seed(0)
    network = TgramNet((128, 313))
    torch.manual_seed(0)
    assert torch.equal(network.filters.weight, nn.Conv1d(1, 128, 1024, bias=False).weight)
    bound = 1 / np.sqrt(128 * 3)
    for block in network.blocks:
        assert 0.999 * bound < block[2].weight.abs().max() <= bound


@pytest.mark.parametrize("n_timepoints", [3, 31, 32, 64, 65, 500])
@pytest.mark.parametrize("n_frames", [2, 3, 9])
def test_image_has_the_size_of_the_spectrogram_for_any_waveform(n_frames, n_timepoints):
    output = TgramNet((7, n_frames), hop_length=32)(noise(2, n_timepoints))
    assert output.shape == (2, 7, n_frames)
    assert output.isfinite().all()


def test_frames_beyond_the_spectrogram_are_cut():
    network, waveform = TgramNet((7, 4), hop_length=32), noise(2, 320)
    assert network.filters(waveform[:, None]).shape[-1] == 11
    torch.testing.assert_close(network(waveform), network.blocks(network.filters(waveform[:, None])[..., :4]))


def test_zeros_follow_where_frames_are_missing():
    network, waveform = TgramNet((7, 4), hop_length=32), noise(2, 33)
    frames = network.filters(waveform[:, None])
    assert frames.shape[-1] == 2
    torch.testing.assert_close(network(waveform), network.blocks(torch.cat([frames, 0 * frames], dim=2)))


def test_clip_does_not_depend_on_its_batch():
    network, waveform = TgramNet((7, 11), hop_length=32), noise(3, 320)
    torch.testing.assert_close(network(waveform)[1:2], network(waveform[1:2]))
