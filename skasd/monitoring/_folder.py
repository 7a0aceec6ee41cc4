"""Folders that fill up: which recordings are in them, and which of these are whole.

A file is whole when its size and its time of change have stood still for some seconds. One that was found at the first look
may have stood still for long; one that appears later is waited for, as some programs give a file its size and its time
before its content. A file that stands still and yet cannot be read may still be on its way, so that it is tried again.
"""

import os
import stat
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from skasd.clips._suffixes import FOREIGN_SUFFIXES, READABLE_SUFFIXES
from skasd.datasets._folder_files import walk_folders

_SUFFIXES = READABLE_SUFFIXES + FOREIGN_SUFFIXES  # those of recordings that have to be converted are told as failures
_LARGEST_INTEGER = 2**63 - 1  # of SQLite


@dataclass(frozen=True)
class FoundFile:
    """A recording that was found.

    Parameters
    ----------
    path : str
        Its absolute path.
    below : str
        The folder that it is in, relative to the folder that is watched; "" for that folder itself.
    size : int
        Bytes.
    modified_ns : int
        Time of the last change, in ns since 1970.
    inode : int, default=0
        Its number in its file system, which a renamed file keeps.
    """

    path: str
    below: str
    size: int
    modified_ns: int
    inode: int = 0

    @property
    def version(self) -> tuple[int, int]:
        """Size and time of change, which tell whether the file was changed."""
        return self.size, self.modified_ns

    def is_there(self) -> bool:
        """Whether the file is there as it was found."""
        try:
            status = os.stat(self.path)  # noqa: PTH116
        except OSError:
            return False
        return (status.st_size, status.st_mtime_ns) == self.version


@dataclass
class _Waiting:
    version: tuple[int, int]
    still_since: float
    is_tried: bool = False  # stood still, and could not be read


class Folders:
    """Folders that are watched, and what was seen in them so far.

    Parameters
    ----------
    roots : iterable of Path
        Absolute paths of folders; one inside another is part of that.
    settle : float
        For how many seconds a file has to stand still.
    patience : float
        For how many seconds one that cannot be read has to stand still until that is a failure.
    clock : callable, default=time.monotonic
        Returns seconds; for tests.
    """

    def __init__(
        self, roots: Iterable[Path], *, settle: float, patience: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.roots = _outermost(roots)
        self.settle, self.patience, self._clock = settle, max(settle, patience), clock
        self.unreadable: dict[str, str] = {}  # folders that could not be listed at the last look, with the reason
        self._done: dict[str, tuple[int, int]] = {}
        self._waiting: dict[str, _Waiting] = {}
        self._is_first = True

    def look(self) -> list[FoundFile]:
        """Recordings that are whole and not done, by time of change, then by path."""
        now, wall = self._clock(), time.time()
        self.unreadable = {}
        found = {file.path: file for root in self.roots for file in self._files(root)}
        self._done = {path: version for path, version in self._done.items() if path in found}
        waiting, whole = {}, []
        for path, file in found.items():
            if self._done.get(path) == file.version:
                continue
            known = self._waiting.get(path)
            if known is None or known.version != file.version:
                age = max(0.0, wall - file.modified_ns / 1e9) if self._is_first else 0.0
                known = _Waiting(file.version, now - age)
            waiting[path] = known
            if now - known.still_since >= (self.patience if known.is_tried else self.settle):
                whole.append(file)
        self._waiting, self._is_first = waiting, False
        return sorted(whole, key=lambda file: (file.modified_ns, file.path))

    def done(self, file: FoundFile) -> None:
        """Take a file off the list until it changes."""
        self._waiting.pop(file.path, None)
        self._done[file.path] = file.version

    def may_grow(self, file: FoundFile) -> bool:
        """Whether a whole file that cannot be read may be on its way; it is then offered once more, after `patience`."""
        known = self._waiting.get(file.path)
        if known is None or self._clock() - known.still_since >= self.patience:
            return False
        known.is_tried = True
        return True

    def seconds_to_wait(self) -> float | None:
        """Seconds until the next file that stands still is whole; None if no file is waited for."""
        now = self._clock()
        due = [
            known.still_since + (self.patience if known.is_tried else self.settle) for known in self._waiting.values()
        ]
        return max(0.0, min(due) - now) if due else None

    def is_settling(self) -> bool:
        """Whether a file is waited for that was not tried."""
        return any(not known.is_tried for known in self._waiting.values())

    def _files(self, root: Path) -> Iterable[FoundFile]:
        for here, names in walk_folders(root, self._note):
            below = os.path.relpath(here, root)
            for name in names:
                if name.startswith(".") or not name.lower().endswith(_SUFFIXES):
                    continue
                path = os.path.join(here, name)  # noqa: PTH118 - Path is slow for many files
                status = self._status(path)
                if status is not None:
                    version = status.st_size, status.st_mtime_ns, status.st_ino & _LARGEST_INTEGER
                    yield FoundFile(path, "" if below == "." else below, *version)

    def _note(self, error: OSError) -> None:
        if os.path.lexists(error.filename) or Path(error.filename) in self.roots:  # else deleted while it was listed
            self.unreadable[error.filename] = error.strerror or str(error)

    def _status(self, path: str) -> os.stat_result | None:
        """Status of a file; None if it is gone, no file, or a link to one that is watched itself."""
        try:
            status = os.lstat(path)
            if stat.S_ISLNK(status.st_mode):
                real = Path(os.path.realpath(path))
                if any(real.is_relative_to(os.path.realpath(root)) for root in self.roots):
                    return None
                status = os.stat(path)  # noqa: PTH116
        except OSError:
            return None
        return status if stat.S_ISREG(status.st_mode) else None


def _outermost(roots: Iterable[Path]) -> list[Path]:
    """Folders without those that are inside another one, or the same."""
    real = {Path(os.path.realpath(root)): root for root in roots}
    return [root for path, root in real.items() if not any(other in path.parents for other in real)]
