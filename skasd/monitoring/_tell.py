"""Teller: says each episode once as it starts and once as it ends, in a line of JSON and to a program of the user."""

import json
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from skasd.monitoring._database import WatchDatabase, time_text

_MOST_SECONDS = 60  # for the program of the user, as nothing is heard meanwhile
_TO_TELL = (
    "SELECT episode.id, machine.name AS machine, episode.started_at, ended_at, n_windows, largest_score, threshold, "
    "recording.path AS recording, start, end FROM episode "
    "JOIN machine ON machine.id = episode.machine_id JOIN recording ON recording.id = episode.recording_id "
    "LEFT JOIN window ON window.recording_id = recording.id AND number = window_number "
    "WHERE end_told_at IS NULL AND (told_at IS NULL OR ended_at IS NOT NULL) ORDER BY episode.id"
)


class Teller:
    """Says the episodes of a database that were not said.

    Parameters
    ----------
    database : WatchDatabase
        Where the episodes are.
    command : sequence of str, default=()
        Program with its arguments that gets the JSON on its standard input; none if empty.
    say : callable
        Takes a line of JSON.
    warn : callable
        Takes a sentence about a program that failed.

    Raises
    ------
    FileNotFoundError
        If there is no such program.
    """

    def __init__(
        self,
        database: WatchDatabase,
        command: Sequence[str] = (),
        *,
        say: Callable[[str], None],
        warn: Callable[[str], None],
    ) -> None:
        if command and shutil.which(command[0]) is None:
            raise FileNotFoundError(
                f"--on-episode: there is no program {command[0]}. A command for a shell takes one: sh -c '...'"
            )
        self._database, self._command, self._say, self._warn = database, list(command), say, warn
        self._said: set[tuple[int, str]] = set()  # and not noted yet, as the disk was full

    def tell(self) -> int:
        """Say what was not said; return the number of lines."""
        rows = self._database.rows(_TO_TELL)
        for row in rows:
            known = _event(row)
            key = known["id"], known["event"]
            if key not in self._said:
                self._said.add(key)
                line = json.dumps(known, ensure_ascii=False)
                self._say(line)
                self._run(line)
            self._note(*key)
            self._said.discard(key)
        return len(rows)

    def _note(self, episode: int, event: str) -> None:
        now = time_text(datetime.now(UTC))
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE episode SET told_at = coalesce(told_at, ?), end_told_at = ? WHERE id = ?",
                (now, now if event == "ended" else None, episode),
            )

    def _run(self, line: str) -> None:
        """Run the program of the user; what goes wrong is a warning."""
        if not self._command:
            return
        try:
            done = subprocess.run(
                self._command,
                input=line + "\n",
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                timeout=_MOST_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            self._warn(f"--on-episode could not be run: {error}")
            return
        if done.returncode:
            last = (done.stderr or done.stdout).strip().splitlines()[-1:]
            self._warn(f"--on-episode ended with exit status {done.returncode}{f': {last[0]}' if last else ''}")


def _event(row: sqlite3.Row) -> dict[str, Any]:
    known = dict(row)
    return {"event": "started" if known["ended_at"] is None else "ended", **known}
