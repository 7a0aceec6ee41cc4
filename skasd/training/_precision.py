"""Numerical precision of networks."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


def torch_dtype(dtype: np.dtype) -> torch.dtype:
    """Torch equivalent of a NumPy dtype.

    Parameters
    ----------
    dtype : numpy.dtype
        NumPy dtype.

    Returns
    -------
    dtype : torch.dtype
        Equivalent dtype.
    """
    return torch.from_numpy(np.empty(0, dtype)).dtype


def autocast_dtype(precision: str, device: torch.device, dtype: torch.dtype) -> torch.dtype | None:
    """Floating point type for automatic mixed precision.

    Parameters
    ----------
    precision : {"auto", "float32", "bfloat16"}
        ``"auto"`` uses bfloat16 if the processor supports it natively, unless the data are float64.
    device : torch.device
        Device of the network.
    dtype : torch.dtype
        Floating point type of the data.

    Returns
    -------
    dtype : torch.dtype or None
        Floating point type of convolutions; None means that of the network.
    """
    if precision == "float32" or (precision == "auto" and (dtype == torch.float64 or not _has_bfloat16(device))):
        return None
    return torch.bfloat16


def _has_bfloat16(device: torch.device) -> bool:
    """Whether the processor multiplies faster in bfloat16 than in float32."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device)[0] >= 8
    if device.type != "cpu":
        return False
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")  # private, because torch.cpu has no public ones
    return any(getattr(torch.cpu, name, bool)() for name in checks)


@contextmanager
def autocast(device: torch.device, dtype: torch.dtype | None) -> Iterator[None]:
    """Context manager that computes convolutions in `dtype`.

    Torch keeps converted weights until the outermost autocast context ends, which may be that of a caller. They are dropped
    here, as the next step of the optimiser changes the weights.

    Parameters
    ----------
    device : torch.device
        Device of the network.
    dtype : torch.dtype or None
        Floating point type of convolutions; None keeps that of the network.
    """
    torch.clear_autocast_cache()
    try:
        with torch.autocast(device.type, dtype, enabled=dtype is not None):
            yield
    finally:
        torch.clear_autocast_cache()
