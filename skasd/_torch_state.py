"""What skasd computes with torch does not depend on what its caller has set in torch, and changes nothing there.

Torch keeps settings per thread or per process: autocast, gradients, inference mode, the default device and data type, and
one random generator for all. Code that computes enters :func:`own_torch_state`, and names its data types; code that builds
networks enters :class:`DrawnFrom`.
"""

import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch.nn import init
from torch.overrides import TorchFunctionMode

_OF_TENSOR = ("uniform_", "normal_", "random_", "bernoulli_", "exponential_", "log_normal_", "cauchy_", "geometric_")
_DRAWING = frozenset(
    {getattr(torch.Tensor, name) for name in _OF_TENSOR}
    | {torch.rand, torch.randn, torch.randint, torch.randperm, torch.normal, torch.bernoulli, torch.multinomial}
    | {init.uniform_, init.normal_, init.kaiming_uniform_}  # torch hands these over whole; the others in init call them
)
_FLOATING = frozenset({torch.empty, torch.zeros, torch.ones, torch.rand, torch.randn, torch.hann_window})


@contextmanager
def own_torch_state() -> Iterator[None]:
    """Compute within a ``with`` block as if the caller had set nothing in torch: with gradients, without autocast.

    The block may be nested, and other threads are not affected. The default data type belongs to the whole process, so it
    stays as it is: tensors made within the block need an explicit one.
    """
    _limit_threads_after_fork()
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        for kind in _device_types():
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        if torch.empty(0).device.type != "cpu":  # torch 2.6 does not name the device of a `with` block as the default
            stack.enter_context(torch.device("cpu"))
        yield


def _device_types() -> tuple[str, ...]:
    try:
        accelerator = torch.accelerator.current_accelerator()  # a build may have one although the machine has none,
    except RuntimeError:  # at which torch 2.6 fails
        return ("cpu",)
    return ("cpu",) if accelerator is None else ("cpu", accelerator.type)


class DrawnFrom(TorchFunctionMode):
    """Within a ``with`` block, the weights of new layers are drawn from a generator of one's own, in float32.

    The layers of torch take no generator and draw from that of the whole process, which other threads share. Inside of the
    block every function that draws gets the generator as an argument instead; other threads are not affected.

    Parameters
    ----------
    generator : torch.Generator
        Source of the weights, on the CPU.
    """

    def __init__(self, generator: torch.Generator) -> None:
        super().__init__()
        self.generator = generator

    def __torch_function__(
        self, func: Callable, types: Iterable[type], args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Call a function of torch, with the generator if it draws and float32 if it makes a tensor of no given type."""
        given = dict(kwargs or {})
        if func in _DRAWING:
            given["generator"] = given.get("generator") or self.generator
        if func in _FLOATING:
            given["dtype"] = given.get("dtype") or torch.float32
        return func(*args, **given)


_threads_before_fork: int | None = None


def _note_fork() -> None:
    """Remember in a forked child with how many threads torch computed in the parent."""
    global _threads_before_fork
    _threads_before_fork = torch.get_num_threads()


def _limit_threads_after_fork() -> None:
    """Compute on one thread in a forked child: the threads of torch's pool do not survive a fork, and are waited for."""
    global _threads_before_fork
    before, _threads_before_fork = _threads_before_fork, None
    if before is None or before == 1 or torch.get_num_threads() != before:
        return
    torch.set_num_threads(1)
    warnings.warn(
        f"This process was forked from one that had loaded torch, whose {before} threads do not survive a fork; torch "
        "computes on one thread here, as it could hang otherwise. Start processes by 'spawn' or 'forkserver' to use more.",
        stacklevel=2,
    )


if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
    os.register_at_fork(after_in_child=_note_fork)
