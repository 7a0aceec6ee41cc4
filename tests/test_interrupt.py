"""Ctrl-C during a fit: an attribute of the detector, no result of a suite, and exit status 130 of a command."""

import dataclasses
import os
import signal
import subprocess
import sys
import threading
import time

import joblib
import numpy as np
import pytest
import soundfile
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.pipeline import make_pipeline

from skasd._interrupt import interrupts_end_fits, note_interrupt, noted_interrupts, was_interrupted
from skasd.benchmark import Suite, run_suite
from skasd.benchmark._results import Results
from skasd.detectors import AutoencoderDetector, EnsembleDetector, TWFRDetector
from skasd.features import LogMelTransformer
from skasd.training import TrainingOptions
from tests.training.tiny import BreakOff

FANS = {"kind": "synthetic", "machine_types": ["fan"], "n_train": 6, "duration": 0.5, "random_state": 0}


def cut_off(epoch=3):
    """An autoencoder whose training gets a Ctrl-C in an epoch."""
    return AutoencoderDetector(max_epochs=5, n_jobs=1, training=TrainingOptions(callbacks=[BreakOff(epoch)]))


@pytest.fixture(scope="module")
def clips():
    return np.random.default_rng(0).standard_normal((6, 4000))


def test_an_interrupted_fit_says_so(clips):
    with pytest.warns(UserWarning, match="interrupted in epoch 3 of 5"):
        detector = cut_off().fit(clips)
    assert detector.interrupted_ is True
    assert np.isfinite(detector.score_samples(clips)).all()
    assert detector.set_params(training=None).fit(clips).interrupted_ is False


def test_a_detector_without_a_training_is_not_interrupted(clips):
    assert TWFRDetector(n_jobs=1).fit(clips).interrupted_ is False


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_an_ensemble_says_that_a_member_was_interrupted(clips, n_jobs):
    members = [("whole", TWFRDetector(n_jobs=1)), ("cut", cut_off())]
    with joblib.parallel_config(backend="threading"), pytest.warns(UserWarning, match="interrupted"):
        ensemble = EnsembleDetector(members, n_jobs=n_jobs).fit(clips)
    assert ensemble.interrupted_ is True
    assert [member.interrupted_ for member in ensemble.estimators_] == [False, True]


def test_a_step_of_a_pipeline_may_have_been_interrupted(clips):
    with pytest.warns(UserWarning, match="interrupted"):
        pipeline = make_pipeline(LogMelTransformer(n_jobs=1), cut_off()).fit(clips)
    assert was_interrupted(pipeline)
    assert not was_interrupted(make_pipeline(LogMelTransformer(), TWFRDetector()).fit(clips))


def test_what_is_noted_inside_is_noted_outside_too():
    with noted_interrupts() as outer:
        with noted_interrupts() as inner:
            note_interrupt("first")
        note_interrupt("second")
    assert (inner, outer) == (["first"], ["first", "second"])


def test_threads_do_not_note_the_interrupts_of_others():
    with noted_interrupts() as noted:
        thread = threading.Thread(target=note_interrupt, args=("elsewhere",))
        thread.start()
        thread.join(timeout=60)
    assert noted == []


def test_a_fit_that_is_to_end_raises(clips):
    with pytest.raises(KeyboardInterrupt, match="interrupted in epoch 3 of 5"), interrupts_end_fits():
        cut_off().fit(clips)


def test_a_signal_that_was_caught_inside_is_raised_at_the_end():
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), interrupts_end_fits():
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            caught = True
    assert caught
    assert signal.getsignal(signal.SIGINT) is handler


class KeepingDetector(OutlierMixin, BaseEstimator):
    """A detector of a user that keeps its state and only says so."""

    def fit(self, X, y=None):
        self.interrupted_ = True
        return self

    def score_samples(self, X):
        return np.arange(len(X), dtype=float)


