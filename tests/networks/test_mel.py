import numpy as np
import pytest
import torch

from skasd._mel import MelDefinition
from skasd.networks import LogMelNet


def test_gradient_reaches_the_waveform():
    waveform = torch.randn(2, 3000, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    LogMelNet(MelDefinition(n_mels=16), dtype=torch.float64)(waveform).sum().backward()
    assert (waveform.grad != 0).any(dim=1).all()


def test_gradient_agrees_with_finite_differences():
    network = LogMelNet(MelDefinition(n_fft=32, hop_length=16, n_mels=4, sample_rate=200), dtype=torch.float64)
    waveform = torch.randn(1, 50, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    assert torch.autograd.gradcheck(network, waveform)


def test_layer_has_nothing_to_train_and_nothing_to_save():
    network = LogMelNet(MelDefinition())
    assert not list(network.parameters())
    assert not network.state_dict()


def test_clip_does_not_depend_on_its_batch():
    batch = torch.randn(3, 4000, generator=torch.Generator().manual_seed(0)) * torch.tensor([[1.0], [100.0], [0.01]])
    network = LogMelNet(MelDefinition(top_db=30.0))
    np.testing.assert_allclose(network(batch)[2], network(batch[2:])[0], atol=1e-4)


@pytest.mark.parametrize("n_timepoints", [1, 10, 600])
def test_short_clips_are_filled(n_timepoints):
    assert LogMelNet(MelDefinition(n_mels=8))(torch.ones(1, n_timepoints)).shape == (
        1,
        8,
        1 + max(n_timepoints, 513) // 512,
    )
