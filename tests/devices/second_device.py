"""A second device made of the processor: tensors of it hold ordinary ones, and calculate with nothing but each other.

Torch lets a device be written in Python. Every operator is computed by that of the CPU, and refused, as on a graphics card,
if it gets tensors of both devices. So a whole training shows whether each tensor is where it has to be, without a card.
"""

from functools import partial
from typing import Any

import torch
from torch.utils import backend_registration
from torch.utils._pytree import tree_leaves, tree_map

NAME = "second"
DEVICE = torch.device("privateuseone", 0)
_MOVES = {"aten::_to_copy", "aten::copy_", "aten::_copy_from", "aten::_copy_from_and_resize"}
_INDEXED = {"aten::index", "aten::index_put", "aten::index_put_"}  # their indices may be of the CPU on every device
_MAKERS = (  # those of the CPU make an empty tensor first, and give it its size later
    "empty.memory_format",
    "empty_strided",
    "arange",
    "arange.start",
    "arange.start_step",
    "eye",
    "eye.m",
    "linspace",
    "randperm",
)
_registered: list[torch.library.Library] = []


class SecondTensor(torch.Tensor):
    """Tensor of the second device; `held` is the ordinary tensor with its values."""

    held: torch.Tensor
    has_float64 = True

    @staticmethod
    def __new__(cls, held: torch.Tensor) -> "SecondTensor":
        if held.dtype == torch.float64 and not cls.has_float64:
            raise TypeError("The second device has no float64, as that of Apple.")
        made = torch.Tensor._make_wrapper_subclass(
            cls,
            held.size(),
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=DEVICE,
        )
        made.held = held
        return made

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        return f"SecondTensor({self.held})"

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        """Compute an operator with the ordinary tensors inside; refuse tensors of both devices."""
        return computed(func, args, kwargs or {})


def computed(func: Any, args: tuple, kwargs: dict[str, Any]) -> Any:
    """Result of an operator, on the device where torch would put it."""
    name = func._schema.name
    target = kwargs.get("device")
    tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
    of_second = [leaf for leaf in tensors if isinstance(leaf, SecondTensor)]
    if name not in _MOVES:
        refuse_mixed(name, tensors, args)
    plain = {**tree_map(_held, kwargs), **({"device": torch.device("cpu")} if target is not None else {})}
    result = func(*tree_map(_held, args), **plain)
    is_second = bool(of_second) if target is None else torch.device(target).type == DEVICE.type
    known = {id(leaf.held): leaf for leaf in of_second}

    def moved(leaf: Any) -> Any:
        if not isinstance(leaf, torch.Tensor) or not is_second:
            return leaf
        return known[id(leaf)] if id(leaf) in known else SecondTensor(leaf)

    return tree_map(moved, result)


def refuse_mixed(name: str, tensors: list[torch.Tensor], args: tuple) -> None:
    """Raise for tensors of both devices, unless those of the CPU are single numbers or indices."""
    first = next((leaf for leaf in tensors if isinstance(leaf, SecondTensor)), None)
    if name in _INDEXED and isinstance(args[0], SecondTensor):
        tensors = [leaf for leaf in tensors if leaf.dtype not in (torch.int64, torch.bool, torch.uint8)]
    strangers = [leaf for leaf in tensors if not isinstance(leaf, SecondTensor) and leaf.dim() > 0]
    if first is not None and strangers:
        shapes = [tuple(leaf.shape) for leaf in strangers]
        raise RuntimeError(f"{name}: tensors of the CPU {shapes} beside one of the second device {tuple(first.shape)}")


def _held(leaf: Any) -> Any:
    return leaf.held if isinstance(leaf, SecondTensor) else leaf


class _Module(getattr(backend_registration, "_DummyBackendModule", object)):  # torch 2.6 has no such devices
    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        """Data types of automatic mixed precision."""
        return [torch.bfloat16]

    def get_rng_state(self, device: Any = None) -> torch.Tensor:
        """State of the generator, of which the device has none."""
        return torch.empty(0, dtype=torch.uint8)

    def set_rng_state(self, state: torch.Tensor, device: Any = None) -> None:
        """Nothing."""


def register(*, has_float64: bool = True) -> None:
    """Make torch know the device, once in a process."""
    SecondTensor.has_float64 = has_float64
    backend_registration._setup_privateuseone_for_python_backend(NAME, _Module())
    library = torch.library.Library("aten", "IMPL")
    for name in _MAKERS:
        library.impl(name, partial(_made, name), "PrivateUse1")
    _registered.append(library)


def _made(name: str, *args: Any, **kwargs: Any) -> SecondTensor:
    operator, overload = f"{name}.default".split(".")[:2]
    kwargs.pop("device", None)
    return SecondTensor(getattr(getattr(torch.ops.aten, operator), overload)(*args, **kwargs))
