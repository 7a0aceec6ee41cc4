"""What `skasd watch` writes to its database, and reads from it."""

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from skasd.clips._files import readable_name
from skasd.monitoring._database import WatchDatabase, time_text
from skasd.monitoring._folder import FoundFile


@dataclass(frozen=True)
class Model:
    """A model file that was used.

    Parameters
    ----------
    id : int
        Row of the table `model`.
    fingerprint : str
        SHA-256 of the file.
    path : str
        Where it was.
    """

    id: int
    fingerprint: str
    path: str


def model_row(database: WatchDatabase, fingerprint: str, path: str, description: Mapping[str, Any]) -> Model:
    """The row of a model file, made if it is new.

    Parameters
    ----------
    database : WatchDatabase
        Database.
    fingerprint : str
        SHA-256 of the file.
    path : str
        Its path.
    description : dict
        What :func:`skasd.persistence.describe` says of it.
    """
    with database.transaction() as connection:
        connection.execute(
            "INSERT INTO model (fingerprint, path, description, first_used_at) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (fingerprint, path, json.dumps(description), _now()),
        )
    (row,) = database.rows("SELECT id, fingerprint, path FROM model WHERE fingerprint = ?", fingerprint)
    return Model(*row)


def machine_rows(database: WatchDatabase) -> list[sqlite3.Row]:
    """Machines that have a Monitor: name, id, its state as JSON, and id, fingerprint and path of the model it is of."""
    return database.rows(
        "SELECT machine.name, machine.id, monitor, model_id, fingerprint, path FROM machine "
        "JOIN model ON model.id = model_id WHERE monitor IS NOT NULL ORDER BY machine.id"
    )


def state_of(database: WatchDatabase, machine: str, model: Model) -> dict[str, Any] | None:
    """State of the Monitor of a machine after its last recording; None if it has none by this model."""
    found = database.rows("SELECT monitor FROM machine WHERE name = ? AND model_id = ?", machine, model.id)
    return json.loads(found[0]["monitor"]) if found and found[0]["monitor"] is not None else None


def is_recorded(database: WatchDatabase, file: FoundFile, model: Model) -> bool:
    """Whether a file was heard as it is now, or has failed with this model."""
    key = (readable_name(file.path), *file.version)
    where = "WHERE path = ? AND size = ? AND modified_ns = ?"
    query = f"SELECT 1 FROM recording {where} UNION ALL SELECT 1 FROM failure {where} AND model_id = ?"
    return bool(database.rows(query, *key, *key, model.id))


def same_recordings(database: WatchDatabase, file: FoundFile, machine: str) -> list[sqlite3.Row]:
    """Recordings of a machine, id and path, that were the same file, by size, time of change and place on the disk."""
    return database.rows(
        "SELECT recording.id, path FROM recording JOIN machine ON machine.id = machine_id "
        "WHERE modified_ns = ? AND size = ? AND inode = ? AND name = ?",
        *(file.modified_ns, file.size, file.inode, machine),
    )


def record_path(database: WatchDatabase, recording: int, path: str) -> None:
    """Note the new path of a recording that was renamed."""
    with database.transaction() as connection:
        connection.execute("UPDATE recording SET path = ? WHERE id = ?", (readable_name(path), recording))


def record_failure(database: WatchDatabase, file: FoundFile, reason: str, model: Model) -> None:
    """Note a file that cannot be used."""
    with database.transaction() as connection:
        connection.execute(
            "INSERT INTO failure (path, size, modified_ns, reason, failed_at, model_id) VALUES (?, ?, ?, ?, ?, ?) "
            "ON CONFLICT DO UPDATE SET reason = excluded.reason, failed_at = excluded.failed_at, "
            "model_id = excluded.model_id",
            (readable_name(file.path), *file.version, readable_name(reason), _now(), model.id),
        )


def record_monitor(connection: sqlite3.Connection, machine: str, model: Model, state: Mapping[str, Any] | None) -> int:
    """Write the state of the Monitor of a machine; return the id of the machine.

    Parameters
    ----------
    connection : sqlite3.Connection
        Within a transaction.
    machine : str
        Name.
    model : Model
        What it is watched with.
    state : dict or None
        State; None begins anew.
    """
    text = None if state is None else json.dumps(state, allow_nan=False, separators=(",", ":"))
    connection.execute(
        "INSERT INTO machine (name, monitor, model_id) VALUES (?, ?, ?) "
        "ON CONFLICT (name) DO UPDATE SET monitor = excluded.monitor, model_id = excluded.model_id",
        (machine, text, model.id),
    )
    return connection.execute("SELECT id FROM machine WHERE name = ?", (machine,)).fetchone()[0]


