"""One thread for small matrices: several take ten times as long for those of a few hundred numbers a side."""

from contextlib import AbstractContextManager
from functools import cache

from threadpoolctl import ThreadpoolController


def one_blas_thread() -> AbstractContextManager:
    """Within it, linear algebra runs on one thread; the threads of the caller are as they were after it."""
    return _thread_pools().limit(limits=1, user_api="blas")


@cache
def _thread_pools() -> ThreadpoolController:
    """The BLAS libraries of this process, looked for once: the search takes longer than many a score."""
    return ThreadpoolController()
