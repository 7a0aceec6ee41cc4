"""Networks forward and backward on the meta device, which has shapes and no values, and refuses tensors of the CPU."""

import inspect

import pytest
import torch
from torch import nn

from skasd import networks
from skasd._mel import MelDefinition

META = torch.device("meta")
BANDS, FRAMES, LENGTH, HOP = 64, 40, 4000, 100
WAVEFORM, MEL = (2, LENGTH), (2, BANDS, FRAMES)
IMAGE = (2, 1, BANDS, FRAMES)
INPUTS = {"waveform": WAVEFORM, "log_mel": MEL}
BRANCHES = ("log_mel", "tgram", "tfgram", "tagram", "frequency_attention")
NETWORKS = {
    "BYOLANet": (lambda: networks.BYOLANet(BANDS), IMAGE),
    "DenseAutoencoder": (lambda: networks.DenseAutoencoder(320), (2, 320)),
    "Dropout": (networks.Dropout, MEL),
    "EfficientNetB0": (networks.EfficientNetB0, IMAGE),
    "FrequencyAttention": (lambda: networks.FrequencyAttention(FRAMES), MEL),
    "FrequencyGate": (lambda: networks.FrequencyGate(BANDS), MEL),
    "LogMelNet": (lambda: networks.LogMelNet(MelDefinition(n_fft=512)), WAVEFORM),
    "MobileFaceNet": (lambda: networks.MobileFaceNet(1, (BANDS, FRAMES)), IMAGE),
    "MobileNetV2": (networks.MobileNetV2, IMAGE),
    "OSSCLNet": (lambda: networks.OSSCLNet(BRANCHES, (BANDS, FRAMES), hop_length=HOP), INPUTS),
    "PerturbationHead": (networks.PerturbationHead, (2, 128)),
    "SegmentNet": (lambda: networks.SegmentNet(nn.Identity(), networks.BYOLANet(BANDS), 2, 24), INPUTS),
    "SpectrogramBranch": (lambda: networks.SpectrogramBranch(16000, 256, frequency_attention="multihead"), WAVEFORM),
    "SpectrumBranch": (lambda: networks.SpectrumBranch(LENGTH), WAVEFORM),
    "SpectrumNet": (lambda: networks.SpectrumNet(LENGTH, n_ffts=(256,)), INPUTS),
    "SqueezeExcitation": (lambda: networks.SqueezeExcitation(64), (2, 64, FRAMES)),
    "TAgramNet": (networks.TAgramNet, MEL),
    "TFgramNet": (lambda: networks.TFgramNet((BANDS, FRAMES)), WAVEFORM),
    "TgramNet": (lambda: networks.TgramNet((BANDS, FRAMES), hop_length=HOP), WAVEFORM),
    "TimePooling": (lambda: networks.TimePooling(8, "attention"), (2, 8, BANDS, FRAMES)),
}


def made(shape):
    """Tensor of this shape on the meta device, or a dict of them."""
    if isinstance(shape, dict):
        return {name: made(one) for name, one in shape.items()}
    return torch.randn(shape, device=META, requires_grad=True)


def run_backward(output):
    assert output.device == META
    output.mean().backward()


def test_every_network_has_its_turn():
    classes = {name for name in networks.__all__ if inspect.isclass(getattr(networks, name))}
    assert classes == {*NETWORKS, "JointNet"}


@pytest.mark.parametrize("name", NETWORKS)
def test_networks(name):
    make, shape = NETWORKS[name]
    network = make().to(META)
    run_backward(network(made(shape)))
    assert all(weight.grad is not None for weight in network.parameters())
    network.eval()(made(shape))


@pytest.mark.parametrize("backbone", ["mobilenet_v2", "efficientnet_b0"])
def test_joint_network(backbone):
    network, patch = networks.JointNet(BANDS, FRAMES, 3, backbone=backbone).to(META), made((2, FRAMES, BANDS))
    values = patch.flatten(1)
    code = network.autoencoder.encoder(values)
    features = network.features(patch)
    outputs = network.logits(features), network.autoencoder.decoder(code), *network.views(features, code)
    run_backward(sum(output.mean() for output in outputs))
    assert all(weight.grad is not None for weight in network.parameters())
