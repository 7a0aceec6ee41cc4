import pytest
import torch

from skasd.networks import DenseAutoencoder, EfficientNetB0, JointNet, MobileNetV2
from skasd.networks._joint import flattened, gamp
from skasd.networks._mobilenet import rounded


def n_parameters(*modules):
    return sum(parameter.numel() for module in modules for parameter in module.parameters())


def n_running(module):
    return sum(buffer.numel() for name, buffer in module.named_buffers() if "running" in name)


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_published_number_of_parameters_of_the_autoencoders():
    assert n_parameters(DenseAutoencoder(8192)) == 2_208_792
    assert n_running(DenseAutoencoder(8192)) == 2_210_856 - 2_208_792
    assert n_parameters(DenseAutoencoder(640)) == 267_928
    assert n_running(DenseAutoencoder(640)) == 269_992 - 267_928


@pytest.mark.parametrize(
    ("backbone", "of_backbone", "of_three", "of_six"),
    [("mobilenet_v2", 2_223_296, 2_227_139, 2_230_982), ("efficientnet_b0", 4_006_972, 4_010_815, 4_014_658)],
)
def test_published_number_of_parameters_of_the_classifiers(backbone, of_backbone, of_three, of_six):
    for n_classes, expected in ((3, of_three), (6, of_six)):
        network = JointNet(128, 64, n_classes, backbone=backbone)
        assert n_parameters(network.backbone) == of_backbone
        assert n_parameters(network.backbone, network.to_logits) == expected


def test_published_number_of_parameters_of_the_projections():
    network = JointNet(128, 64, 3)
    assert n_parameters(network.project_code, network.project_features, network.shared) == 461_824
    assert n_parameters(network) == 2_227_139 + 2_208_792 + 461_824


@pytest.mark.parametrize(("n_classes", "expected"), [(3, 691_523), (6, 695_366)])
def test_published_number_of_parameters_of_the_baseline(n_classes, expected):
    network = JointNet(128, 64, n_classes, width=0.5, image_channels=3, pooling="mean", has_autoencoder=False)
    assert n_parameters(network) == expected
    assert n_running(network) == 18_544


@pytest.mark.parametrize("make", [MobileNetV2, EfficientNetB0])
@pytest.mark.parametrize(("size", "expected"), [((128, 64), (4, 2)), ((128, 66), (4, 3)), ((1, 1), (1, 1))], ids=str)
def test_size_of_the_map(make, size, expected):
    assert make().eval()(noise(2, 1, *size)).shape == (2, 1280, *expected)


def test_sizes_within_mobilenet():
    x, sizes = noise(1, 1, 128, 64), []
    for block in MobileNetV2().eval():
        x = block(x)
        sizes.append(tuple(x.shape[1:]))
    expected = [(32, 64, 32), (16, 64, 32), (24, 32, 16), (32, 16, 8), (64, 8, 4), (96, 8, 4), (160, 4, 2), (320, 4, 2)]
    assert list(dict.fromkeys(sizes)) == [*expected, (1280, 4, 2)]


def test_pooling_of_one_channel():
    x = torch.tensor([[1.0, 2], [3, 4], [5, 0], [7, 2]])[None, None]
    assert gamp(x).item() == 7


def test_patches_are_flattened_band_by_band():
    patch = (64 * torch.arange(128.0)[:, None] + torch.arange(64.0)).T[None]  # (B, P, F)
    torch.testing.assert_close(flattened(patch)[0], torch.arange(8192.0))


def test_autoencoder_has_so_many_numbers_in_the_middle():
    autoencoder = DenseAutoencoder(640)
    assert autoencoder.encoder(noise(4, 640)).shape == (4, 8)
    assert autoencoder(noise(4, 640)).shape == (4, 640)


def test_views_do_not_depend_on_lengths():
    network = JointNet(16, 8, 2).eval()
    features, code = noise(3, 1280), noise(3, 8, seed=1)
    for one, other in zip(network.views(features, code), network.views(5 * features, 0.1 * code), strict=True):
        assert one.shape == (3, 256)
        torch.testing.assert_close(one, other)


def test_without_an_autoencoder_the_logits_are_the_same():
    torch.manual_seed(0)
    whole = JointNet(16, 8, 2).eval()
    bare = JointNet(16, 8, 2, has_autoencoder=False).eval()
    bare.load_state_dict({name: value for name, value in whole.state_dict().items() if name in bare.state_dict()})
    patch = noise(3, 8, 16)
    assert torch.equal(whole.logits(whole.features(patch)), bare.logits(bare.features(patch)))


@pytest.mark.parametrize("width", [0.1, 1.33])
def test_any_width_of_the_backbone_fits_the_classifier(width):
    network = JointNet(16, 8, 2, width=width, has_autoencoder=False).eval()
    assert network.logits(network.features(noise(2, 8, 16))).shape == (2, 2)


def test_repeated_channels_are_one_image():
    network = JointNet(16, 8, 2, width=0.5, image_channels=3, pooling="mean", has_autoencoder=False).eval()
    assert network.features(noise(3, 8, 16)).shape == (3, 1280)
    assert network.backbone[0][0].in_channels == 3


def test_every_parameter_has_a_gradient():
    torch.manual_seed(0)
    network = JointNet(64, 64, 3, backbone="efficientnet_b0")
    patch = noise(4, 64, 64)
    features, code = network.features(patch), network.autoencoder.encoder(flattened(patch))
    views = network.views(features, code)
    parts = [network.logits(features), network.autoencoder.decoder(code), *views]
    sum(part.square().sum() for part in parts).backward()
    assert not [name for name, parameter in network.named_parameters() if parameter.grad is None]


@pytest.mark.parametrize(("asked", "expected"), [(32, 32), (16, 16), (12, 16), (48, 48), (4, 8), (13.9, 16), (20, 24)])
def test_numbers_of_channels_are_multiples_of_eight(asked, expected):
    assert rounded(asked) == expected
