"""run_suite: runs the unfinished tasks of a suite, on this machine or on a cluster."""

import os
from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
from joblib import Parallel, delayed, effective_n_jobs
from joblib.externals.loky import get_reusable_executor
from tqdm import tqdm

from skasd._parameters import check_integer
from skasd.benchmark._data import fingerprints, forget_data
from skasd.benchmark._results import Results
from skasd.benchmark._suite import Suite
from skasd.benchmark._task import Task, failed, run_task

Rows = list[dict[str, Any]]  # results of a task
_MOST_LISTED = 20  # failed tasks in a message


def run_suite(
    suite: Suite,
    results: str | os.PathLike[str],
    *,
    n_jobs: int = 1,
    scheduler: str | None = None,
    n_threads: int = 1,
    cache: str | os.PathLike[str] | None = None,
    verbose: int = 0,
) -> pd.DataFrame:
    """Run the tasks of a suite that are not finished.

    Parameters
    ----------
    suite : Suite
        Detectors, data sets and seeds.
    results : str or path-like
        Folder of results. A task is finished when its results are in ``results.jsonl`` of that folder, and is not run again,
        even if the process was killed later. The scores of its clips are in ``scores``.
    n_jobs : int, default=1
        Number of tasks to run at the same time, in processes of joblib; -1 uses all cores.
    scheduler : str or None, default=None
        Address of a Dask scheduler, such as ``"tcp://10.0.0.1:8786"``. Its workers run the tasks instead of this machine,
        one at a time per process; tasks of a worker that dies are run on another one. Needs
        ``pip install "skasd[distributed]"``.
    n_threads : int, default=1
        Threads of each task. Scores depend on this number, but not on how many tasks run at the same time.
    cache : str, path-like or None, default=None
        Folder for log-mels that tasks share. None uses ``cache`` in the folder of results.
    verbose : int, default=0
        Shows a progress bar over tasks if it is at least 1.

    Returns
    -------
    table : DataFrame
        One row per result, in the order of the suite; the :ref:`guide <benchmark_row>` describes the columns.

    Raises
    ------
    KeyboardInterrupt
        If Ctrl-C interrupts it. A task that it breaks off is not finished: no detector keeps what it has learnt by then.
    RuntimeError
        If tasks failed. It is raised after all other tasks have been run, and has the message of each failed task.
    ImportError
        If `scheduler` is set and Dask is not installed.

    See Also
    --------
    report : Tables and a figure of a folder of results.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from skasd.benchmark import Suite, run_suite
    >>> from skasd.detectors import TWFRDetector
    >>> fans = {"kind": "synthetic", "machine_types": "fan", "n_train": 10, "random_state": 0}
    >>> with TemporaryDirectory() as folder:
    ...     table = run_suite(Suite("mine", {"fans": fans}, {"TWFR": TWFRDetector()}, seeds=(0,)), folder)
    >>> table[["data", "detector", "seed", "n_test"]]
       data detector  seed  n_test
    0  fans     TWFR     0      20
    """
    if n_jobs != -1:
        check_integer("n_jobs", n_jobs, low=1, other="-1")
    check_integer("n_threads", n_threads, low=1)
    store = Results(results)
    tasks = list_tasks(suite, Path(cache) if cache is not None else store.folder / "cache", n_threads)
    left = _unfinished(tasks, store)
    done = _on_cluster(left, scheduler) if scheduler else _here(left, n_jobs)
    errors = []
    n_done = len(tasks) - len(left)
    with (
        _told_of_interrupt(store, tasks),
        tqdm(done, "tasks", len(tasks), initial=n_done, disable=verbose < 1, unit="task") as progress,
    ):
        for rows in progress:
            for row in rows:
                if "error" in row:
                    store.fail(row)
                    errors.append(row)
                else:
                    store.add(row)
    by_name = {_name(row): row for row in store.rows()}
    finished = [task for task in tasks if by_name.keys() >= set(task.names)]
    store.forget_errors((task.data, task.detector, task.seed) for task in finished)
    if errors:
        raise RuntimeError(_message(errors, len(tasks), store.folder))
    return pd.DataFrame([{**by_name[name], "suite": suite.name} for task in tasks for name in task.names])


@contextmanager
def _told_of_interrupt(store: Results, tasks: list[Task]) -> Iterator[None]:
    """Say what an interrupted suite keeps."""
    try:
        yield
    except KeyboardInterrupt as error:
        n_left = len(_unfinished(tasks, store))
        raise KeyboardInterrupt(
            f"The suite was interrupted; {len(tasks) - n_left} of {len(tasks)} tasks are finished and kept in "
            f"{store.folder}, and the same call runs the others."
        ) from error


