"""What the tests of `skasd watch` share: recordings, a folder with its database, and processes that watch it."""

import json
import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing

import numpy as np
import soundfile

from tests.cli.running import skasd

RATE, LENGTH = 16000, 8000
FAST = ("--settle", "0.2", "--patience", "0.2")
LEARNING = ("--learning-hours", "0.035", "--false-episodes-per-day", "200")
LEARNING += tuple(f"--set={setting}" for setting in ("longest_gap=0", "drift_interval=1", "end_share=0.2"))


def sound(number, is_odd=False):
    """Half a second of noise, with a loud tone if it is odd."""
    rng = np.random.default_rng(number)
    tone = 0.5 * np.sin(0.4 * np.arange(LENGTH)) if is_odd else 0
    return (0.1 * rng.standard_normal(LENGTH) + tone).astype(np.float32)


def write(path, number, *, is_odd=False, at=None):
    """A recording that ends `at` s after some moment that has long passed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, sound(number, is_odd), RATE)
    if at is not None:
        os.utime(path, (1.79e9 + at,) * 2)
    return path


def fill(folder, n, odd=()):
    for number in range(n):
        write(folder / f"{number:03d}.wav", number, is_odd=number in odd, at=number / 2)


def rows(database, query):
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return connection.execute(query).fetchall()


def versions(database, table="recording"):
    found = rows(database, f"SELECT path, size, modified_ns FROM {table}")
    return sorted(row for row in found if "/learnt/" not in row[0])


def version(path):
    status = path.stat()
    return str(path), status.st_size, status.st_mtime_ns


def told(output):
    return [json.loads(line) for line in output.splitlines()]


def write_learning_sound(folder):
    """Two minutes and a half of normal sound."""
    folder.mkdir()
    for number in range(10):
        soundfile.write(
            folder / f"{number}.wav", np.concatenate([sound(2000 + 30 * number + k) for k in range(30)]), RATE
        )
        os.utime(folder / f"{number}.wav", (1.78e9 + 15 * number,) * 2)


class Hall:
    """A folder, a database and the command over them."""

    def __init__(self, root, model):
        self.folder, self.database, self.model = root / "in", root / "watch.sqlite", model
        self.folder.mkdir()

    def command(self, *options):
        return ("watch", self.folder, "--model", self.model, "--database", self.database, *options)

    def once(self, *options):
        return skasd(*self.command("--once", *FAST, *options))


def started(hall, *options, **settings):
    command = [sys.executable, "-m", "skasd", *map(str, hall.command(*FAST, *options))]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, **{**pipes, **settings})


def wait_until(is_so, process, seconds=60):
    end = time.monotonic() + seconds
    while not is_so():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.05)


def n_heard(hall):
    try:
        return len(versions(hall.database))
    except sqlite3.OperationalError:  # there is no database yet
        return 0
