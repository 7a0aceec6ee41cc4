"""Score recordings one by one in a process of its own, which a recording may take down with it."""

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

from skasd.cli._recordings import Recording
from skasd.cli._score_table import Row

_COMMAND = "from skasd.cli._one_by_one import answer; answer()"


def score_one_by_one(recordings: Sequence[Recording], model: Path, n_jobs: int) -> list[Row]:
    """Rows of recordings; one that ends the process that scores it gets the reason, and the next one a new process.

    Parameters
    ----------
    recordings : sequence of Recording
        Recordings to score.
    model : Path
        Model file.
    n_jobs : int
        Number of threads.

    Raises
    ------
    RuntimeError
        If the process ends before it scores anything.
    """
    rows: list[Row] = []
    while len(rows) < len(recordings):
        left = recordings[len(rows) :]
        found, why = _in_process(left, model, n_jobs)
        rows += found
        if len(found) < len(left):
            rows.append(Row(left[len(found)].file, "", reason=f"ends the process that scores it ({why})"))
    return rows


def answer() -> None:
    """What the process does: load the model, write a first line, and a row for each recording as soon as it is scored."""
    from skasd.cli._models import load_scored, score_recordings

    recordings, model, n_jobs, out = pickle.load(sys.stdin.buffer)
    machines = load_scored(model, n_jobs)
    with out.open("wb", buffering=0) as stream:
        stream.write(pickle.dumps(None))
        for recording in recordings:
            stream.write(pickle.dumps(score_recordings([recording], machines, strict=False, verbose=0)[0]))


def _in_process(recordings: Sequence[Recording], model: Path, n_jobs: int) -> tuple[list[Row], str]:
    """Rows up to the recording that ended the process, and what ended it."""
    with TemporaryDirectory() as folder:
        out = Path(folder) / "rows"
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", _COMMAND],
            input=pickle.dumps((list(recordings), model, n_jobs, out)),
            capture_output=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), *sys.path]))},
            check=False,
        )
        why = _why_ended(done.returncode, done.stderr.decode(errors="replace"))
        if not out.exists():
            raise RuntimeError(f"a process that scores recordings one by one cannot load the model: {why}")
        with out.open("rb") as stream:
            pickle.load(stream)
            return list(_rows(stream)), why


def _rows(stream: BinaryIO) -> Iterator[Row]:
    with suppress(EOFError, pickle.UnpicklingError):  # the end, or a row that was not written whole
        while True:
            yield pickle.load(stream)


def _why_ended(status: int, errors: str) -> str:
    if status < 0:
        return signal.strsignal(-status) or f"signal {-status}"
    return (errors.strip().splitlines() or [f"exit status {status}"])[-1]
