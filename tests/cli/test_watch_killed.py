"""`skasd watch`, killed at random moments while files come, grow, are renamed and deleted: nothing is lost or twice."""

import os
import random
import shutil
import time
from functools import partial

import pytest

from skasd.cli._models import load_scored
from skasd.cli._watch import _machine_of, _monitor
from skasd.monitoring._database import WatchDatabase
from skasd.monitoring._folder import FoundFile
from skasd.monitoring._hearing import Hearing
from skasd.monitoring._records import Model
from tests.cli.watching import rows, started, told, version, versions, wait_until, write

SPECIAL = ("half", "growing", "empty", "renamed", "text", "deleted")
COMPARED = {
    "window": "recording_id, number, start, end, anomaly_score, is_anomaly",
    "episode": "started_at, ended_at, n_windows, largest_score, threshold, recording_id, window_number",
    "drift": "recording_id, noticed_at, log_martingale, level",
    "learning": "learnt_at, hours, threshold, episodes_per_day",
}


class Files:
    """Files that come one after another, and change later."""

    def __init__(self, folder, kept, seed):
        self.folder, self.kept, self.random = folder, kept, random.Random(seed)
        self.whole, self.bad = set(), set()
        self._n_files, self._later = 0, []

    def come(self, n):
        for number in range(self._n_files, self._n_files + n):
            kind = SPECIAL[number // 3 % len(SPECIAL)] if number % 3 == 0 else "whole"
            path = write(self.folder / f"{kind} {number:03d}.wav", number, is_odd=number % 12 in (7, 8))
            if kind in ("half", "empty", "text"):
                self.bad.add(path)
                path.write_bytes({"half": path.read_bytes()[:7000], "empty": b"", "text": b"No sound."}[kind])
            elif kind == "growing":
                content = path.read_bytes()
                path.write_bytes(content[:4000])
                self._later.append(partial(self._grow, path, content))
            else:
                self._keep(path)
            if kind in ("renamed", "deleted"):
                self._later.append(partial(self._rename if kind == "renamed" else self._delete, path))
        self._n_files += n

    def change(self, n=None):
        """Do some of what is still to be done to files, or all."""
        for _ in range(len(self._later) if n is None else min(n, len(self._later))):
            self._later.pop(self.random.randrange(len(self._later)))()

    def change_all(self):
        while self._later:
            self.change()

    def _keep(self, path):
        self.whole.add(path)
        os.link(path, self.kept / f"{path.stat().st_ino}.wav")

    def _grow(self, path, content):
        with path.open("ab") as file:
            start = file.tell()
            file.write(content[start : start + 6000])
        if path.stat().st_size == len(content):
            self._keep(path)
        else:
            self._later.append(partial(self._grow, path, content))

    def _rename(self, path):
        self.whole.remove(path)
        self.whole.add(path.rename(path.with_stem(f"new {path.stem}")))

    def _delete(self, path):
        self.whole.remove(path)
        path.unlink()


def heard_again(watched, kept, learnt, path):
    """A database of the same recordings in the same order, heard by one process that nobody kills."""
    shutil.copy(learnt, path)
    machines, begun = load_scored(watched.model, 1), rows(learnt, "SELECT max(id) FROM recording")[0][0]
    (model,) = rows(learnt, "SELECT id, fingerprint, path FROM model")
    with WatchDatabase(path) as database:
        hearing = Hearing(
            database,
            Model(*model),
            partial(_monitor, machines, {}),
            partial(_machine_of, machines),
        )
        for size, modified_ns, inode in rows(
            watched.database, f"SELECT size, modified_ns, inode FROM recording WHERE id > {begun} ORDER BY id"
        ):
            assert hearing.hear(FoundFile(str(kept / f"{inode}.wav"), "", size, modified_ns, inode))
    return path


def check(watched, files, lines, learnt, tmp_path):
    assert rows(watched.database, "PRAGMA integrity_check") == [("ok",)]
    assert rows(watched.database, "PRAGMA foreign_key_check") == []
    heard = versions(watched.database)
    assert [row for row in heard if "deleted" not in row[0]] == sorted(
        version(path) for path in files.whole if "deleted" not in path.name
    )
    inodes = rows(watched.database, "SELECT inode FROM recording WHERE path NOT LIKE '%/learnt/%'")
    assert len(set(inodes)) == len(heard)
    failed = [row for row in versions(watched.database, "failure") if "growing" not in row[0]]
    assert failed == sorted(version(path) for path in files.bad)
    again = heard_again(watched, files.kept, learnt, tmp_path / "again.sqlite")
    for table, columns in COMPARED.items():
        query = (
            f"SELECT {columns} FROM {table} ORDER BY rowid" if table != "window" else f"SELECT {columns} FROM window"
        )
        assert rows(watched.database, query) == rows(again, query), table
    episodes = dict(rows(watched.database, "SELECT id, ended_at FROM episode"))
    assert len(episodes) > 1
    events = {(line["id"], line["event"]) for line in lines}
    assert {number for number, event in events if event == "ended"} == {
        number for number, ended_at in episodes.items() if ended_at is not None
    }
    assert {number for number, _ in events} == set(episodes)


@pytest.mark.parametrize(
    ("n_kills", "n_files"), [(3, 30), pytest.param(50, 300, marks=pytest.mark.slow)], ids=["three", "fifty"]
)
def test_whatever_is_killed_each_whole_file_is_in_the_database_once(watched, learnt, tmp_path, n_kills, n_files):
    (tmp_path / "kept").mkdir()
    files = Files(watched.folder, tmp_path / "kept", seed=n_kills)
    output = os.open(tmp_path / "lines", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    start, process = time.monotonic(), started(watched, stdout=output)
    wait_until(watched.database.with_name("watch.sqlite.lock").exists, process)
    up = time.monotonic() - start  # seconds until a process begins
    for _ in range(n_kills):
        files.come(n_files // n_kills)
        time.sleep(files.random.uniform(0, 0.3))
        files.change(4)
        time.sleep(files.random.uniform(0, 0.3))
        process.kill()
        process.communicate()
        process = started(watched, stdout=output)
        files.change(2)
        time.sleep(up + files.random.uniform(-0.2, 0.2))
    files.change_all()
    process.kill()
    process.communicate()
    last, done = watched.once(), watched.once()
    assert done == (0, "", "")
    os.close(output)
    check(watched, files, told((tmp_path / "lines").read_text()) + told(last.stdout), learnt, tmp_path)
