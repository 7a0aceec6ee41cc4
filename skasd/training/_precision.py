"""In which precision a network runs."""

from contextlib import AbstractContextManager

import numpy as np
import torch


def torch_dtype(dtype: np.dtype) -> torch.dtype:
    """What torch calls a `dtype` of NumPy."""
    return torch.from_numpy(np.empty(0, dtype)).dtype


def autocast_dtype(precision: str, device: torch.device, dtype: torch.dtype) -> torch.dtype | None:
    """What convolutions are computed in, or None for the dtype of the network.

    Parameters
    ----------
    precision : {"auto", "float32", "bfloat16"}
        ``"auto"`` takes bfloat16 where the processor computes in it, unless the data are float64.
    device : torch.device
        Where the network runs.
    dtype : torch.dtype
        Of the data.
    """
    if precision == "float32" or (precision == "auto" and (dtype == torch.float64 or not _has_bfloat16(device))):
        return None
    return torch.bfloat16


def _has_bfloat16(device: torch.device) -> bool:
    """Whether the processor multiplies in bfloat16 faster than in float32."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device)[0] >= 8
    if device.type != "cpu":
        return False
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")  # of torch.cpu, which has no public ones
    return any(getattr(torch.cpu, name, bool)() for name in checks)


def autocast(device: torch.device, dtype: torch.dtype | None) -> AbstractContextManager:
    """Context that computes convolutions in `dtype`.

    Parameters
    ----------
    device : torch.device
        Where the network runs.
    dtype : torch.dtype or None
        None leaves them in the dtype of the network.
    """
    return torch.autocast(device.type, dtype, enabled=dtype is not None)
