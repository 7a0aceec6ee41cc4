"""Where tensors live, by name."""

from typing import Any


def check_device(device: Any) -> None:
    """Raise unless `device` is text."""
    if not isinstance(device, str):
        raise TypeError(f"device={device!r} is a {type(device).__name__}; a name such as 'cpu' is expected.")


def torch_device(device: str) -> Any:
    """Torch device that `device` names, after a look whether it is there; "auto" is an accelerator where there is one."""
    import torch  # only here, so that what runs on the CPU without torch starts without it

    if device == "auto":
        # a build for an accelerator names it as the current one also where there is none
        return torch.accelerator.current_accelerator() if torch.accelerator.is_available() else torch.device("cpu")
    try:
        return torch.empty(0, device=device).device
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ValueError(
            f"device={device!r} is not a device of torch here ({error}); 'cpu' and 'auto' always are."
        ) from error
