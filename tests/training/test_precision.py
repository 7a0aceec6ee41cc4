import pytest
import torch

from skasd.training._precision import autocast, autocast_dtype
from tests.training.tiny import fit, seeded_objective

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.fixture
def processor(monkeypatch):
    """Sets what the processor can do."""

    def set_abilities(*, avx512=False, amx=False):
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512, raising=False)
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx, raising=False)

    return set_abilities


@pytest.mark.parametrize("device", [CPU, CUDA], ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_float32_is_the_dtype_of_the_network(device, dtype):
    assert autocast_dtype("float32", device, dtype) is None


def test_bfloat16_is_taken_on_any_processor(processor):
    processor()
    assert autocast_dtype("bfloat16", CPU, torch.float32) == torch.bfloat16


@pytest.mark.parametrize("abilities", [{"avx512": True}, {"amx": True}], ids=str)
def test_auto_is_bfloat16_where_the_processor_computes_in_it(processor, abilities):
    processor(**abilities)
    assert autocast_dtype("auto", CPU, torch.float32) == torch.bfloat16


def test_auto_is_float32_on_other_processors(processor):
    processor()
    assert autocast_dtype("auto", CPU, torch.float32) is None


def test_auto_is_float64_for_data_of_float64(processor):
    processor(avx512=True, amx=True)
    assert autocast_dtype("auto", CPU, torch.float64) is None


def test_auto_is_float32_where_torch_cannot_tell(monkeypatch):
    monkeypatch.delattr(torch.cpu, "_is_avx512_bf16_supported", raising=False)
    monkeypatch.delattr(torch.cpu, "_is_amx_tile_supported", raising=False)
    assert autocast_dtype("auto", CPU, torch.float32) is None


@pytest.mark.parametrize("capability, expected", [((7, 5), None), ((8, 0), torch.bfloat16), ((9, 0), torch.bfloat16)])
def test_auto_asks_the_accelerator_for_its_generation(monkeypatch, capability, expected):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device=None: capability)
    assert autocast_dtype("auto", CUDA, torch.float32) == expected


def test_auto_is_float32_on_other_accelerators():
    assert autocast_dtype("auto", torch.device("mps"), torch.float32) is None


@pytest.mark.parametrize("dtype, expected", [(torch.bfloat16, torch.bfloat16), (None, torch.float32)])
def test_layers_within_the_context_compute_in_its_dtype(dtype, expected):
    with autocast(CPU, dtype):
        assert torch.nn.Linear(2, 2)(torch.ones(1, 2)).dtype == expected


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_weights_stay_in_float32(precision):
    state = fit(precision=precision, validation_fraction=0.3).objective.state_dict()
    assert {value.dtype for value in state.values()} == {torch.float32, torch.int64}


def test_precision_of_bfloat16_is_used():
    rounded, exact = (fit(precision=precision).history[-1]["train_loss"] for precision in ("bfloat16", "float32"))
    assert rounded != exact
    assert rounded == pytest.approx(exact, rel=0.05)


def test_auto_trains_float64_in_float64(processor):
    processor(avx512=True)
    exact, auto = (
        fit(seeded_objective().double(), precision=precision).history[-1]["train_loss"]
        for precision in ("float32", "auto")
    )
    assert auto == exact
