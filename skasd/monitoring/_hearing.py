"""Hearing: hears one recording after another, each with the Monitor of its machine, and writes it to the database."""

import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from skasd.clips._files import file_length, readable_name
from skasd.monitoring._database import WatchDatabase
from skasd.monitoring._folder import FoundFile
from skasd.monitoring._records import (
    Model,
    is_recorded,
    record_failure,
    record_heard,
    record_monitor,
    record_path,
    same_recordings,
    state_of,
)


class UnusableRecordingError(ValueError):
    """A recording that cannot be used.

    Parameters
    ----------
    reason : str
        Why.
    may_grow : bool, default=True
        Whether another time may bring it, as the file may be on its way.
    """

    def __init__(self, reason: str, may_grow: bool = True) -> None:
        super().__init__(reason)
        self.may_grow = may_grow


class Hearing:
    """Hears recordings and writes what it heard, all of one recording in one transaction.

    Parameters
    ----------
    database : WatchDatabase
        Where to.
    model : Model
        What the recordings are scored with.
    monitor_of : callable
        Takes the name of a machine, and the state of its Monitor or None, and returns the Monitor.
    machine_of : callable
        Takes a FoundFile and returns the name of its machine; ValueError with the reason if it has none.
    """

    def __init__(
        self,
        database: WatchDatabase,
        model: Model,
        monitor_of: Callable[[str, dict[str, Any] | None], Any],
        machine_of: Callable[[FoundFile], str],
    ) -> None:
        self.database, self.model = database, model
        self._monitor_of, self._machine_of = monitor_of, machine_of
        self._monitors: dict[str, Any] = {}
        self._warned: set[tuple] = set()

    def knows(self, file: FoundFile) -> bool:
        """Whether a file is in the database as it is, be it under the name that it had before it was renamed."""
        if is_recorded(self.database, file, self.model):
            return True
        try:
            same = same_recordings(self.database, file, self._machine_of(file))
        except ValueError:
            return False
        for recording, path in same:
            if not FoundFile(path, "", *file.version).is_there():
                record_path(self.database, recording, file.path)
                return True
        return False

    def hear(self, file: FoundFile) -> tuple[str, Any] | None:
        """Hear a recording.

        Parameters
        ----------
        file : FoundFile
            A whole file.

        Returns
        -------
        machine_and_heard : tuple of str and Heard, or None
            The machine and what its Monitor made of it; None if the file was changed or deleted in the meantime.

        Raises
        ------
        UnusableRecordingError
            If it cannot be used. Nothing has changed.
        OSError
            If the database cannot be written to. Nothing has changed.
        """
        try:
            machine = self._machine_of(file)
        except ValueError as error:
            raise UnusableRecordingError(str(error), may_grow=False) from error
        try:
            return self._hear(file, machine)
        except BaseException:
            self._monitors.pop(machine, None)  # the next recording begins from what the database has
            raise

    def fail(self, file: FoundFile, reason: str) -> None:
        """Note a recording that cannot be used, and why."""
        record_failure(self.database, file, reason, self.model)

    def monitor(self, machine: str) -> Any:
        """The Monitor of a machine, as it was after its last recording."""
        if machine not in self._monitors:
            self._monitors[machine] = self._monitor_of(machine, state_of(self.database, machine, self.model))
        return self._monitors[machine]

    def forget(self) -> None:
        """Begin from what the database has."""
        self._monitors.clear()

    def _hear(self, file: FoundFile, machine: str) -> tuple[str, Any] | None:
        monitor = self.monitor(machine)
        length = file_length(Path(file.path))
        duration = 0.0 if length is None else length[0] / length[1]
        try:
            started_at = datetime.fromtimestamp(file.modified_ns / 1e9, UTC) - timedelta(seconds=duration)
        except (OverflowError, ValueError, OSError) as error:
            raise UnusableRecordingError(
                f"its header says that it lasts {duration:.6g} s, and it was changed {file.modified_ns / 1e9:.6g} s after "
                "1970: no date is so far away",
                may_grow=False,
            ) from error
        try:
            with self._warned_once(machine):
                heard = monitor.push_clip(file.path, started_at=started_at)
        except (ValueError, TypeError, RuntimeError, OSError, MemoryError) as error:
            if not os.path.lexists(file.path):
                self._monitors.pop(machine, None)
                return None
            reason = str(error).removeprefix(f"{readable_name(file.path)}: ") or type(error).__name__
            raise UnusableRecordingError(reason) from error
        if not file.is_there():
            self._monitors.pop(machine, None)
            return None
        with self.database.transaction() as connection:
            number = record_monitor(connection, machine, self.model, monitor.state())
            record_heard(
                connection, file, heard, machine=number, model=self.model, started_at=started_at, duration=duration
            )
        return machine, heard

    @contextmanager
    def _warned_once(self, machine: str) -> Iterator[None]:
        """Give each kind of warning once for a machine, not for each of its recordings."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield
        for warning in caught:
            kind = machine, warning.category, warning.filename, warning.lineno
            if kind not in self._warned:
                self._warned.add(kind)
                warnings.warn(f"{machine}: {warning.message}" if machine else warning.message, stacklevel=3)
