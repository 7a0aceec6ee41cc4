"""Tensors and modules of torch in model files; torch is imported only for files that hold some."""

import math
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from skasd.persistence._arrays import memory_order
from skasd.persistence._classes import class_named, name_of
from skasd.persistence._objects import read_state, written_state

if TYPE_CHECKING:
    from skasd.persistence._tree import Node, Reader, Writer

_NAMED = ("channels_last", "contiguous_format", "preserve_format")
_HALF = "bfloat16"  # NumPy lacks it
_PARTS = ("_parameters", "_buffers", "_modules")


def written(value: Any, writer: "Writer", where: str) -> "Node":
    """Node of a tensor, a module or a setting of torch; None for other objects."""
    torch = sys.modules.get("torch")
    if torch is None:
        return None
    if isinstance(value, torch.Tensor):
        return _written_tensor(value, writer, where)
    if isinstance(value, torch.nn.Module) and name_of(type(value)) is not None:
        _refuse_hooks(value, where)
        state = {name: part for name, part in vars(value).items() if not _is_machinery(name)}
        return {"module": name_of(type(value)), "state": written_state(state, writer, where)}
    if isinstance(value, (torch.dtype, torch.memory_format)):
        return {"torch": str(value).removeprefix("torch.")}
    return {"torch": "cpu"} if isinstance(value, torch.device) else None


def _written_tensor(value: Any, writer: "Writer", where: str) -> "Node":
    import torch

    if type(value) not in (torch.Tensor, torch.nn.Parameter) or value.layout != torch.strided or value.is_complex():
        raise TypeError(f"{where} is a {type(value).__name__} of {value.dtype}, which a model file cannot keep.")
    plain = value.detach().cpu()
    plain = plain if _is_dense(plain.shape, plain.stride()) else plain.contiguous()
    dense = plain.permute(memory_order(plain.stride())).reshape(-1)
    is_half = value.dtype == torch.bfloat16
    return {
        "tensor": writer.keep((dense.view(torch.int16) if is_half else dense).numpy()),
        "shape": list(plain.shape),
        "strides": list(plain.stride()),
        "is_half": is_half,
        "is_parameter": isinstance(value, torch.nn.Parameter),
        "requires_grad": value.requires_grad,
    }


def _read_tensor(node: "Node", reader: "Reader") -> Any:
    import torch

    dense = torch.from_numpy(reader.array(node["tensor"]))
    dense = dense.view(torch.bfloat16) if node["is_half"] else dense
    shape, strides = tuple(map(int, node["shape"])), tuple(map(int, node["strides"]))
    if not _is_dense(shape, strides) or dense.shape != (math.prod(shape),):
        raise ValueError("it has a tensor whose numbers do not fill its shape")
    value = dense.as_strided(shape, strides)
    grad = bool(node["requires_grad"])
    return torch.nn.Parameter(value, requires_grad=grad) if node["is_parameter"] else value.requires_grad_(grad)


def _is_dense(shape: Sequence[int], strides: Sequence[int]) -> bool:
    """Whether the elements of a tensor lie in memory without gaps, each once."""
    if 0 in shape:
        return True
    expected = 1
    for stride, length in sorted(zip(strides, shape, strict=True)):
        if length > 1 and stride != expected:
            return False
        expected *= length
    return min(strides, default=0) >= 0


def _read_module(node: "Node", reader: "Reader") -> Any:
    cls = class_named(node["module"])
    import torch

    if not issubclass(cls, torch.nn.Module):
        raise ValueError(f"it has {node['module']} in place of a module of torch")
    value = cls.__new__(cls)
    torch.nn.Module.__init__(value)  # what a module of this version of torch has besides
    reader.know(node, value)
    state = read_state(node, reader, cls)
    if not all(isinstance(state.get(part), dict) for part in _PARTS):
        raise ValueError("it has a module of torch that lacks its parameters")
    vars(value).update(state)
    return value


def _is_machinery(name: str) -> bool:
    """Whether an attribute of a module is what torch itself adds to all of them."""
    return "_hooks" in name or name in (
        "_is_full_backward_hook",
        "_backward_pre_hooks",
        "_compiled_call_impl",
        "call_super_init",
    )


def _refuse_hooks(module: Any, where: str) -> None:
    hooks = [name for name, part in vars(module).items() if "_hooks" in name and part]
    if hooks:
        raise TypeError(f"{where} has {hooks[0]}, functions that a model file cannot keep; remove them.")


def _read_named(node: "Node", _: "Reader") -> Any:
    import torch

    name = str(node["torch"])
    if name == "cpu":
        return torch.device("cpu")
    value = getattr(torch, name, None)
    if not isinstance(value, (torch.dtype, torch.memory_format)):
        raise ValueError(f"it names torch.{name}, which is no data type")
    return value


READERS = {"module": _read_module, "tensor": _read_tensor, "torch": _read_named}
