"""Reuse the memory of activations between training steps instead of returning it to the operating system.

The C library of most Linux systems (glibc) maps large blocks for each allocation and unmaps them when they are freed.
The activations of a network are such blocks, and the kernel zeroes their pages again at every step, which on two cores takes
longer than the arithmetic. Within `reused_memory`, large blocks come from a heap that grows and is kept. Other C libraries
(musl, macOS, Windows) are not changed, nor is glibc if ``SKASD_REUSE_MEMORY=0`` is set in the environment.
"""

import ctypes
import os
import platform
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

# <malloc.h>
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_MMAP_MAX = -1, -3, -4
_NEVER_TRIM = 2**31 - 1
_USUAL_MMAP_MAX = 65536
_MEBIBYTE = 2**20
# Values that glibc reaches by its dynamic adjustment in programs that free large blocks; setting either disables it.
_ADJUSTED_MMAP_THRESHOLD, _ADJUSTED_TRIM_THRESHOLD = 32 * _MEBIBYTE, 64 * _MEBIBYTE

_lock = threading.Lock()
_n_users = 0


@contextmanager
def reused_memory(*, give_back: bool = True) -> Iterator[None]:
    """Keep freed memory for reuse while the ``with`` block runs.

    The context manager may be nested and used in several threads at once. Its settings apply to the whole process.

    Parameters
    ----------
    give_back : bool, default=True
        Whether to return free memory to the system at the end. False is faster for short blocks that are entered
        repeatedly; the C library then returns surplus memory by its own rules.
    """
    library = _glibc() if os.environ.get("SKASD_REUSE_MEMORY", "1") != "0" else None
    if library is None:
        yield
        return
    _enter(library)
    try:
        yield
    finally:
        _leave(library, give_back=give_back)


def _enter(library: ctypes.CDLL) -> None:
    global _n_users
    with _lock:
        _n_users += 1
        if _n_users == 1:
            library.mallopt(_M_MMAP_MAX, 0)
            library.mallopt(_M_TRIM_THRESHOLD, _NEVER_TRIM)


def _leave(library: ctypes.CDLL, *, give_back: bool) -> None:
    global _n_users
    with _lock:
        _n_users -= 1
        if _n_users == 0:
            library.mallopt(_M_MMAP_MAX, _USUAL_MMAP_MAX)
            library.mallopt(_M_MMAP_THRESHOLD, _ADJUSTED_MMAP_THRESHOLD)
            library.mallopt(_M_TRIM_THRESHOLD, _ADJUSTED_TRIM_THRESHOLD)
            if give_back:
                library.malloc_trim(0)


def _renew_lock() -> None:
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):  # another thread may hold the lock at the moment of a fork
    os.register_at_fork(after_in_child=_renew_lock)


@cache
def _glibc() -> ctypes.CDLL | None:
    """C library of this process if it is glibc, else None."""
    if platform.system() != "Linux" or platform.libc_ver()[0] != "glibc":
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "mallopt") and hasattr(library, "malloc_trim") else None
