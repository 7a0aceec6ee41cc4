"""A database that was used with another model or other settings, and a new learning period."""

import json
import os
import sqlite3
from collections.abc import Mapping
from typing import Any

from skasd.monitoring._hearing import Hearing
from skasd.monitoring._records import machine_rows, record_monitor
from skasd.monitoring._state import settings_in

_REMEDY = (
    "Give --relearn once to begin a new learning period, during which there are no episodes, or give a new --database."
)


def refuse_changes(hearing: Hearing, given: Mapping[str, Any]) -> None:
    """Raise if a machine was watched with another model or other settings, whose threshold means nothing now.

    Parameters
    ----------
    hearing : Hearing
        Its Monitors.
    given : dict
        Settings that were given now; others stay as they were.

    Raises
    ------
    ValueError
        If a machine was.
    """
    model, path = hearing.model, hearing.database.path
    for row in machine_rows(hearing.database):
        if row["model_id"] != model.id:
            raise ValueError(
                f"The thresholds in {path} were learnt with another model, {row['path']} (SHA-256 "
                f"{row['fingerprint'][:12]}...), and do not hold for {model.path} ({model.fingerprint[:12]}...). {_REMEDY}"
            )
        try:
            hearing.monitor(row["name"])
        except ValueError as error:
            raise ValueError(f"{error} {_REMEDY}") from error
        other = _changed(row, given)
        if other:
            now = ", ".join(f"{name}={given[name]}" for name in other)
            before = ", ".join(f"{name}={value}" for name, value in other.items())
            raise ValueError(
                f"{row['name'] or 'The machine'} was watched with {before}, and {now} is given now; the threshold in "
                f"{path} holds for that. {_REMEDY}"
            )


def begin_anew(hearing: Hearing, given: Mapping[str, Any]) -> None:
    """Begin a new learning period of every machine.

    Parameters
    ----------
    hearing : Hearing
        Its Monitors go on with what they know of the last learning period, unless they are of another model or have other
        settings. The episodes of those are over.
    given : dict
        Settings that were given now.
    """
    rows = machine_rows(hearing.database)
    states = [_relearning(hearing, row, given) for row in rows]
    hearing.forget()
    failed = [row for row in hearing.database.rows("SELECT id, path FROM failure") if os.path.lexists(row["path"])]
    with hearing.database.transaction() as connection:
        connection.executemany("DELETE FROM failure WHERE id = ?", [(row["id"],) for row in failed])  # are tried again
        for row, state in zip(rows, states, strict=True):
            record_monitor(connection, row["name"], hearing.model, state)
            if state is None:
                connection.execute(
                    "UPDATE episode SET ended_at = coalesce((SELECT strftime('%Y-%m-%dT%H:%M:%fZ', julianday(started_at) + "
                    "duration / 86400.0) FROM recording WHERE machine_id = :machine ORDER BY id DESC LIMIT 1), started_at) "
                    "WHERE machine_id = :machine AND ended_at IS NULL",
                    {"machine": row["id"]},
                )


def _relearning(hearing: Hearing, row: sqlite3.Row, given: Mapping[str, Any]) -> dict[str, Any] | None:
    """State of a Monitor that learns again; None if it begins without anything."""
    if row["model_id"] != hearing.model.id:
        return None
    try:
        monitor = hearing.monitor(row["name"])
        if _changed(row, given):
            return None
    except ValueError:  # it scores otherwise than it did, such as after an update
        return None
    monitor.relearn()
    return monitor.state()


def _changed(row: sqlite3.Row, given: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a Monitor that are not as they are given now, as they were."""
    before = vars(settings_in(json.loads(row["monitor"])))
    return {name: before[name] for name, value in given.items() if before[name] != value}
