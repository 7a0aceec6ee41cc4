import threading

import numpy as np
import pytest

from skasd._threads import _thread_pools, one_blas_thread


def n_blas_threads():
    return [pool["num_threads"] for pool in _thread_pools().info() if pool["user_api"] == "blas"]


@pytest.fixture
def two_blas_threads():
    """BLAS libraries on two threads, and the numbers that they then say."""
    with _thread_pools().limit(limits=2, user_api="blas"):
        yield n_blas_threads()


def test_blas_has_one_thread_inside_and_as_many_as_before_outside(two_blas_threads):
    with one_blas_thread():
        assert set(n_blas_threads()) == {1}
        with one_blas_thread():
            pass
        assert set(n_blas_threads()) == {1}
    assert n_blas_threads() == two_blas_threads


def test_an_error_inside_restores_the_number(two_blas_threads):
    with pytest.raises(ZeroDivisionError), one_blas_thread():
        raise ZeroDivisionError
    assert n_blas_threads() == two_blas_threads


def test_eight_threads_that_overlap_leave_the_number_as_it_was(two_blas_threads):
    barrier, seen = threading.Barrier(8), []

    def work(number):
        rng = np.random.default_rng(number)
        for _ in range(20):
            with one_blas_thread():
                barrier.wait(30)  # all are inside now; they leave one after the other
                seen.append(set(n_blas_threads()))
                rng.standard_normal((20, 20)) @ rng.standard_normal((20, 20))
            if number % 2:
                with one_blas_thread():
                    seen.append(set(n_blas_threads()))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(number == {1} for number in seen)
    assert len(seen) == 8 * 20 + 4 * 20
    assert n_blas_threads() == two_blas_threads
