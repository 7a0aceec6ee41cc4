"""What a worker of Dask does for `skasd score --scheduler`: it keeps the model, and scores chunks of recordings in turn."""

import os
import threading
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from distributed import WorkerPlugin, get_worker

from skasd._version import __version__
from skasd.cli._models import Scored, load_scored, score_recordings
from skasd.cli._one_by_one import score_one_by_one
from skasd.cli._recordings import Recording
from skasd.cli._score_table import Row


@dataclass
class Answer:
    """Rows of a chunk.

    Parameters
    ----------
    rows : list of Row
        One for each recording.
    worker : str
        Address of the worker.
    unseen : set of str
        Files that the worker does not see.
    warnings : list of str
        Warnings, each once.
    """

    rows: list[Row]
    worker: str
    unseen: set[str] = field(default_factory=set)
    warnings: list[str] = field(default_factory=list)


class ModelOnWorker(WorkerPlugin):
    """A model file that is sent once to each worker, also to those that join later; loaded when the first chunk comes.

    Parameters
    ----------
    content : bytes
        Content of the model file.
    name : str
        Name of the plugin, and of the file.
    """

    def __init__(self, content: bytes, name: str) -> None:
        self.content = content
        self.name = name

    def setup(self, worker: Any) -> None:
        """Write the file into the folder of the worker."""
        self.path = Path(worker.local_directory) / f"{self.name}.skasd"
        self.path.write_bytes(self.content)
        self.lock = threading.Lock()
        self._loaded: tuple[int, Mapping[str, Scored]] | None = None

    def teardown(self, worker: Any) -> None:
        """Remove the file."""
        self.path.unlink(missing_ok=True)

    def machines(self, n_jobs: int) -> Mapping[str, Scored]:
        """What scores the machines of the model in `n_jobs` threads; the caller has the lock."""
        if self._loaded is None or self._loaded[0] != n_jobs:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the command tells them, with the name of the file that it was given
                self._loaded = n_jobs, load_scored(self.path, n_jobs)
        return self._loaded[1]


def score_chunk(recordings: Sequence[Recording], name: str, n_jobs: int, version: str, one_by_one: bool) -> Answer:
    """Score recordings on a worker.

    A worker may run several chunks at once, in threads. They take turns, as warnings and the threads of the model belong to
    the whole process, and each has all threads of the worker.

    Parameters
    ----------
    recordings : sequence of Recording
        Recordings with absolute paths.
    name : str
        Name of the model on the workers.
    n_jobs : int
        Threads to score with; -1 is the number that the worker was started with.
    version : str
        Version of skasd that is expected.
    one_by_one : bool
        Whether each is scored in a process that it may end: for chunks whose workers died.

    Raises
    ------
    ImportError
        If the worker has another version of skasd.
    """
    worker = get_worker()
    if version != __version__:  # of a worker that came later; the others were asked before
        raise ImportError(f"{worker.address} has skasd {__version__}, and the command has {version}")
    model = cast(ModelOnWorker, worker.plugins[name])
    n_jobs = worker.state.nthreads if n_jobs == -1 else n_jobs
    with model.lock, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        if one_by_one:
            rows = score_one_by_one(recordings, model.path, n_jobs)
        else:
            rows = score_recordings(list(recordings), model.machines(n_jobs), strict=False, verbose=0)
    unseen = {row.file for row in rows if row.reason and not os.path.lexists(row.file)}
    return Answer(rows, worker.address, unseen, list(dict.fromkeys(str(warning.message) for warning in caught)))
