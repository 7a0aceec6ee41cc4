"""Selection of torch devices by name, and the floating point types that they have."""

from functools import cache
from typing import Any


def check_device(device: Any) -> None:
    """Raise unless `device` is a string.

    Parameters
    ----------
    device : object
        Value to check.
    """
    if not isinstance(device, str):
        raise TypeError(f"device={device!r} is a {type(device).__name__}; a name such as 'cpu' is expected.")


def torch_device(device: str) -> Any:
    """Torch device for a name; raise if it is not available.

    Parameters
    ----------
    device : str
        Name of a torch device, or ``"auto"`` for an accelerator if there is one and the CPU otherwise.

    Returns
    -------
    device : torch.device
        Available device.
    """
    import torch  # imported here so that CPU-only code does not need torch

    if device == "auto":
        # current_accelerator() is not None in accelerator builds even if no accelerator is present
        return torch.accelerator.current_accelerator() if torch.accelerator.is_available() else torch.device("cpu")
    try:
        return torch.empty(0, device=device).device
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ValueError(
            f"device={device!r} is not a device that torch finds here ({error}); use 'cpu' or 'auto'."
        ) from error


def dtype_on(device: Any, dtype: Any) -> Any:
    """Data type in which values are kept on a device: float32 instead of float64 on devices without it, such as "mps".

    Parameters
    ----------
    device : torch.device
        Device that the values are moved to.
    dtype : torch.dtype
        Data type of the values elsewhere.

    Returns
    -------
    dtype : torch.dtype
        `dtype`, or float32.
    """
    import torch

    return torch.float32 if dtype == torch.float64 and not _has_float64(device.type) else dtype


@cache
def _has_float64(kind: str) -> bool:
    import torch

    if kind in ("cpu", "cuda"):
        return True
    try:
        torch.empty(0, dtype=torch.float64, device=kind)
    except TypeError:  # as torch says it of "mps"
        return False
    return True
