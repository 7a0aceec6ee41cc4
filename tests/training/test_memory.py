import os
import platform
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from skasd.training import _memory
from skasd.training._memory import reused_memory

MEBIBYTE = 2**20
needs_glibc = pytest.mark.skipif(_memory._glibc() is None, reason="the C library is not glibc")


def use_and_free(n_blocks=16):
    """Many blocks at once, of which none is kept."""
    blocks = [bytes(8 * MEBIBYTE) for _ in range(n_blocks)]
    return sum(block[-1] for block in blocks)


# the file by itself: the package around it imports torch
IN_A_NEW_PROCESS = """
import os
import runpy
import sys
from pathlib import Path

reused_memory = runpy.run_path(sys.argv[1])["reused_memory"]

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 2**20

def use_and_free():
    blocks = [bytearray(b"x") * (8 * 2**20) for _ in range(16)]

"""


def printed(code):
    """Numbers that a new process prints: what this one has done before decides what its heap can give back."""
    if not Path("/proc/self/statm").is_file():
        pytest.skip("no /proc/self/statm to read the size of the process from")
    environment = {name: value for name, value in os.environ.items() if name != "SKASD_REUSE_MEMORY"}
    command = [sys.executable, "-c", IN_A_NEW_PROCESS + code, _memory.__file__]
    run = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return [int(number) for number in run.stdout.split()]


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
    before, within, after = printed("""
print(resident())
with reused_memory():
    use_and_free()
    print(resident())
print(resident())
""")
    assert within - before > 100  # MiB, of 128
    assert after - before < 32


@needs_glibc
def test_memory_goes_back_to_the_system_as_usual_after_the_block():
    before, after = printed("""
with reused_memory():
    pass
print(resident())
use_and_free()
print(resident())
""")
    assert after - before < 80  # MiB, of 128: what is kept is the threshold of 64
