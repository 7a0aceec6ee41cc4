"""Encoders in files of torch.export, which are refused if loading them would run code."""

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.export.passes import move_to_device_pass

_WITH_CODE = ("custom_obj", "opaque_obj")
_COMPILED = (".so", ".cubin", ".dll")


def load_exported(path: Path, device: torch.device) -> Callable[[torch.Tensor], Any]:
    """Read a file that ``torch.export.save`` wrote.

    Parameters
    ----------
    path : Path
        The file.
    device : torch.device
        Where it computes.

    Returns
    -------
    module : torch.nn.Module
        The exported function.

    Raises
    ------
    ValueError
        If the file is damaged, or holds pickles or compiled code.
    """
    try:
        _refuse_code(path)
        program = torch.export.load(path)
        if device.type != "cpu":
            program = move_to_device_pass(program, device)
        return program.module()
    except Exception as error:  # which one depends on the version of torch
        raise ValueError(
            f"encoder={str(path)!r} cannot be read as a file of torch.export ({type(error).__name__}: {error}); write it "
            "anew with torch.export.save."
        ) from error


def _refuse_code(path: Path) -> None:
    """Raise if a part of the archive would be unpickled without restrictions, or is compiled code."""
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            last = name.rpartition("/")[2]
            if "aotinductor" in name or last.endswith(_COMPILED) or last.startswith(_WITH_CODE):
                raise ValueError(f"its part {name!r} is code, or a pickle, which can run code")
            if last.endswith("config.json") and _mentions_pickle(json.loads(archive.read(name))):
                raise ValueError(f"{name!r} says that weights are pickles, which can run code")
            if last.endswith(".pt") and archive.getinfo(name).file_size:
                torch.load(io.BytesIO(archive.read(name)), weights_only=True)


def _mentions_pickle(value: Any) -> bool:
    if isinstance(value, dict):
        return bool(value.get("use_pickle")) or any(map(_mentions_pickle, value.values()))
    return isinstance(value, list) and any(map(_mentions_pickle, value))
