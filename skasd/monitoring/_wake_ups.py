"""When to look at folders: watchfiles says that something changed in them, or nothing does."""

import threading
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from pathlib import Path

_TICK = 0.2  # s
_DEBOUNCE_MS, _STEP_MS = 200, 50  # changes within so many ms are one, after so many without another
_TICKS_OF_POLLING = 25


def wake_ups(
    folders: Sequence[Path], *, poll: bool, stop: threading.Event, warn: Callable[[str], None]
) -> Iterator[bool]:
    """Yield several times a second until `stop` is set.

    Parameters
    ----------
    folders : sequence of Path
        Folders, watched with those below them.
    poll : bool
        Whether they are only looked at every few seconds, as for network drives, whose changes the system does not tell.
    stop : threading.Event
        Ends it.
    warn : callable
        Takes a sentence if they cannot be watched and are polled instead.

    Yields
    ------
    is_changed : bool
        Whether it is time to look at them.
    """
    if not poll:
        try:
            yield from _watched(folders, stop)
        except (OSError, RuntimeError) as error:
            warn(f"The folders cannot be watched and are looked at every few seconds instead: {error}")
    for number in count():
        if stop.wait(_TICK):
            return
        yield number % _TICKS_OF_POLLING == 0


def _watched(folders: Sequence[Path], stop: threading.Event) -> Iterator[bool]:
    from watchfiles import watch

    for changes in watch(
        *folders,
        watch_filter=None,
        debounce=_DEBOUNCE_MS,
        step=_STEP_MS,
        rust_timeout=round(1000 * _TICK),
        yield_on_timeout=True,
        stop_event=stop,
        ignore_permission_denied=True,
    ):
        yield bool(changes)
