import os
import platform
import threading
from pathlib import Path

import numpy as np
import pytest

from skasd.training import _memory, reused_memory

MEBIBYTE = 2**20
needs_glibc = pytest.mark.skipif(_memory._glibc() is None, reason="the C library is not glibc")


def resident_bytes():
    statm = Path("/proc/self/statm")
    if not statm.is_file():
        pytest.skip("no /proc/self/statm to read the size of the process from")
    return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def use_and_free(n_blocks=16):
    """Many blocks at once, of which none is kept."""
    blocks = [np.ones(8 * MEBIBYTE // 8) for _ in range(n_blocks)]
    return sum(block[-1] for block in blocks)


@pytest.fixture
def other_library(monkeypatch):
    """A system whose C library is not glibc."""
    monkeypatch.setattr(platform, "libc_ver", lambda *args, **kwargs: ("musl", "1.2"))
    _memory._glibc.cache_clear()
    yield
    monkeypatch.undo()
    _memory._glibc.cache_clear()


@needs_glibc
def test_blocks_may_be_nested():
    with reused_memory():
        with reused_memory():
            assert _memory._n_users == 2
        assert _memory._n_users == 1
    assert _memory._n_users == 0


@needs_glibc
def test_an_error_leaves_no_user_behind():
    with pytest.raises(ZeroDivisionError), reused_memory():
        raise ZeroDivisionError
    assert _memory._n_users == 0


@needs_glibc
def test_threads_share_the_settings():
    entered, may_leave = threading.Barrier(5), threading.Event()

    def work():
        with reused_memory():
            entered.wait(timeout=10)
            may_leave.wait(timeout=10)
            use_and_free(2)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    entered.wait(timeout=10)
    n_users = _memory._n_users
    may_leave.set()
    for thread in threads:
        thread.join()
    assert (n_users, _memory._n_users) == (4, 0)


def test_the_environment_switches_it_off(monkeypatch):
    monkeypatch.setenv("SKASD_REUSE_MEMORY", "0")
    with reused_memory():
        assert _memory._n_users == 0


@needs_glibc
def test_a_change_of_the_environment_within_a_block_does_no_harm(monkeypatch):
    with reused_memory():
        monkeypatch.setenv("SKASD_REUSE_MEMORY", "0")
    assert _memory._n_users == 0


@pytest.mark.usefixtures("other_library")
def test_other_c_libraries_are_left_alone():
    with reused_memory():
        assert _memory._n_users == 0


@needs_glibc
def test_memory_is_kept_within_the_block_and_goes_back_to_the_system_afterwards():
    before = resident_bytes()
    with reused_memory():
        use_and_free()
        within = resident_bytes()
    after = resident_bytes()
    assert within - before > 100 * MEBIBYTE
    assert after - before < 32 * MEBIBYTE


@needs_glibc
def test_memory_goes_back_to_the_system_as_usual_after_the_block():
    with reused_memory():
        pass
    before = resident_bytes()
    use_and_free()
    assert resident_bytes() - before < 80 * MEBIBYTE