def list_tasks(suite: Suite, cache: Path, n_threads: int) -> list[Task]:
    """Tasks of a suite, ordered by data set and seed, so that long ones are not all at the end."""
    forget_data()
    tasks = []
    for data, seed in [(name, seed) for name in suite.data for seed in suite.seeds_of(name)]:
        fingerprint, family = fingerprints(suite.data[data], seed)
        for detector, entry in suite.entries.items():
            if entry.data is None or data in entry.data:
                tasks.append(
                    Task(
                        suite=suite.name,
                        data=data,
                        description=suite.data[data],
                        fingerprint=fingerprint,
                        family=family,
                        detector=detector,
                        entry=entry,
                        seed=seed,
                        cache=cache.expanduser().absolute(),
                        n_threads=n_threads,
                    )
                )
    return tasks


def _unfinished(tasks: list[Task], store: Results) -> list[Task]:
    """Tasks without all their results; the names of published systems are updated in the others."""
    finished, left = {_name(row): row for row in store.rows()}, []
    for task in tasks:
        if not finished.keys() >= set(task.names):
            left.append(task)
            continue
        for name in task.names:
            row, published = finished[name], list(task.entry.published)
            if row["published"] != published:
                store.put({**row, "published": published})
    return left


def _here(tasks: list[Task], n_jobs: int) -> Iterator[Rows]:
    """Results of tasks as they finish."""
    if n_jobs == 1 or len(tasks) < 2:
        yield from map(run_task, tasks)
        return
    left = dict(enumerate(tasks))
    while left:
        parallel = Parallel(
            n_jobs, prefer="processes", return_as="generator_unordered", batch_size=1, pre_dispatch="n_jobs"
        )
        try:
            for index, rows in parallel(delayed(_numbered)(index, task) for index, task in list(left.items())):
                del left[index]
                yield rows
        except BrokenProcessPool:  # one process was killed, and with it all others: run what was running one by one
            _drop_pool()
            n_running = effective_n_jobs(n_jobs)
            for index in list(left)[: n_running + 1]:
                yield _alone(left.pop(index))


def _numbered(index: int, task: Task) -> tuple[int, Rows]:
    return index, run_task(task)


def _alone(task: Task) -> Rows:
    """Run a task in a process in which nothing else runs."""
    try:
        return Parallel(2, prefer="processes")([delayed(run_task)(task)])[0]
    except BrokenProcessPool as error:
        _drop_pool()
        return _lost(task, error)


def _drop_pool() -> None:
    """End the processes that joblib keeps, so that the next call starts new ones."""
    get_reusable_executor().shutdown(wait=True, kill_workers=True)


def _lost(task: Task, error: BaseException) -> Rows:
    return [failed(task, f"{type(error).__name__}: the process that ran it died: {error}")]


def _on_cluster(tasks: list[Task], scheduler: str) -> Iterator[Rows]:
    """Results of tasks as they finish on a Dask cluster.

    Uses the futures of Dask: joblib's Dask backend returns all results at the end, and they would be lost with this process.
    """
    try:
        from distributed import Client, as_completed
    except ImportError as error:
        raise ImportError('scheduler= needs Dask: pip install "skasd[distributed]".') from error
    with Client(scheduler, set_as_default=False) as client:
        futures = {client.submit(run_task, task, pure=False): task for task in tasks}
        for future in as_completed(futures, loop=client.loop):
            problem = future.exception()
            yield future.result() if problem is None else _lost(futures[future], problem)
            future.release()


def _name(row: dict[str, Any]) -> tuple[str, str, str]:
    return row["data"], row["detector"], row["key"]


def _message(failed: list[dict[str, Any]], n_tasks: int, folder: Path) -> str:
    lines = [f"{row['detector']} on {row['data']}, seed {row['seed']}: {row['error']}" for row in failed]
    first = (
        f"{len(failed)} of {n_tasks} tasks failed; the results of the others are kept, and {folder / 'errors.jsonl'} has "
        f"the errors. The first: {failed[0]['error'].splitlines()[0]}"
    )
    more = len(lines) - _MOST_LISTED
    return "\n".join([first, *lines[:_MOST_LISTED], *([f"and {more} more"] if more > 0 else [])])
