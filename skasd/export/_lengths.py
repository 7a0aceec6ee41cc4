"""Lengths of axes, which a trace keeps as values that depend on the input."""

from typing import Any

import torch
from torch import Tensor


def length_of(x: Tensor, axis: int = -1) -> Any:
    """Length of an axis as a tensor of no axes, with which a trace goes on computing.

    Parameters
    ----------
    x : Tensor
        Any tensor.
    axis : int, default=-1
        The axis.
    """
    return torch.as_tensor(x.shape[axis])
