"""Run a trained network over clips."""

from collections.abc import Iterable, Iterator
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from torch import nn

from skasd._device import dtype_on
from skasd._torch_state import own_torch_state
from skasd.training._memory import reused_memory


def evaluated(network: nn.Module, batches: Iterable[Any], device: torch.device) -> Iterator[np.ndarray]:
    """Apply a network to batches in its own precision, or in float32 if the device has no float64.

    The network itself stays where it is: on another device a copy computes, since other threads may use the network.

    Parameters
    ----------
    network : nn.Module
        Network in evaluation mode.
    batches : iterable of ndarray or dict of str to ndarray
        Inputs of the network, with clips along the first axis.
    device : torch.device
        Device for the computation.

    Yields
    ------
    output : ndarray of shape (n_clips, ...)
        Output for a batch.
    """
    with own_torch_state():
        first = next(network.parameters())
        if device != first.device:
            dtype = dtype_on(device, first.dtype)
            network = deepcopy(network).to(device, None if dtype == first.dtype else dtype)
    with reused_memory(give_back=False):
        for batch in batches:
            with own_torch_state(), torch.inference_mode():
                output = network(_tensors(batch, device, dtype_on(device, first.dtype))).cpu().numpy()
            yield output


def _tensors(batch: Any, device: torch.device, dtype: torch.dtype) -> Any:
    if isinstance(batch, dict):
        return {name: _tensors(values, device, dtype) for name, values in batch.items()}
    return torch.from_numpy(batch).to(device, dtype)
