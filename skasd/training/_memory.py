"""Keep the memory of activations between the steps of a training, instead of asking the system for it each time.

The C library of most Linux systems (glibc) maps large blocks anew for each allocation and hands them back when they are
freed. A network's activations are such blocks, and the system clears each page of them again at every step: on two cores
that costs more time than the arithmetic. Inside of `reused_memory` large blocks come from a heap that grows and is kept.
Other C libraries (musl, macOS, Windows) are left as they are; so is glibc with ``SKASD_REUSE_MEMORY=0`` in the
environment.
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
# Where glibc ends up by itself in a program that frees large blocks; to set any of them stops its adjusting.
_ADJUSTED_MMAP_THRESHOLD, _ADJUSTED_TRIM_THRESHOLD = 32 * _MEBIBYTE, 64 * _MEBIBYTE

_lock = threading.Lock()
_n_users = 0


@contextmanager
def reused_memory(*, give_back: bool = True) -> Iterator[None]:
    """Let freed memory be used again while the block runs.

    May be nested, and used in several threads at once. The settings are those of the whole process.

    Parameters
    ----------
    give_back : bool, default=True
        Whether what is free then goes back to the system at the end. Short blocks that come again and again are faster
        without; the C library gives back what it has too much of by its own rules.
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


@cache
def _glibc() -> ctypes.CDLL | None:
    """The C library of this process if it is glibc."""
    if platform.system() != "Linux" or platform.libc_ver()[0] != "glibc":
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "mallopt") and hasattr(library, "malloc_trim") else None
