"""Losses in float32 or better, also where the network around them runs in bfloat16."""

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def at_least_float32(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """`function` with its half-precision tensors in float32, and without autocast."""

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
