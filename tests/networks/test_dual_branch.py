import numpy as np
import pytest
import torch

from skasd.networks import SpectrogramBranch, SpectrumBranch, SpectrumNet
from skasd.networks._dual_branch import ResidualBlock, kernels

SHORT = 10_000


def n_parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


def sine(n_timepoints=160_000):
    return torch.sin(2 * torch.pi * 1000 * torch.arange(n_timepoints, dtype=torch.float64) / 16_000)[None]


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def shapes_of(layers, run):
    shapes = []
    hooks = [
        layer.register_forward_hook(lambda _, __, output: shapes.append(tuple(output.shape[1:]))) for layer in layers
    ]
    with torch.no_grad():
        run()
    for hook in hooks:
        hook.remove()
    return shapes


@pytest.mark.parametrize(
    ("seconds", "expected"), [(10, 1_529_856), (12, 1_562_624), (18, 1_660_928)], ids=["10 s", "12 s", "18 s"]
)
def test_published_number_of_parameters_of_the_spectrum(seconds, expected):
    assert n_parameters(SpectrumBranch(16_000 * seconds)) == expected


@pytest.mark.parametrize(
    ("n_fft", "n_bins", "expected"), [(256, 125, 769_104), (1024, 500, 965_712), (4096, 1997, 1_735_760)]
)
def test_published_number_of_parameters_of_the_spectrogram(n_fft, n_bins, expected):
    branch = SpectrogramBranch(16_000, n_fft)
    assert branch.norm.num_features == n_bins
    assert n_parameters(branch) == expected


def test_published_number_of_parameters_of_both():
    assert n_parameters(SpectrumNet(160_000)) == 2_495_568
    assert n_parameters(SpectrumNet(192_000)) == 2_528_336
    assert n_parameters(SpectrumNet(288_000)) == 2_626_640


@pytest.mark.parametrize(("seconds", "lengths"), [(10, (1247, 37, 6)), (12, (1497, 45, 8)), (18, (2247, 69, 14))])
def test_published_lengths_over_the_spectrum(seconds, lengths):
    branch = SpectrumBranch(16_000 * seconds).eval()
    convolutions = branch.convolutions[::3]
    assert shapes_of(convolutions, lambda: branch(noise(1, 16_000 * seconds))) == [(128, length) for length in lengths]


