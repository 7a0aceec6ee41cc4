"""Selection of torch devices by name."""

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
