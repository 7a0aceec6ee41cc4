"""Rows of `skasd score --scheduler` on the disk: what is scored is kept, and the same command goes on from there."""

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from skasd._lines import end_of_lines
from skasd.cli._score_table import Row
from skasd.clips._files import readable_name

Stamp = tuple[int, int]  # size in bytes and time of the last change in ns of a file
_COLUMNS = (
    *("file", "size", "changed_ns", "again"),
    *("machine", "anomaly_score", "threshold", "decision", "reason", "p_value", "is_provisional"),
)


class KeptRows:
    """A file of JSON lines, one for each scored recording, after a first line that says which model scored them.

    Parameters
    ----------
    path : Path
        The file.
    source : dict of str to str
        What the rows depend on, such as the fingerprint of the model.
    """

    def __init__(self, path: Path, source: dict[str, str]) -> None:
        self.path = path
        self._first = {**source, "columns": list(_COLUMNS)}

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Have the file to oneself within the ``with`` block.

        Raises
        ------
        ValueError
            If its rows are of another model.
        OSError
            If another process has it, or it cannot be written.
        """
        lock = FileLock(self._lock_file)
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            raise OSError(
                f"{self.path} is in use: another skasd score writes the same table. Wait for it, or give another --csv."
            ) from error
        try:
            self._begin()
            try:
                yield
            finally:
                if self.path.exists() and self.path.stat().st_size == len(self._first_line()):  # nothing was scored
                    self.remove()
        finally:
            lock.release()

    def done(self) -> set[str]:
        """Absolute paths of files that have a row, have not changed since, and are not to be tried again."""
        known = {line["file"]: None if line["again"] else (line["size"], line["changed_ns"]) for line in self._lines()}
        return {file for file, stamp in known.items() if stamp is not None and stamp == stamp_of(file)}

    def add(self, rows: Iterable[tuple[Row, Stamp | None, bool]]) -> None:
        """Append rows, and have them on the disk.

        Parameters
        ----------
        rows : iterable of (Row, tuple of int or None, bool)
            A row with the absolute path, size and time of change of its file before it was read, and whether it is to be
            tried again.
        """
        texts = []
        for row, stamp, again in rows:
            cells = {**_cells(row), "again": again}
            cells["size"], cells["changed_ns"] = stamp or (None, None)
            texts.append(json.dumps([cells[column] for column in _COLUMNS]) + "\n")
        with self.path.open("a", encoding="ascii") as stream:
            stream.write("".join(texts))
            stream.flush()
            os.fsync(stream.fileno())

    def rows(self, names: dict[str, str]) -> tuple[list[Row], int]:
        """The last row of each file, and how many of them are to be tried again.

        Parameters
        ----------
        names : dict of str to str
            Names to give to the files, by absolute path; rows of other files are left out.
        """
        found: dict[str, Row] = {}
        again = set[str]()
        for line in self._lines():
            if line["file"] in names:
                found[line["file"]] = Row(names[line["file"]], **{name: line[name] for name in _COLUMNS[4:]})
                (again.add if line["again"] else again.discard)(line["file"])
        return list(found.values()), len(again)

    def remove(self) -> None:
        """Remove the file; its rows are in the table."""
        self.path.unlink()
        self._lock_file.unlink(missing_ok=True)

    @property
    def _lock_file(self) -> Path:
        return self.path.with_name(self.path.name + ".lock")

    def _begin(self) -> None:
        """Write the first line, or check it, and remove what an interrupted process left of the last one."""
        with self.path.open("a+b") as stream:
            end = end_of_lines(stream)
            stream.seek(0)
            first = stream.readline()
            stream.truncate(end)
            if end <= len(first):  # nothing was scored
                stream.truncate(0)
                stream.write(self._first_line())
            elif first != self._first_line():
                raise ValueError(
                    f"{readable_name(self.path)} keeps the rows of an earlier command that was not finished, with another "
                    "model or another version of skasd. Finish it with that model, remove the file, or give another --csv."
                )

    def _first_line(self) -> bytes:
        return json.dumps(self._first).encode() + b"\n"

    def _lines(self) -> Iterator[dict[str, Any]]:
        with self.path.open("rb") as stream:
            for number, line in enumerate(stream, start=1):
                if number > 1:
                    yield dict(zip(_COLUMNS, _decoded(line, f"{self.path}, line {number}"), strict=True))


def stamp_of(file: str) -> Stamp | None:
    """Size of a file in bytes and time of its last change in ns; None if it is not there."""
    try:
        known = os.stat(file)  # noqa: PTH116 - Path is slow for many files
    except OSError:
        return None
    return known.st_size, known.st_mtime_ns


def _cells(row: Row) -> dict[str, Any]:
    return {name: getattr(row, name) for name in _COLUMNS[4:]} | {"file": row.file}


def _decoded(line: bytes, where: str) -> Any:
    try:
        return json.loads(line)
    except ValueError as error:
        raise ValueError(f"{where} is not valid JSON: {error}. Remove the line.") from error
