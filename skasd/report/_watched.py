"""What a database of `skasd watch` holds, read for a page; nothing in it is changed."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from skasd.monitoring._schema import APPLICATION_ID, SCHEMA_VERSION
from skasd.monitoring._state import learns_since

N_COLUMNS = 600  # of a time line
_UNIX = 2440587.5  # day number of 1970 in SQLite


@dataclass(frozen=True)
class Episode:
    """An episode, with the window of its largest score.

    Parameters
    ----------
    id, started_at, ended_at, n_windows, largest_score, threshold
        As in the database, with times in UTC.
    machine : str
        Name of the machine.
    path : str
        Recording that has the window, of this `size` in bytes and `modified_ns`.
    start, end : float or None
        Window in s from the start of the recording.
    """

    id: int
    machine: str
    started_at: datetime
    ended_at: datetime | None
    n_windows: int
    largest_score: float
    threshold: float
    path: str
    size: int
    modified_ns: int
    start: float | None
    end: float | None


@dataclass(frozen=True)
class Watched:
    """A machine over time.

    Parameters
    ----------
    name : str
        Its name.
    n_recordings, n_windows : int
        Numbers of recordings and of their windows.
    seconds : float
        What was heard, in s.
    first, last : datetime
        From the start of the first recording to the end of the last one.
    columns : ndarray of shape (n_columns, 3)
        Smallest, mean and largest score of the windows that start in a part of the time of the page; NaN where none does.
    learnings, drifts : list of dict
        Rows of these tables, with times as datetimes; of the learnings also those before the time of the page.
    episodes : list of Episode
        Episodes, the last one first.
    learns_since : datetime or None
        Start of a learning period that has not ended.
    """

    name: str
    n_recordings: int
    n_windows: int
    seconds: float
    first: datetime
    last: datetime
    columns: np.ndarray
    learnings: list[dict[str, Any]]
    drifts: list[dict[str, Any]]
    episodes: list[Episode]
    learns_since: datetime | None


@dataclass(frozen=True)
class Watch:
    """Everything that a page shows.

    Parameters
    ----------
    start, end : datetime
        Time of the page.
    machines : list of Watched
        Machines that were heard in that time, by name.
    silent : list of tuple of str and datetime
        Other machines, and the end of the last recording of each.
    failures : list of dict
        Rows of the table of failures, the last one first.
    models : list of dict
        Path, fingerprint, first use and description of each model.
    """

    start: datetime
    end: datetime
    machines: list[Watched]
    silent: list[tuple[str, datetime]]
    failures: list[dict[str, Any]]
    models: list[dict[str, Any]]


def read_watch(path: Path, days: float | None) -> Watch:
    """Read a database.

    Parameters
    ----------
    path : Path
        SQLite file that ``skasd watch`` writes.
    days : float or None
        Number of days before the end of the last recording; None reads all.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is something else, or has tables of a newer version.
    """
    with _opened(path) as connection:
        start, end = _times(connection, days)
        machines = connection.execute("SELECT id, name, monitor FROM machine ORDER BY name").fetchall()
        found = [_watched(connection, machine, start, end) for machine in machines]
        failures = _dicts(
            connection,
            "SELECT path, reason, failed_at FROM failure WHERE failed_at >= ? ORDER BY failed_at DESC, id DESC",
            "" if days is None else _text(start),
        )
        models = _dicts(connection, "SELECT path, fingerprint, description, first_used_at FROM model ORDER BY id")
    for model in models:
        model["about"] = json.loads(model.pop("description"))
    heard = [each for each in found if isinstance(each, Watched)]
    return Watch(start, end, heard, [each for each in found if isinstance(each, tuple)], failures, models)


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    """The database for reading, at one moment, while another process may write to it."""
    if not path.is_file():
        raise FileNotFoundError(f"The database {path} does not exist; skasd watch writes one.")
    connection = sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=ro", uri=True, isolation_level=None)
    connection.row_factory = sqlite3.Row
    try:
        connection.execute("BEGIN")
        (application,), (version,) = (
            connection.execute(f"PRAGMA {name}").fetchone() for name in ("application_id", "user_version")
        )
        if application != APPLICATION_ID:
            raise ValueError(f"{path} is a database of another program; one of skasd watch is expected.")
        if version > SCHEMA_VERSION:
            raise ValueError(
                f"{path} was made by a newer skasd: its tables have version {version}, and this one knows "
                f"{SCHEMA_VERSION}. Update skasd."
            )
        yield connection
    except sqlite3.DatabaseError as error:
        raise ValueError(f"{path} is no database of skasd watch, or cannot be read: {error}.") from error
    finally:
        connection.close()


def _times(connection: sqlite3.Connection, days: float | None) -> tuple[datetime, datetime]:
    """Start and end of the time of a page."""
    first, last = connection.execute(
        "SELECT min(started_at), max(julianday(started_at) + duration / 86400) FROM recording"
    ).fetchone()
    if first is None:
        now = datetime.now(UTC)
        return now - timedelta(days=days or 1), now
    end = _of_julian(last)
    start = _time(first)
    return (start if days is None else max(start, end - timedelta(days=days))), end


def _watched(
    connection: sqlite3.Connection, row: sqlite3.Row, start: datetime, end: datetime
) -> Watched | tuple[str, datetime] | None:
    """A machine in the time of a page; name and end of its last recording if it was not heard then; None if never."""
    machine, name = row["id"], row["name"]
    since = (machine, _text(start))
    query = (
        "SELECT count(*), sum(duration), min(started_at), max(julianday(started_at) + duration / 86400) FROM recording "
        "WHERE machine_id = ? AND julianday(started_at) + duration / 86400 > ?"
    )
    counts = connection.execute(query, (machine, start.timestamp() / 86400 + _UNIX)).fetchone()
    if not counts[0]:
        last = connection.execute(query, (machine, 0.0)).fetchone()[3]
        return None if last is None else (name, _of_julian(last))
    columns, n_windows = _columns(connection, machine, start, end)
    state = None if row["monitor"] is None else json.loads(row["monitor"])
    learning = learns_since(state, end.timestamp())
    return Watched(
        name,
        counts[0],
        n_windows,
        counts[1],
        _time(counts[2]),
        _of_julian(counts[3]),
        columns,
        _dicts(connection, "SELECT * FROM learning WHERE machine_id = ? ORDER BY learnt_at, id", machine),
        _dicts(
            connection, "SELECT * FROM drift WHERE machine_id = ? AND noticed_at >= ? ORDER BY noticed_at, id", *since
        ),
        _episodes(connection, name, since),
        None if learning is None else datetime.fromtimestamp(learning, UTC),
    )


def _columns(connection: sqlite3.Connection, machine: int, start: datetime, end: datetime) -> tuple[np.ndarray, int]:
    """Scores of the windows of a machine in parts of the time of a page, and the number of windows."""
    origin, width = start.timestamp() / 86400 + _UNIX, max((end - start).total_seconds(), 1.0) / N_COLUMNS
    rows = connection.execute(
        "SELECT CAST((offset + window.start) / ? AS INTEGER), min(anomaly_score), avg(anomaly_score), max(anomaly_score), "
        "count(*) FROM (SELECT id, round((julianday(started_at) - ?) * 86400, 3) AS offset FROM recording "
        "WHERE machine_id = ? AND julianday(started_at) + duration / 86400 > ?) AS heard "
        "JOIN window ON recording_id = heard.id WHERE offset + window.start >= 0 GROUP BY 1",
        (width, origin, machine, origin),
    ).fetchall()
    columns = np.full((N_COLUMNS, 3), np.nan)
    for row in rows:
        columns[min(max(row[0], 0), N_COLUMNS - 1)] = row[1:4]
    return columns, sum(row[4] for row in rows)


def _episodes(connection: sqlite3.Connection, machine: str, since: tuple[int, str]) -> list[Episode]:
    rows = _dicts(
        connection,
        "SELECT episode.id, episode.started_at, ended_at, n_windows, largest_score, threshold, path, size, modified_ns, "
        "window.start, window.end FROM episode JOIN recording ON recording.id = episode.recording_id "
        "LEFT JOIN window ON window.recording_id = episode.recording_id AND number = window_number "
        "WHERE episode.machine_id = ? AND coalesce(ended_at, '9') >= ? ORDER BY episode.started_at DESC",
        *since,
    )
    return [Episode(machine=machine, **row) for row in rows]


def _dicts(connection: sqlite3.Connection, query: str, *values: Any) -> list[dict[str, Any]]:
    """Rows of a query, with columns that end in "_at" as times."""
    rows = [dict(row) for row in connection.execute(query, values)]
    for row in rows:
        row.update({name: _time(cell) for name, cell in row.items() if name.endswith("_at") and cell is not None})
    return rows


def _of_julian(day: float) -> datetime:
    """Time of a day number, to the millisecond, which is its precision."""
    return datetime.fromtimestamp(round((day - _UNIX) * 86400, 3), UTC)


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _text(time: datetime) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{time.microsecond // 1000:03d}Z"
