"""Folder of results: one JSON line for each result, and a CSV file with its scores."""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from filelock import FileLock

from skasd._lines import end_of_lines
from skasd.benchmark._result_row import why_damaged

_LINES, _ERRORS = "results.jsonl", "errors.jsonl"


class Results:
    """Folder with the results of suites.

    Parameters
    ----------
    folder : str or path-like
        The folder; it is made when the first result is added.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder).expanduser()

    def rows(self) -> list[dict[str, Any]]:
        """All results, the latest of each key; an incomplete last line is ignored."""
        file = self.folder / _LINES
        if not file.exists():
            return []
        by_key = {}
        for number, line in enumerate(file.read_bytes().split(b"\n")[:-1], start=1):
            row = _decoded(line, f"{file}, line {number}")
            if reason := why_damaged(row):
                raise ValueError(f"{file}, line {number} is not a result of a suite: {reason}. Remove the line.")
            by_key[row["data"], row["detector"], row["key"]] = row
        return list(by_key.values())

    def add(self, row: dict[str, Any]) -> dict[str, Any]:
        """Store a result: its scores first, then the line that marks it as finished."""
        (self.folder / "scores").mkdir(parents=True, exist_ok=True)
        row = dict(row)
        scores = row.pop("scores")
        frame = pd.DataFrame(scores["table"]).assign(y_true=scores["y_true"], score_samples=scores["score_samples"])
        file = self.scores_file(row)
        part = file.with_suffix(f".{os.getpid()}.part")
        frame.to_csv(part, index=False, float_format="%.17g")
        part.replace(file)
        self.put(row)
        return row

    def put(self, row: dict[str, Any]) -> None:
        """Append the line of a result whose scores are stored already."""
        self._append(_LINES, json.dumps(row, default=_plain).encode() + b"\n")

    def fail(self, row: dict[str, Any]) -> None:
        """Store the error of a failed task."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._append(_ERRORS, json.dumps(row, default=_plain).encode() + b"\n")

    def forget_errors(self, names: Iterable[tuple[str, str, int]]) -> None:
        """Remove the errors of tasks that have results now: data set, detector and seed of each."""
        file, finished = self.folder / _ERRORS, set(names)
        if not file.exists() or not finished:
            return
        with FileLock(self.folder / ".lock"):
            lines = file.read_bytes().splitlines(keepends=True)
            kept = [line for line in lines if not finished & _names_of_error(line)]
            if len(kept) == len(lines):
                return
            part = file.with_suffix(f".{os.getpid()}.part")
            part.write_bytes(b"".join(kept))
            part.replace(file)
            if not kept:
                file.unlink()

    def scores_file(self, row: dict[str, Any]) -> Path:
        """CSV file with the scores of a result."""
        return self.folder / "scores" / f"{row['key']}.csv"

    def scores(self, row: dict[str, Any]) -> pd.DataFrame:
        """Scores of a result: columns ``clip``, ``machine_type``, ``section``, ``domain``, ``y_true``, ``score_samples``."""
        return pd.read_csv(self.scores_file(row), dtype={"section": str, "clip": str, "machine_type": str})

    def _append(self, name: str, line: bytes) -> None:
        """Append a whole line, after removing what an interrupted process may have left of another one."""
        file = self.folder / name
        with FileLock(self.folder / ".lock"), file.open("a+b") as stream:
            stream.truncate(end_of_lines(stream))
            stream.write(line)
            stream.flush()
            os.fsync(stream.fileno())


def _decoded(line: bytes, where: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{where} is not valid JSON: {error}. Remove the line.") from error


def _names_of_error(line: bytes) -> set[tuple[str, str, int]]:
    """Data set, detector and seed of a line of errors.jsonl; none of a line that is damaged."""
    try:
        row = json.loads(line)
        return {(row["data"], row["detector"], row["seed"])}
    except (ValueError, RecursionError, TypeError, KeyError):
        return set()


def _plain(value: Any) -> Any:
    """A value that JSON has no type for, as one that it has."""
    if isinstance(value, np.generic):
        return value.item()
    return str(value)