@pytest.mark.parametrize(("seconds", "n_frames", "after_pooling"), [(10, 313, 76), (12, 376, 92), (18, 563, 139)])
def test_published_sizes_over_the_spectrogram(seconds, n_frames, after_pooling):
    branch, clip = SpectrogramBranch(16_000).eval(), noise(1, 16_000 * seconds)
    assert branch.spectrogram(clip).shape == (1, 500, n_frames)
    shapes = shapes_of([branch.stem, *branch.stages], lambda: branch(clip))
    expected, size = [(16, after_pooling, 123)], [after_pooling, 123]
    for n_channels, stride in ((16, 1), (32, 2), (64, 2), (128, 2)):
        size = [-(-length // stride) for length in size]
        expected += 2 * [(n_channels, *size)]
    assert shapes == expected
    assert shapes[-1] == (128, {10: 10, 12: 12, 18: 18}[seconds], 16)


def test_no_bias_and_no_affine_normalisation():
    names = [name for name, _ in SpectrumNet(160_000).named_parameters()]
    assert all(name.endswith("weight") for name in names)
    assert not [name for name in names if "norm" in name]


def test_every_parameter_has_a_gradient():
    """In at least one of several networks: a squeeze and excitation layer with a single hidden unit can be inactive."""
    silent = None
    for seed in range(6):
        torch.manual_seed(seed)
        network = SpectrumNet(SHORT, n_ffts=(256, 1024))
        network({"waveform": noise(4, SHORT)}).square().sum(dim=0).matmul(noise(3 * 128)).backward()
        without = {name for name, parameter in network.named_parameters() if not parameter.grad.abs().sum() > 0}
        silent = without if silent is None else silent & without
    assert not silent


def test_spectrum_of_a_tone_has_one_bin():
    branch, seen = SpectrumBranch(160_000).double().eval(), []
    branch.convolutions[0].register_forward_hook(lambda _, inputs, __: seen.append(inputs[0][0, 0].detach().clone()))
    branch(sine())
    (spectrum,) = seen
    assert spectrum.shape == (80_001,)
    assert spectrum.argmax().item() == 10_000
    assert spectrum[10_000].item() == pytest.approx(80_000)
    spectrum[10_000] = 0
    assert spectrum.max() < 1e-6


@pytest.mark.parametrize("sample_rate", [400, 1000, 4000])
def test_any_sample_rate_leaves_bins_enough(sample_rate):
    branch = SpectrogramBranch(sample_rate, 256).eval()
    assert branch(noise(1, 4000)).shape == (1, 128)


def test_spectrum_branch_sees_the_magnitude_alone():
    branch, clip = SpectrumBranch(SHORT).double().eval(), noise(1, SHORT).double()
    torch.testing.assert_close(branch(clip), branch(-clip))
    torch.testing.assert_close(branch(clip), branch(clip.roll(5000, dims=1)))
    assert not torch.allclose(branch(clip), branch(2 * clip))  # no logarithm, no scaling


def test_window_is_normalised():
    spectrogram = SpectrogramBranch(16_000).double().spectrogram(sine())
    assert spectrogram[0, 64 - 13, 150].item() == pytest.approx(13.0639, abs=1e-4)
    assert spectrogram[0, :, 150].argmax().item() == 64 - 13


def test_embedding_has_unit_length():
    network = SpectrumNet(80_000).eval()
    embedding = network({"waveform": noise(2, 80_000)})
    assert embedding.shape == (2, 256)
    np.testing.assert_allclose(embedding.detach().norm(dim=1), 1, rtol=1e-5)
    parts = network.parts(noise(2, 80_000))
    assert [part.shape for part in parts] == [(2, 128), (2, 128)]


@pytest.mark.parametrize(
    ("n_timepoints", "expected"),
    [
        (70_014, [(256, 64), (64, 32), (16, 4)]),
        (70_012, [(128, 32), (32, 16), (8, 2)]),
        (9_406, [(128, 32), (32, 16), (8, 2)]),
        (9_404, [(64, 16), (16, 8), (4, 1)]),
        (18, [(4, 1), (4, 1), (4, 1)]),
    ],
)
def test_kernels_are_halved_until_they_fit(n_timepoints, expected):
    assert kernels(n_timepoints // 2 + 1) == expected
    assert SpectrumBranch(n_timepoints).eval()(noise(1, n_timepoints)).shape == (1, 128)


def test_shorter_clips_are_filled_up_with_zeros():
    network, clip = SpectrumNet(1000).eval(), noise(2, 1000)
    filled = torch.cat([clip, torch.zeros(2, 10 * 512 - 1000)], dim=1)
    torch.testing.assert_close(network({"waveform": clip}), network({"waveform": filled}))


def test_loudest_frame_counts_wherever_it_is():
    branch = SpectrogramBranch(16_000).eval()
    clip = torch.zeros(1, 160_000)
    clip[:, 60_000:62_000] = noise(1, 2000)
    later = clip.roll(16_384, dims=1)  # 32 frames, the stride of the last stage
    torch.testing.assert_close(branch(clip), branch(later), rtol=1e-4, atol=1e-5)


def test_block_of_stride_one_with_zero_weights_returns_its_normalised_input():
    block, x = ResidualBlock(8, 8, 1).train(), 3 + 2 * noise(4, 8, 6, 5)
    with torch.no_grad():
        block.layers[4].weight.zero_()  # the second convolution
    centred = x - x.mean(dim=(0, 2, 3), keepdim=True)
    expected = centred / (centred.square().mean(dim=(0, 2, 3), keepdim=True) + block.norm.eps).sqrt()
    torch.testing.assert_close(block(x), expected)


def test_block_of_stride_one_adds_its_normalised_input():
    block, x = ResidualBlock(8, 8, 1).eval(), 3 + noise(1, 8, 6, 5)
    block.norm.running_mean.fill_(3)
    block.norm.running_var.fill_(4)
    normalised = (x - 3) / (4 + block.norm.eps) ** 0.5
    torch.testing.assert_close(block(x), block.layers(normalised) + normalised)


def test_block_of_stride_two_adds_its_normalised_input_made_smaller():
    block, x = ResidualBlock(8, 16, 2).eval(), 3 + noise(1, 8, 7, 5)
    block.norm.running_mean.fill_(3)
    expected = block.layers(block.norm(x)) + block.skip(block.norm(x))
    assert expected.shape == (1, 16, 4, 3)
    torch.testing.assert_close(block(x), expected)


@pytest.mark.parametrize(("frequency_attention", "n_images"), [("off", 1), ("gate", 1), ("token", 2)])
def test_attention_over_the_bands_of_the_spectrogram(frequency_attention, n_images):
    torch.manual_seed(0)
    network = SpectrumNet(SHORT, n_ffts=(256, 1024), frequency_attention=frequency_attention)
    for branch in network.branches[1:]:
        images = branch.images(branch.spectrogram(noise(2, SHORT)))
        assert images.shape[1] == n_images
        assert branch.stem[0].in_channels == n_images
    network({"waveform": noise(4, SHORT)}).square().sum(dim=0).matmul(noise(3 * 128)).backward()
    attention = [parameter for name, parameter in network.named_parameters() if "gate" in name or "second" in name]
    assert len(attention) == {"off": 0, "gate": 4, "token": 20}[frequency_attention]
    assert all(parameter.grad is not None and torch.isfinite(parameter.grad).all() for parameter in attention)


def test_spectrograms_may_be_changed_before_they_are_normalised():
    network, clip = SpectrumNet(SHORT).eval(), noise(2, SHORT)
    plain, changed = network.parts(clip), network.parts(clip, lambda spectrogram: 2 * spectrogram)
    torch.testing.assert_close(changed[0], plain[0])  # the embedding of the spectrum
    torch.testing.assert_close(changed[1], network.branches[1](2 * clip))


def test_narrow_maps_are_finite_in_bfloat16_whatever_was_in_memory_before():
    for seed in range(20):
        torch.manual_seed(seed)
        branch = SpectrogramBranch(16_000, 64)
        poison = [torch.full((n,), torch.nan) for n in (200_000, 50_000, 10_000, 4000, 1000) * 6]
        del poison
        with torch.autocast("cpu", torch.bfloat16):
            assert torch.isfinite(branch(noise(8, 16_000, seed=seed))).all()
