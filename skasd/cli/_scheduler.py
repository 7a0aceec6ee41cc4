"""`skasd score --scheduler`: workers of a Dask cluster score chunks of recordings, and the rows are kept at once."""

import hashlib
import os
import socket
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from skasd._parameters import check_n_jobs
from skasd._version import __version__
from skasd.cli._cluster import CHUNKS_AHEAD, answers, connected, model_on_workers, n_threads
from skasd.cli._kept_rows import KeptRows, Stamp, stamp_of
from skasd.cli._models import load_scored
from skasd.cli._recordings import Recording
from skasd.cli._score_table import Row
from skasd.clips._files import readable_name

_MOST_FILES, _MOST_BYTES = 256, 2**28  # in a chunk
_ROUNDS = 4  # chunks for each one that is sent, at least, so that workers end at about the same time
_MOST_WARNINGS = 5
_AGAIN = (
    "{} files were not seen by a worker. The same command tries them again, and the rows of the others are kept in {}."
)


@contextmanager
def scored_on_cluster(
    recordings: list[Recording], scheduler: str, *, model: Path, csv: Path, jobs: int, strict: bool, verbose: int
) -> Iterator[tuple[list[Row], str]]:
    """Score recordings on a Dask cluster.

    Rows are kept in a file beside the table until the ``with`` block has written it: nothing is scored again after workers
    or this process were killed.

    Parameters
    ----------
    recordings : list of Recording
        Recordings to score.
    scheduler : str
        Address of the Dask scheduler.
    model : Path
        Model file.
    csv : Path
        Table that will be written.
    jobs : int
        Threads of each worker process; -1 is the number that it was started with.
    strict : bool
        Whether a recording that cannot be scored is an error.
    verbose : int
        Shows a progress bar if 1 or larger.

    Yields
    ------
    rows : list of Row
        Row of each recording.
    note : str
        What is to be said about files that workers did not see; empty if there are none.

    Raises
    ------
    ValueError
        With `strict`, if a recording cannot be scored; or if the rows that are kept are of another model.
    ConnectionError
        If the scheduler cannot be reached, or its workers are gone.
    ImportError
        If Dask is missing here, or skasd or this version of it on a worker.
    """
    check_n_jobs(jobs)
    load_scored(model, jobs)  # a model that cannot be used is an error before anything is sent
    content = model.read_bytes()
    fingerprint = hashlib.sha256(content).hexdigest()
    kept = KeptRows(csv.with_name(csv.name + ".part"), {"skasd": __version__, "model_sha256": fingerprint})
    here = os.getcwd()  # noqa: PTH109
    names = {os.path.join(here, recording.file): recording.file for recording in recordings}  # noqa: PTH118
    with kept.opened():
        done = kept.done()
        left = [replace(one, file=file) for one, file in zip(recordings, names, strict=True) if file not in done]
        if left:
            own = repr((fingerprint, socket.gethostname(), csv.absolute()))  # another command may have the same model
            name = f"skasd-{hashlib.sha256(os.fsencode(own)).hexdigest()[:16]}"
            with (
                _told_what_is_kept(kept.path),
                tqdm(
                    None, "scoring", len(names), initial=len(names) - len(left), disable=verbose < 1, unit="clip"
                ) as progress,
                connected(scheduler) as client,
                model_on_workers(client, content, name),
            ):
                for scored in _scored(left, client, name, jobs):
                    bad = [row for row, *_ in scored if row.reason] if strict else []
                    kept.add(one for one in scored if one[0] not in bad)
                    progress.update(len(scored))
                    if bad:
                        raise ValueError(f"{readable_name(bad[0].file)}: {bad[0].reason}.")
        rows, n_unseen = kept.rows(names)
        if strict and (bad := [row for row in rows if row.reason]):
            raise ValueError(f"{readable_name(bad[0].file)}: {bad[0].reason}.")
        yield rows, _AGAIN.format(n_unseen, kept.path) if n_unseen else ""
        if not n_unseen:
            kept.remove()


def _scored(left: list[Recording], client: Any, name: str, jobs: int) -> Iterator[list[tuple[Row, Stamp | None, bool]]]:
    """Rows of chunks as they are done; chunks whose workers died come last, as they are scored one by one."""
    stamps: dict[str, Stamp | None] = {}
    told = _Warnings()
    waiting: Iterable[Sequence[Recording]] = _chunks(left, n_threads(client), stamps)
    one_by_one = False
    while True:
        suspects = []
        for chunk, answer in answers(client, waiting, name, jobs, one_by_one=one_by_one):
            if isinstance(answer, BaseException):
                suspects.append(chunk)
                continue
            told.tell(answer.warnings)
            yield [_row(row, stamps.pop(row.file), answer) for row in answer.rows]
        if one_by_one:  # and the worker itself died, or has no room: ask for less, until nothing less can be asked for
            for chunk in suspects:
                if len(chunk) == 1:
                    row = Row(chunk[0].file, "", reason="every worker that was given it died")
                    yield [(row, stamps.pop(row.file), False)]
            suspects = [part for chunk in suspects for part in _halves(chunk)]
        if not suspects:
            return
        waiting, one_by_one = suspects, True


def _row(row: Row, stamp: Stamp | None, answer: Any) -> tuple[Row, Stamp | None, bool]:
    """A row with what is kept beside it, and a reason that says so if only the worker does not see the file."""
    if row.file not in answer.unseen or stamp_of(row.file) is None:
        return row, stamp, False
    reason = f"is not seen by the worker {answer.worker}, which needs the same files under the same paths"
    return replace(row, reason=reason), stamp, True


def _chunks(left: list[Recording], n_threads: int, stamps: dict[str, Stamp | None]) -> Iterator[list[Recording]]:
    """Chunks of recordings, few enough in each that all threads get some; `stamps` gets the stamp of each file."""
    most = min(_MOST_FILES, max(1, len(left) // (_ROUNDS * CHUNKS_AHEAD * n_threads)))
    chunk: list[Recording] = []
    n_bytes = 0
    for recording in left:
        stamp = stamps[recording.file] = stamp_of(recording.file)
        chunk.append(recording)
        n_bytes += stamp[0] if stamp else 0
        if len(chunk) >= most or n_bytes >= _MOST_BYTES:
            yield chunk
            chunk, n_bytes = [], 0
    if chunk:
        yield chunk


def _halves(chunk: Sequence[Recording]) -> list[Sequence[Recording]]:
    middle = len(chunk) // 2
    return [chunk[:middle], chunk[middle:]] if middle else []


@contextmanager
def _told_what_is_kept(path: Path) -> Iterator[None]:
    """Say where the rows are in what ends the command."""
    try:
        yield
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt(_with_hint("interrupted", path)) from error
    except (ConnectionError, RuntimeError) as error:
        if not path.exists():
            raise
        raise type(error)(_with_hint(str(error), path)) from error


def _with_hint(message: str, path: Path) -> str:
    return f"{message.removesuffix('.')}. What is scored is kept in {path}, and the same command scores the others."


class _Warnings:
    """Warnings of workers, the first different ones of which are told."""

    def __init__(self) -> None:
        self._counts = Counter[str]()

    def tell(self, messages: Iterable[str]) -> None:
        """Tell those that are new."""
        for message in messages:
            self._counts[message] += 1
            if self._counts[message] == 1 and len(self._counts) <= _MOST_WARNINGS:
                warnings.warn(message, stacklevel=2)
            if self._counts[message] == 1 and len(self._counts) == _MOST_WARNINGS:
                warnings.warn("Further warnings of workers are not shown.", stacklevel=2)
