"""run_suite: every task of a suite that is not finished, here or on a cluster."""

import os
from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import pandas as pd
from joblib import Parallel, delayed, effective_n_jobs
from joblib.externals.loky import get_reusable_executor
from tqdm import tqdm

from skasd._parameters import check_integer
from skasd.benchmark._data import forget_data, load_data
from skasd.benchmark._results import Results
from skasd.benchmark._suite import Suite
from skasd.benchmark._task import Task, run_task


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
    """Run what is not finished yet of a suite.

    Parameters
    ----------
    suite : Suite
        Detectors, data sets and seeds.
    results : str or path-like
        Folder of results. A task is finished when its line stands in ``results.jsonl`` there, and is not run again, whatever
        became of the process that ran it. Its scores are in ``scores``.
    n_jobs : int, default=1
        Tasks that run at a time, by joblib in processes of their own; -1 takes all cores.
    scheduler : str or None, default=None
        Address of a Dask scheduler, such as ``"tcp://10.0.0.1:8786"``: tasks run on its workers in place of here, one at a
        time in each process. What a worker that dies was at is run elsewhere. Needs ``pip install "skasd[distributed]"``.
    n_threads : int, default=1
        Threads of each task; the same number gives the same scores, however many tasks run at a time.
    cache : str, path-like or None, default=None
        Folder of log-mels that tasks share, None takes ``cache`` in the folder of results.
    verbose : int, default=0
        Shows a progress bar over tasks from 1 on.

    Returns
    -------
    table : DataFrame
        One row per task of the suite in its order, with the columns of a result, see the guide.

    Raises
    ------
    RuntimeError
        If tasks failed; after all others have been run, and with what each of them said.
    ImportError
        If Dask is asked for and not installed.

    See Also
    --------
    report : Tables and a picture of a folder of results.

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
    finished = {_name(row): row for row in store.rows()}
    for task in tasks:  # what a report sets beside a result is no part of it
        row = finished.get(_name_of(task))
        if row is not None and row["published"] != list(task.entry.published):
            store.put({**row, "published": list(task.entry.published)})
    left = [task for task in tasks if _name_of(task) not in finished]
    rows = _on_cluster(left, scheduler) if scheduler else _here(left, n_jobs)
    failed = []
    with tqdm(rows, "tasks", len(tasks), initial=len(tasks) - len(left), disable=verbose < 1, unit="task") as progress:
        for row in progress:
            if "error" in row:
                store.fail(row)
                failed.append(row)
            else:
                store.add(row)
    if failed:
        raise RuntimeError(_message(failed, len(tasks), store.folder))
    by_name = {_name(row): row for row in store.rows()}
    return pd.DataFrame([{**by_name[_name_of(task)], "suite": suite.name} for task in tasks])


def list_tasks(suite: Suite, cache: Path, n_threads: int) -> list[Task]:
    """Tasks of a suite, those of one data set and seed after each other, so that long ones are not all at the end."""
    forget_data()
    fingerprints = {name: load_data(description).fingerprint for name, description in suite.data.items()}
    return [
        Task(
            suite.name,
            data,
            suite.data[data],
            fingerprints[data],
            detector,
            entry,
            seed,
            cache.expanduser().absolute(),
            n_threads,
        )
        for data in suite.data
        for seed in suite.seeds
        for detector, entry in suite.entries.items()
        if entry.data is None or data in entry.data
    ]


def _here(tasks: list[Task], n_jobs: int) -> Iterator[dict[str, Any]]:
    """Results of tasks as they finish."""
    if n_jobs == 1 or len(tasks) < 2:
        yield from map(run_task, tasks)
        return
    left = {_name_of(task): task for task in tasks}
    while left:
        parallel = Parallel(
            n_jobs, prefer="processes", return_as="generator_unordered", batch_size=1, pre_dispatch="n_jobs"
        )
        begun = list(left.values())
        try:
            for row in parallel(delayed(run_task)(task) for task in begun):
                del left[_name(row)]
                yield row
        except BrokenProcessPool:  # a process was killed, and all others with it: those that ran are tried one by one
            _drop_pool()
            n_running = effective_n_jobs(n_jobs)
            for task in list(left.values())[: n_running + 1]:
                del left[_name_of(task)]
                yield _alone(task)


def _alone(task: Task) -> dict[str, Any]:
    """Result of a task in a process that nothing else runs in."""
    try:
        return Parallel(2, prefer="processes")([delayed(run_task)(task)])[0]
    except BrokenProcessPool as error:
        _drop_pool()
        return _lost(task, error)


def _drop_pool() -> None:
    """Forget the processes that joblib keeps, so that what comes next begins with new ones."""
    get_reusable_executor().shutdown(wait=True, kill_workers=True)


def _lost(task: Task, error: BaseException) -> dict[str, Any]:
    shared = {"data": task.data, "detector": task.detector, "seed": task.seed, "key": task.key}
    return {**shared, "error": f"{type(error).__name__}: the process that ran it died: {error}"}


def _on_cluster(tasks: list[Task], scheduler: str) -> Iterator[dict[str, Any]]:
    """Results of tasks as they finish on a Dask cluster.

    By its own futures: the Dask backend of joblib gives all results at the end, and all would be lost with this process.
    """
    try:
        from distributed import Client, as_completed
    except ImportError as error:
        raise ImportError('scheduler= needs Dask: pip install "skasd[distributed]".') from error
    with Client(scheduler, set_as_default=False) as client:
        futures = {client.submit(run_task, task, pure=False): task for task in tasks}
        for future in as_completed(futures, loop=client.loop):
            task, problem = futures[future], future.exception()
            if problem is None:
                yield future.result()
            else:
                yield _lost(task, problem)
            future.release()


def _name(row: dict[str, Any]) -> tuple[str, str, str]:
    return row["data"], row["detector"], row["key"]


def _name_of(task: Task) -> tuple[str, str, str]:
    return task.data, task.detector, task.key


def _message(failed: list[dict[str, Any]], n_tasks: int, folder: Path) -> str:
    lines = [f"{row['detector']} on {row['data']}, seed {row['seed']}: {row['error']}" for row in failed]
    kept = f"the others are finished and kept, and what failed is told in {folder / 'errors.jsonl'}."
    return "\n".join([f"{len(failed)} of {n_tasks} tasks failed; {kept}", *lines])
