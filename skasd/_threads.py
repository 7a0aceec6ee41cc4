"""Single-threaded BLAS for small matrices: with several threads, sizes of a few hundred take ten times as long."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from threadpoolctl import ThreadpoolController

_lock = threading.Lock()
_n_users = 0
_limit: Any = None


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Limit BLAS to one thread within a ``with`` block.

    The number of threads belongs to the whole process. The block may be nested and entered in several threads at once: the
    first to enter sets the limit, and the last to leave restores the previous number.
    """
    _enter()
    try:
        yield
    finally:
        _leave()


def _enter() -> None:
    global _n_users, _limit
    with _lock:
        if _n_users == 0:
            _take_control()
            _limit = _thread_pools().limit(limits=1, user_api="blas")
        _n_users += 1


def _leave() -> None:
    global _n_users, _limit
    with _lock:
        _n_users -= 1
        if _n_users == 0:
            _take_control()
            _limit.restore_original_limits()
            _take_control()
            _limit = None


def _take_control() -> None:
    """Let the next call set the number of threads: recent versions of threadpoolctl ignore all but one thread."""
    for library in _thread_pools().lib_controllers:
        if hasattr(library, "clear_controlling_thread"):
            library.clear_controlling_thread(force=True)


@cache
def _thread_pools() -> ThreadpoolController:
    """BLAS libraries of this process, cached because the search can take longer than computing scores."""
    return ThreadpoolController()


def _renew_lock() -> None:
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):  # another thread may hold the lock at the moment of a fork
    os.register_at_fork(after_in_child=_renew_lock)
