"""Run a trained network over clips."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from torch import nn

from skasd.training._memory import reused_memory


def evaluated(network: nn.Module, batches: Iterable[Any], device: torch.device) -> Iterator[np.ndarray]:
    """Apply a network to batches in its own precision, then move it back to its original device.

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
    first = next(network.parameters())
    dtype, home = first.dtype, first.device
    if device != home:
        network.to(device)
    try:
        with reused_memory(give_back=False):
            for batch in batches:
                with torch.inference_mode():
                    output = network(_tensors(batch, device, dtype))
                yield output.cpu().numpy()
    finally:
        if device != home:
            network.to(home)


def _tensors(batch: Any, device: torch.device, dtype: torch.dtype) -> Any:
    if isinstance(batch, dict):
        return {name: _tensors(values, device, dtype) for name, values in batch.items()}
    return torch.from_numpy(batch).to(device, dtype)
