"""Losses are computed in float32 or float64, even when the network runs in bfloat16."""

import functools
from collections.abc import Callable
from typing import Any, ParamSpec

import torch
from torch import Tensor

_P = ParamSpec("_P")


def at_least_float32(function: Callable[_P, Tensor]) -> Callable[_P, Tensor]:
    """Decorate a function so that half-precision tensors are converted to float32 and autocast is off."""

    @functools.wraps(function)
    def in_float32(*arguments: Any, **named: Any) -> Tensor:
        first = next(value for value in (*arguments, *named.values()) if isinstance(value, Tensor))
        widened = {name: _widened(value) for name, value in named.items()}
        with torch.autocast(first.device.type, enabled=False):
            return function(*map(_widened, arguments), **widened)

    return in_float32


def _widened(value: Any) -> Any:
    is_half = isinstance(value, Tensor) and value.dtype in (torch.bfloat16, torch.float16)
    return value.float() if is_half else value
