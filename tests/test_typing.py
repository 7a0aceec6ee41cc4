"""Shapes in annotations are checked in the test run, do not get in the way there, and cost users nothing."""

import pickle
import subprocess
import sys
from copy import deepcopy

import pytest
import torch
from jaxtyping import TypeCheckError

from skasd.augmentations import SpectrumAugmentation, linear_fader
from skasd.losses import supervised_contrastive_loss
from skasd.networks import OSSCLNet, TgramNet

WITHOUT_JAXTYPING = """
import sys
sys.modules["jaxtyping"] = None
import torch
from skasd.losses import prototype_loss
from skasd.networks import TAgramNet
assert prototype_loss.__wrapped__.__annotations__["label"] is torch.Tensor
print(TAgramNet()(torch.zeros(2, 3, 4)).shape)
"""


@pytest.fixture
def network():
    torch.manual_seed(0)
    return OSSCLNet(("log_mel", "tgram", "tfgram", "tagram", "frequency_attention"), (16, 12), hop_length=32).eval()


@pytest.fixture
def inputs():
    shared = torch.Generator().manual_seed(0)
    return {"log_mel": torch.randn(3, 16, 12, generator=shared), "waveform": torch.randn(3, 352, generator=shared)}


def test_axes_of_one_name_have_one_length():
    with pytest.raises(TypeCheckError, match="label"):
        supervised_contrastive_loss(torch.eye(4), torch.tensor([0, 0, 1]))


def test_a_missing_axis_is_noticed():
    with pytest.raises(TypeCheckError, match="spectrogram"):
        linear_fader(torch.zeros(3, 4), torch.Generator())


def test_a_wrong_dtype_is_noticed():
    with pytest.raises(TypeCheckError, match="label"):
        supervised_contrastive_loss(torch.eye(2), torch.tensor([0.0, 1.0]))


def test_networks_are_checked(network, inputs):
    with pytest.raises(TypeCheckError, match="waveform"):
        network({**inputs, "waveform": inputs["waveform"][0]})


def test_values_of_the_user_are_left_to_the_messages_of_the_package():
    with pytest.raises(ValueError, match="mask='smooth' is unknown"):
        SpectrumAugmentation(mask="smooth").check()
    with pytest.raises(TypeError, match="bank_size='many' is a str"):
        SpectrumAugmentation(bank_size="many").check()


@pytest.mark.parametrize(
    "copied", [deepcopy, lambda network: pickle.loads(pickle.dumps(network))], ids=["copy", "pickle"]
)
def test_copies_of_checked_networks_give_the_same(copied, network, inputs):
    assert torch.equal(copied(network)(inputs), network(inputs))


@pytest.mark.skipif(torch.__version__ < "2.7", reason="the compiler of torch 2.6 cannot trace checks of shapes")
@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch.*")  # torch's compiler uses what torch deprecates
def test_checked_networks_can_be_compiled(inputs):
    network = TgramNet((16, 12), hop_length=32).eval()
    compiled = torch.compile(network, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(inputs["waveform"]), network(inputs["waveform"]))


def test_without_jaxtyping_a_shape_is_a_plain_tensor():
    run = subprocess.run([sys.executable, "-c", WITHOUT_JAXTYPING], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "torch.Size([2, 3, 4])"
