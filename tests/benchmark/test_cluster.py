import os
import signal
import sys
import threading
import time

import pytest

from skasd.benchmark import Suite, run_suite
from skasd.benchmark._results import Results
from skasd.detectors import TWFRDetector

distributed = pytest.importorskip("distributed", reason="Dask is an extra: pip install skasd[distributed]")
pytestmark = [pytest.mark.slow, pytest.mark.network]

DATA = {"fans": {"kind": "synthetic", "machine_types": "fan", "n_train": 8, "duration": 1.0, "random_state": 0}}


class SleepingDetector(TWFRDetector):
    """Takes its time, so that there is some to be killed in."""

    def _fit(self, clips):
        time.sleep(0.3)
        super()._fit(clips)


class FatalDetector(TWFRDetector):
    """Takes the whole process with it."""

    def _fit(self, clips):
        os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture(scope="module")
def cluster():
    """Two processes on this machine, which start again when they die; their names for these tests are those here."""
    options = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
        with distributed.LocalCluster(**options, silence_logs=50) as cluster:
            yield cluster


def columns(table):
    return table[["data", "detector", "seed", "key", "official_score"]].to_json()


def test_a_cluster_gives_the_same_results(cluster, tmp_path):
    suite = Suite("cluster", DATA, {"TWFR": TWFRDetector(), "mean": TWFRDetector(r=1.0)}, seeds=(0, 1))
    there = run_suite(suite, tmp_path / "there", scheduler=cluster.scheduler_address)
    assert columns(there) == columns(run_suite(suite, tmp_path / "here"))


def test_a_worker_that_dies_loses_nothing(cluster, tmp_path):
    suite = Suite("killed", DATA, {"slow": SleepingDetector()}, seeds=tuple(range(12)))
    with distributed.Client(cluster.scheduler_address, set_as_default=False) as client:
        client.wait_for_workers(2)
        pids = list(client.run(os.getpid).values())
    before = []

    def kill_one():
        deadline = time.monotonic() + 60
        while len(Results(tmp_path).rows()) < 3 and time.monotonic() < deadline:
            time.sleep(0.02)
        before.extend(row["key"] for row in Results(tmp_path).rows())
        os.kill(pids[0], signal.SIGKILL)

    killer = threading.Thread(target=kill_one)
    killer.start()
    table = run_suite(suite, tmp_path, scheduler=cluster.scheduler_address)
    killer.join()
    assert table["seed"].tolist() == list(range(12))
    lines = (tmp_path / "results.jsonl").read_text().splitlines()
    assert len(lines) == 12
    assert set(before) <= set(table["key"])


def test_a_task_that_kills_every_worker_is_named(cluster, tmp_path):
    suite = Suite("fatal", DATA, {"fatal": FatalDetector(), "TWFR": TWFRDetector()}, seeds=(0,))
    with pytest.raises(RuntimeError, match=r"1 of 2 tasks failed.*\n.*fatal on fans, seed 0: KilledWorker"):
        run_suite(suite, tmp_path, scheduler=cluster.scheduler_address)
    assert [row["detector"] for row in Results(tmp_path).rows()] == ["TWFR"]