@pytest.mark.parametrize("detector", [cut_off(), cut_off(1), KeepingDetector()], ids=["later", "first", "own"])
@pytest.mark.parametrize("proxies", [None, {"kinds": ["clicks"], "folds": 2}], ids=["plain", "folds"])
def test_an_interrupted_task_of_a_suite_is_not_finished(tmp_path, detector, proxies):
    data = {"fans": {**FANS, "proxies": proxies} if proxies else FANS}
    suite = Suite("two", data, {"whole": TWFRDetector(), "cut": detector, "next": TWFRDetector(r=1.0)}, seeds=(0,))
    with pytest.raises(
        KeyboardInterrupt, match=r"1 of 3 tasks are finished and kept in .* the same call runs the others"
    ):
        run_suite(suite, tmp_path)
    assert [row["detector"] for row in Results(tmp_path).rows()] == ["whole"]
    assert not (tmp_path / "errors.jsonl").exists()
    whole = dataclasses.replace(suite, detectors={**suite.detectors, "cut": AutoencoderDetector(max_epochs=2)})
    assert len(run_suite(whole, tmp_path)) == 3


SUITE = """
import time
from skorch.callbacks import Callback
from skasd.benchmark import Suite
from skasd.detectors import AutoencoderDetector, TWFRDetector
from skasd.training import TrainingOptions

class Wait(Callback):
    def on_batch_end(self, net, training=False, **kwargs):
        if len(net.history) == 2:
            open("waiting", "w").close()
            time.sleep(60)

FANS = dict(kind="synthetic", machine_types=["fan"], n_train=6, duration=0.5, random_state=0)
slow = AutoencoderDetector(max_epochs=4, training=TrainingOptions(callbacks=[Wait()]))
suite = Suite("mine", {"fans": FANS}, {"quick": TWFRDetector(), "slow": slow, "next": TWFRDetector(r=1.0)}, seeds=(0,))
"""


def interrupted_process(code, arguments, cwd, is_ready=lambda: True):
    """Run code with the command line in a process group of its own, and send it Ctrl-C once it waits, as a terminal does."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    child = subprocess.Popen(
        command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        deadline = time.monotonic() + 300
        while not ((cwd / "waiting").exists() and is_ready()) and child.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        assert child.poll() is None, child.communicate()
        os.killpg(child.pid, signal.SIGINT)
        said, told = child.communicate(timeout=120)
    finally:
        child.kill()
    return child.returncode, said, told


RUN = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have had it ignored
from skasd.cli import main
main()
"""
WAIT = """
import time
from skasd.detectors import StatisticsDetector
def wait(self, clips):
    open("waiting", "w").close()
    time.sleep(60)
StatisticsDetector._fit = wait
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="process groups are those of POSIX")
@pytest.mark.parametrize("jobs", [1, 2])
def test_control_c_ends_a_suite_with_status_130(tmp_path, jobs):
    (tmp_path / "mine.py").write_text(SUITE)

    def is_quick_done():
        return "quick" in [row["detector"] for row in Results(tmp_path / "results").rows()]

    status, said, told = interrupted_process(
        RUN, ["benchmark", "mine.py", "--out", "results", "--jobs", jobs], tmp_path, is_quick_done
    )
    assert status == 130, told
    assert said == ""
    assert any(line.startswith("skasd: The suite was interrupted; ") for line in told.splitlines())
    assert "Traceback" not in told
    rows = Results(tmp_path / "results").rows()
    assert "slow" not in [row["detector"] for row in rows]
    assert "quick" in [row["detector"] for row in rows]
    assert not (tmp_path / "results" / "errors.jsonl").exists()


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="process groups are those of POSIX")
def test_control_c_ends_a_score_with_status_130(tmp_path):
    rng = np.random.default_rng(0)
    (tmp_path / "normal").mkdir()
    for index in range(4):
        soundfile.write(tmp_path / "normal" / f"{index}.wav", 0.1 * rng.standard_normal(4000), 16000)
    status, said, told = interrupted_process(
        WAIT + RUN, ["score", "normal", "--train", "normal", "--csv", "out.csv"], tmp_path
    )
    assert (status, said) == (130, "")
    assert told.strip() == "skasd: interrupted"
    assert not (tmp_path / "out.csv").exists()
