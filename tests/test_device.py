import pytest
import torch

from skasd._device import check_device, torch_device


def test_accelerator_that_a_build_knows_and_the_machine_lacks_is_not_taken(monkeypatch):
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: torch.device("cuda"))
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)
    assert torch_device("auto") == torch.device("cpu")


def test_accelerator_that_is_there_is_taken(monkeypatch):
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: torch.device("cuda"))
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    assert torch_device("auto") == torch.device("cuda")


def test_named_device_is_taken():
    assert torch_device("cpu") == torch.device("cpu")


def test_unknown_device_is_refused_by_name():
    with pytest.raises(ValueError, match="device='warp' is not a device"):
        torch_device("warp")


def test_device_that_is_no_text_is_refused():
    with pytest.raises(TypeError, match="device=0 is a int"):
        check_device(0)