def record_heard(
    connection: sqlite3.Connection,
    file: FoundFile,
    heard: Any,
    *,
    machine: int,
    model: Model,
    started_at: datetime,
    duration: float,
) -> None:
    """Write a recording with its windows, episodes, drift alarm and learning.

    Parameters
    ----------
    connection : sqlite3.Connection
        Within a transaction.
    file : FoundFile
        The recording.
    heard : Heard
        What its Monitor made of it.
    machine : int
        Id of its machine.
    model : Model
        What it was scored with.
    started_at : datetime
        Its start.
    duration : float
        Its length in s.
    """
    path = readable_name(file.path)
    recording = connection.execute(
        "INSERT INTO recording (path, size, modified_ns, inode, machine_id, model_id, started_at, duration, heard_at) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (path, *file.version, file.inode, machine, model.id, time_text(started_at), duration, _now()),
    ).lastrowid
    connection.execute("DELETE FROM failure WHERE path = ? AND size = ? AND modified_ns = ?", (path, *file.version))
    connection.executemany(
        "INSERT INTO window (recording_id, number, start, end, anomaly_score, p_value, is_anomaly) "
        "VALUES (?, ?, ?, ?, ?, ?, ?)",
        _window_rows(recording, heard.windows),
    )
    scores = heard.windows["anomaly_score"].tolist()
    for episode in heard.episodes:
        is_here = episode.clip == file.path and scores[episode.window_number :][:1] == [episode.largest_score]
        place = recording if is_here else _recording_of(connection, episode, machine) or recording
        _record_episode(connection, episode, machine, place)
    if heard.learning is not None:
        _record_learning(connection, heard.learning, machine)
    if heard.drift is not None:
        connection.execute(
            "INSERT INTO drift (machine_id, recording_id, noticed_at, log_martingale, level) VALUES (?, ?, ?, ?, ?)",
            (machine, recording, time_text(heard.drift.noticed_at), heard.drift.log_martingale, heard.drift.level),
        )


def _window_rows(recording: int | None, windows: Any) -> list[tuple]:
    """Rows of windows; those that could not be scored are left out, and leave a gap in the numbers."""
    columns = [windows[name].tolist() for name in ("start", "end", "anomaly_score", "p_value", "decision")]
    return [
        (recording, number, start, end, score, None if p_value != p_value else p_value, int(decision == "anomaly"))
        for number, (start, end, score, p_value, decision) in enumerate(zip(*columns, strict=True))
        if decision != "unscored"
    ]


def _record_episode(connection: sqlite3.Connection, episode: Any, machine: int, recording: int | None) -> None:
    """Write an episode that started, or change one that goes on or has ended."""
    started_at, ended_at = _free_start(connection, episode, machine), episode.ended_at and time_text(episode.ended_at)
    connection.execute(
        "INSERT INTO episode (machine_id, started_at, ended_at, n_windows, largest_score, threshold, recording_id, "
        "window_number) VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (machine_id, started_at) DO UPDATE SET "
        "ended_at = excluded.ended_at, n_windows = excluded.n_windows, largest_score = excluded.largest_score, "
        "recording_id = excluded.recording_id, window_number = excluded.window_number",
        (
            *(machine, started_at, ended_at, episode.n_windows, episode.largest_score, episode.threshold),
            *(recording, episode.window_number),
        ),
    )


def _free_start(connection: sqlite3.Connection, episode: Any, machine: int) -> str:
    """Start of an episode; a ms or more later if another one, which has ended, started then: by files with equal times."""
    start = episode.started_at
    while connection.execute(
        "SELECT 1 FROM episode WHERE machine_id = ? AND started_at = ? AND ended_at IS NOT NULL",
        (machine, time_text(start)),
    ).fetchone():
        start += timedelta(milliseconds=1)
    return time_text(start)


def _recording_of(connection: sqlite3.Connection, episode: Any, machine: int) -> int | None:
    """The recording that has the largest score of an episode, also if it was renamed or overwritten since."""
    clip = "" if episode.clip is None else readable_name(episode.clip)
    around = time_text(episode.started_at - timedelta(days=1))
    found = connection.execute(
        "SELECT recording.id FROM recording JOIN window ON recording_id = recording.id AND number = ? "
        "WHERE machine_id = ? AND started_at >= ? AND anomaly_score = ? ORDER BY path != ?, recording.id DESC LIMIT 1",
        (episode.window_number, machine, around, episode.largest_score, clip),
    ).fetchone()
    return None if found is None else found[0]


def _record_learning(connection: sqlite3.Connection, learning: Any, machine: int) -> None:
    rates = (learning.episodes_per_day, learning.lowest_per_day, learning.highest_per_day)
    connection.execute(
        "INSERT INTO learning (machine_id, learnt_at, hours, threshold, episodes_per_day, lowest_per_day, highest_per_day, "
        "details) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(machine, time_text(learning.learnt_at), learning.hours, learning.threshold, *rates),
            json.dumps(learning.details),
        ),
    )


def _now() -> str:
    return time_text(datetime.now(UTC))
