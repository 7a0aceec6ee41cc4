"""Single-threaded BLAS for small matrices: with several threads, sizes of a few hundred take ten times as long."""

from contextlib import AbstractContextManager
from functools import cache

from threadpoolctl import ThreadpoolController


def one_blas_thread() -> AbstractContextManager:
    """Limit BLAS to one thread within a ``with`` block.

    Returns
    -------
    limit : context manager
        Restores the previous number of threads at exit.
    """
    return _thread_pools().limit(limits=1, user_api="blas")


@cache
def _thread_pools() -> ThreadpoolController:
    """BLAS libraries of this process, cached because the search can take longer than computing scores."""
    return ThreadpoolController()
