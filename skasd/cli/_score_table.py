"""The table of `skasd score`: one row per recording, for the terminal and as a csv file."""

import csv
import os
from dataclasses import dataclass
from pathlib import Path

from skasd.clips._files import printable, readable_name

UNSCORED = "unscored"
PROVISIONAL = " (provisional)"
_COLUMNS = ("path", "machine", "anomaly_score", "threshold", "p_value", "decision", "is_provisional", "reason")


@dataclass(frozen=True, slots=True)
class Row:
    """A recording with its score, or with the reason why it has none.

    Parameters
    ----------
    file : str
        Path of the recording.
    machine : str
        Machine whose detector scored it; "" if there is only one without a name, or if it is unknown.
    anomaly_score, threshold : float or None, default=None
        High is anomalous; a score above the threshold of its machine is an anomaly.
    decision : {"normal", "anomaly", "unscored"}, default="unscored"
        Decision of the detector.
    reason : str, default=""
        Why there is no score.
    p_value : float or None, default=None
        P-value of a calibrated detector.
    is_provisional : bool, default=False
        Whether there were too few normal recordings for a p-value.
    """

    file: str
    machine: str
    anomaly_score: float | None = None
    threshold: float | None = None
    decision: str = UNSCORED
    reason: str = ""
    p_value: float | None = None
    is_provisional: bool = False


def sort_rows(rows: list[Row]) -> list[Row]:
    """Rows from the highest to the lowest score above the threshold, then those without a score, by path."""
    return sorted(rows, key=lambda row: (-_excess(row), row.file))


def _excess(row: Row) -> float:
    if row.anomaly_score is None or row.threshold is None:
        return -float("inf")
    return row.anomaly_score - row.threshold


def report(rows: list[Row]) -> str:
    """One line per recording: score, p-value, decision, machine, path, and why it has no score.

    P-values and machines are left out if no recording has one.
    """
    has_machines = any(row.machine for row in rows)
    scores = ["-" if row.anomaly_score is None else f"{row.anomaly_score:.3f}" for row in rows]
    columns = [["score", *scores]]
    if any(row.p_value is not None for row in rows):
        columns.append(["p-value", *("-" if row.p_value is None else f"{row.p_value:.3f}" for row in rows)])
    columns.append(["decision", *(row.decision + PROVISIONAL * row.is_provisional for row in rows)])
    if has_machines:
        columns.append(["machine", *(printable(row.machine) or "-" for row in rows)])
    widths = [max(map(len, column)) for column in columns]
    paths = ["file", *(readable_name(row.file) + (f": {_one_line(row.reason)}" if row.reason else "") for row in rows)]
    lines = []
    for score, *others, path in zip(*columns, paths, strict=True):
        cells = [score.rjust(widths[0]), *(cell.ljust(width) for cell, width in zip(others, widths[1:], strict=True))]
        lines.append("  ".join([*cells, path]))
    return "\n".join(lines)


def check_csv(path: Path | None) -> None:
    """Raise early if the table cannot be written to `path`."""
    if path is None:
        return
    if path.is_dir() or str(path).endswith(os.sep):
        raise IsADirectoryError(f"--csv={path} is a folder; it must name a file, such as {path / 'scores.csv'}.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(f"--csv={path} cannot be written: {error}") from error
    if not os.access(path.parent, os.W_OK):
        raise PermissionError(f"--csv={path} cannot be written: the folder {path.parent} may not be written to.")


def write_csv(path: Path, rows: list[Row], top: str | None) -> Path:
    """Write the rows with a header, with paths relative to the folder `top` unless it is None.

    The file is written under another name and renamed, so that a reader never sees half of it.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with part.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(_COLUMNS)
            writer.writerows(_cells(row, top) for row in rows)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return path


def _cells(row: Row, top: str | None) -> list[str]:
    path = Path(os.path.relpath(row.file, top) if top else row.file).as_posix()
    numbers = ["" if value is None else repr(value) for value in (row.anomaly_score, row.threshold, row.p_value)]
    is_provisional = "" if row.anomaly_score is None else str(row.is_provisional).lower()
    cells = [readable_name(path), printable(row.machine), *numbers, row.decision, is_provisional]
    return [*cells, _one_line(row.reason)]


def _one_line(text: str) -> str:
    return " ".join(text.split())
