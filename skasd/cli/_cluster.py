"""A Dask cluster as `skasd score` uses it: the connection, the model on its workers, and chunks that are scored there."""

import logging
import pkgutil
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager, suppress
from itertools import islice
from typing import TYPE_CHECKING, Any

from skasd._version import __version__
from skasd.cli._recordings import Recording

if TYPE_CHECKING:
    from distributed import Client, Future

    from skasd.cli._worker import Answer

CHUNKS_AHEAD = 2  # per thread of the cluster: sent before others are done
_CONNECT_SECONDS = 10
_PATIENCE = 60.0  # seconds without any worker
_POLL_SECONDS, _ASK_SECONDS = 0.01, 1.0  # between looks at what is done, and at the workers
_SURVIVED = (MemoryError, OSError)  # errors of a worker that one recording may be the reason of


@contextmanager
def connected(address: str) -> Iterator["Client"]:
    """Connect to a scheduler whose workers have this version of skasd.

    Parameters
    ----------
    address : str
        Address of the scheduler.

    Raises
    ------
    ImportError
        If Dask is missing here, or skasd or this version of it on a worker.
    ConnectionError
        If the scheduler cannot be reached, or has no workers.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise ImportError('--scheduler needs Dask: pip install "skasd[distributed]".') from error
    for name in ("distributed", "distributed.client"):  # what matters is an error with one sentence
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        client = Client(address, timeout=_CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ConnectionError(
            f"--scheduler={address} cannot be reached: {' '.join(str(error).split()) or type(error).__name__}. Give the "
            "address that dask scheduler prints, such as tcp://10.0.0.1:8786."
        ) from error
    try:
        _check_workers(client, address)
        yield client
    finally:
        client.close(timeout=_CONNECT_SECONDS)


@contextmanager
def model_on_workers(client: "Client", content: bytes, name: str) -> Iterator[None]:
    """Have a model file on all workers, also on those that join later, within the ``with`` block.

    Parameters
    ----------
    client : Client
        Connection.
    content : bytes
        Content of the model file.
    name : str
        Name that workers know it by; the model of an earlier command that was killed is replaced.
    """
    from skasd.cli._worker import ModelOnWorker

    client.register_plugin(ModelOnWorker(content, name), name=name)
    try:
        yield
    finally:
        with suppress(OSError, RuntimeError, ValueError):  # a scheduler that is gone has no model either
            client.unregister_worker_plugin(name)


def n_threads(client: "Client") -> int:
    """Number of threads of all workers."""
    try:
        return sum(client.nthreads().values())
    except OSError as error:
        raise ConnectionError("the connection to the scheduler is lost") from error


def answers(
    client: "Client", chunks: Iterable[Sequence[Recording]], name: str, n_jobs: int, *, one_by_one: bool
) -> Iterator[tuple[Sequence[Recording], "Answer | BaseException"]]:
    """Score chunks on the workers, a few of them at a time.

    Parameters
    ----------
    client : Client
        Connection.
    chunks : iterable of sequence of Recording
        Recordings with absolute paths.
    name : str
        Name of the model on the workers.
    n_jobs : int
        Threads of each worker process; -1 is the number that it was started with.
    one_by_one : bool
        Whether each recording is scored in a process that it may end.

    Yields
    ------
    chunk : sequence of Recording
        A chunk, as soon as it is done.
    answer : Answer or exception
        Its rows, or what its worker died of.

    Raises
    ------
    ConnectionError
        If the scheduler or all workers are gone.
    RuntimeError
        If workers cannot score a chunk for a reason that is not in its recordings.
    """
    from distributed import as_completed

    from skasd.cli._worker import score_chunk

    waiting, sent = iter(chunks), dict[Any, Sequence[Recording]]()
    done = as_completed(loop=client.loop)
    while True:
        for chunk in islice(waiting, max(0, max(1, CHUNKS_AHEAD * n_threads(client)) - len(sent))):
            future = client.submit(score_chunk, chunk, name, n_jobs, __version__, one_by_one, pure=False)
            sent[future] = chunk
            done.add(future)
        if not sent:
            return
        for future in _next_done(client, done):
            yield sent.pop(future), _answer(future)


def _next_done(client: "Client", done: Any) -> list["Future"]:
    """The chunks that are done, at least one; raises if there is nobody left to do them."""
    last_seen = last_asked = time.monotonic()
    while not done.has_ready():
        time.sleep(_POLL_SECONDS)
        if client.status != "running":
            raise ConnectionError("the connection to the scheduler is lost")
        now = time.monotonic()
        if now - last_asked > _ASK_SECONDS:
            last_asked, last_seen = now, now if n_threads(client) else last_seen
        if now - last_seen > _PATIENCE:
            raise ConnectionError(f"the scheduler has had no workers for {_PATIENCE:.0f} seconds")
    return done.next_batch(block=False)


def _answer(future: "Future") -> "Answer | BaseException":
    """Rows of a chunk that is done, or what its worker died of.

    The worker that has the rows may die before they are fetched; then others score the chunk again.
    """
    from distributed import KilledWorker

    try:
        problem = future.exception(timeout=_PATIENCE)
        if problem is None:
            return future.result(timeout=_PATIENCE)
    except (CancelledError, TimeoutError) as error:
        raise ConnectionError("the connection to the scheduler or to the workers is lost") from error
    if isinstance(problem, (KilledWorker, *_SURVIVED)):
        return problem
    if isinstance(problem, ImportError):
        raise ImportError(f"a worker cannot score recordings: {problem}. {_install()}") from problem
    raise RuntimeError(f"a worker cannot score recordings: {type(problem).__name__}: {problem}") from problem


def _check_workers(client: "Client", address: str) -> None:
    """Raise unless there are workers and all have this version of skasd."""
    found = client.run(pkgutil.resolve_name, "skasd._version:__version__", on_error="return")
    if not found:
        raise ConnectionError(f"--scheduler={address} has no workers; start some with dask worker {address}.")
    wrong = {
        worker: version
        for worker, version in found.items()
        if isinstance(version, ImportError | str)
        and version != __version__  # another error is that of a worker that died
    }
    if not wrong:
        return
    worker, version = next(iter(wrong.items()))
    has = f"skasd {version}" if isinstance(version, str) else f"no skasd ({version})"
    raise ImportError(
        f"{len(wrong)} of {len(found)} workers of --scheduler={address} cannot score recordings as this command does, which "
        f"has skasd {__version__}: {worker} has {has}. {_install()}"
    )


def _install() -> str:
    return f"Install skasd {__version__} for all workers."
