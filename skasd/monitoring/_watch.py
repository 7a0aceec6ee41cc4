"""Watch: looks at folders, has what is new heard and its episodes told, and goes on whatever happens."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from skasd.clips._files import readable_name
from skasd.monitoring._database import DatabaseTroubleError
from skasd.monitoring._folder import Folders
from skasd.monitoring._hearing import Hearing, UnusableRecordingError
from skasd.monitoring._rate_text import rate_text
from skasd.monitoring._tell import Teller

_LOOK_EVERY = 60.0  # s, also if nothing is said to have changed: network drives do not tell all
_REST = 10  # a look at a large folder takes long; the next one waits for so many times its processor time
_SAID_HOURS = 0.01
_RETRY = 30.0  # s after the database could not be written to


@dataclass
class Watch:
    """Hears what is new in folders.

    Parameters
    ----------
    folders : Folders
        What is watched.
    hearing : Hearing
        Hears recordings.
    teller : Teller
        Says episodes.
    warn, note : callable
        Take a sentence: about what is wrong, and about what happened.
    stop : threading.Event
        Ends it after the recording that is being heard.
    is_once : bool, default=False
        Whether it ends after what is there; how long a machine is still learnt is not said then.
    n_heard, n_failed, n_told : int, default=0
        Numbers of recordings and lines so far.
    """

    folders: Folders
    hearing: Hearing
    teller: Teller
    warn: Callable[[str], None]
    note: Callable[[str], None]
    stop: threading.Event
    is_once: bool = False
    n_heard: int = 0
    n_failed: int = 0
    n_told: int = 0
    _missing: dict[str, float] = field(default_factory=dict)  # hours until there is a threshold, as last said

    def once(self) -> None:
        """Hear what is there, without what is still being written.

        Raises
        ------
        OSError
            If a folder cannot be read, or the database cannot be written to.
        """
        self._round()
        self._refuse_unreadable()
        end = time.monotonic() + 2 * self.folders.settle
        while self.folders.is_settling() and time.monotonic() < end and not self.stop.is_set():
            self.stop.wait(min(self.folders.seconds_to_wait() or 0.0, self.folders.settle) + 0.01)
            self._round()

    def run(self, wake_ups: Iterator[bool]) -> None:
        """Hear what comes until `stop` is set.

        Parameters
        ----------
        wake_ups : iterator of bool
            Yields often, and True when something changed.
        """
        is_changed, looked_at, not_before = True, 0.0, 0.0
        trouble = ""
        told_folders: set[str] = set()
        for now_changed in wake_ups:
            is_changed |= now_changed
            start = time.monotonic()
            is_due = is_changed or self.folders.seconds_to_wait() == 0.0 or start >= looked_at + _LOOK_EVERY
            if self.stop.is_set() or start < not_before or not is_due:
                continue
            looked_at, is_changed = start, False
            try:
                not_before = time.monotonic() + self._round()
            except DatabaseTroubleError as error:
                if str(error) != trouble:
                    self.warn(f"{error} It is tried again until it can.")
                trouble, not_before, is_changed = str(error), time.monotonic() + _RETRY, True
            else:
                if trouble:
                    self.note("The database can be written to again.")
                trouble = ""
            for folder in self.folders.unreadable.keys() - told_folders:
                self.warn(_unreadable(folder, self.folders.unreadable[folder]))
            told_folders = set(self.folders.unreadable)

    def _round(self) -> float:
        """Hear all that is whole; return how many seconds to wait until the next look, which costs something too."""
        self.n_told += self.teller.tell()  # what a kill left
        start, used = time.monotonic(), time.thread_time()
        files = self.folders.look()
        rest = max(time.monotonic() - start, _REST * (time.thread_time() - used))
        for file in files:
            if self.stop.is_set():
                break
            if self._take(file):
                self.n_told += self.teller.tell()
        return rest

    def _take(self, file: Any) -> bool:
        """Hear a file, unless it is known; return whether it was heard."""
        if self.hearing.knows(file):
            self.folders.done(file)
            return False
        try:
            found = self.hearing.hear(file)
        except UnusableRecordingError as error:
            if not (error.may_grow and self.folders.may_grow(file)):
                self.hearing.fail(file, str(error))
                self.n_failed += 1
                self.folders.done(file)
                self.warn(f"{readable_name(file.path)}: {error}")
            return False
        if found is None:
            return False
        self.folders.done(file)
        self.n_heard += 1
        for sentence in _sentences(*found):
            self.note(sentence)
        self._say_missing(*found)
        return True

    def _say_missing(self, machine: str, heard: Any) -> None:
        """Say how long there is no threshold, unless it was said and is no longer than that."""
        if heard.hours_missing > self._missing.get(machine, 0.0) + _SAID_HOURS and not self.is_once:
            self._missing[machine] = heard.hours_missing
            self.note(
                f"{machine or 'the machine'} is being learnt; {heard.hours_missing:.3g} hours of sound are missing."
            )

    def _refuse_unreadable(self) -> None:
        for folder, reason in self.folders.unreadable.items():
            raise OSError(_unreadable(folder, reason))


def _unreadable(folder: str, reason: str) -> str:
    return f"The folder {readable_name(folder)} cannot be read: {reason}."


def _sentences(machine: str, heard: Any) -> Iterator[str]:
    """What a recording brought beside episodes."""
    name = f"{machine}: " if machine else ""
    if heard.learning is not None:
        learnt = heard.learning
        yield (
            f"{name}the threshold is {learnt.threshold:.6g} after {learnt.hours:.3g} hours; "
            f"{rate_text(learnt.episodes_per_day)} false episodes a day are expected ({rate_text(learnt.lowest_per_day)} "
            f"to {rate_text(learnt.highest_per_day)})."
        )
    if heard.drift is not None:
        yield (
            f"{name}the sound has drifted from that of the learning period; look at the machine, and give --relearn if it "
            "is as it should be."
        )
