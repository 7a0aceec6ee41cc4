"""Ctrl-C during a fit: noted, so that a detector can say that it was interrupted, or ending a suite or a command."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

_NOTED: ContextVar[list[str] | None] = ContextVar("noted", default=None)
_ENDS: ContextVar[bool] = ContextVar("ends", default=False)


def note_interrupt(message: str) -> None:
    """Note that a training was interrupted and keeps what it has learnt, unless an interrupt is to end the fit.

    Parameters
    ----------
    message : str
        What happened.

    Raises
    ------
    KeyboardInterrupt
        Inside :func:`interrupts_end_fits`.
    """
    if _ENDS.get():
        raise KeyboardInterrupt(message)
    noted = _NOTED.get()
    if noted is not None:
        noted.append(message)


@contextmanager
def noted_interrupts() -> Iterator[list[str]]:
    """Collect the messages of trainings that are interrupted inside the block.

    Yields
    ------
    noted : list of str
        Messages so far.
    """
    outer, noted = _NOTED.get(), list[str]()
    token = _NOTED.set(noted)
    try:
        yield noted
    finally:
        _NOTED.reset(token)
        if outer is not None:
            outer.extend(noted)


@contextmanager
def interrupt_signals() -> Iterator[list[int]]:
    """Collect the Ctrl-C of the block, also those that something inside catches, such as skorch between two epochs.

    Yields
    ------
    seen : list of int
        Numbers of the signals so far; always empty in threads other than the main one, which get no signals.
    """
    seen, before = list[int](), signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield seen
        return

    def note(number: int, frame: Any) -> None:
        seen.append(number)
        before(number, frame)

    signal.signal(signal.SIGINT, note)
    try:
        yield seen
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def interrupts_end_fits() -> Iterator[None]:
    """Make Ctrl-C end what runs inside the block: no training keeps what it has learnt so far, and no result is made of it.

    Raises
    ------
    KeyboardInterrupt
        At the end of the block at the latest, even if something inside caught it.
    """
    token = _ENDS.set(True)
    with interrupt_signals() as seen:
        try:
            yield
        finally:
            _ENDS.reset(token)
            if seen and not isinstance(sys.exc_info()[1], KeyboardInterrupt):
                raise KeyboardInterrupt("interrupted")


def was_interrupted(estimator: Any) -> bool:
    """Whether a fitted estimator, or a step of a pipeline, says by ``interrupted_`` that its training was interrupted.

    Parameters
    ----------
    estimator : estimator
        Fitted estimator or pipeline.

    Returns
    -------
    was_interrupted : bool
        False if it says nothing.
    """
    parts = [estimator, *(step for _, step in getattr(estimator, "steps", ()))]
    return any(bool(getattr(part, "interrupted_", False)) for part in parts)
