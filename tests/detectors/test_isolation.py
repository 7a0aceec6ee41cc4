"""Detectors depend on nothing that a caller, another thread or an earlier fit has left, once for all of them."""

import copy
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np
import pytest
import torch

from skasd.datasets import make_machine_clips
from tests.detectors.cases import CASES, each


@pytest.fixture(scope="module")
def train():
    clips = make_machine_clips(
        ("fan", "pump"), n_train=6, n_test_normal=0, n_test_anomaly=0, duration=0.5, random_state=0
    )
    return clips.data


@pytest.fixture(scope="module")
def usual(train):
    """A fitted copy of the detector of a case, and its scores of the training clips; fitted once for all tests."""

    @cache
    def of(name):
        case = next(case for case in CASES if case.name == name)
        detector = case.new(random_state=3, n_jobs=1).fit(train)
        return detector, detector.score_samples(train)

    def fitted(case):
        detector, scores = of(case.name)
        return copy.deepcopy(detector), scores

    return fitted


def scores(case, train):
    return case.new(random_state=3, n_jobs=1).fit(train).score_samples(train)


def global_states():
    return torch.get_rng_state().tolist(), np.random.get_state()[1].tolist()  # noqa: NPY002


@each(slow_checks=True)
def test_eight_threads_that_fit_at_once_give_the_scores_of_one(case, train, usual):
    (_, alone), barrier, before = usual(case), threading.Barrier(8), global_states()

    def fit(_):
        barrier.wait(60)
        return scores(case, train)

    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(fit, range(8)))
    for other in together:
        np.testing.assert_array_equal(other, alone)
    assert global_states() == before


@each(slow_checks=True)
def test_eight_threads_that_score_at_once_give_the_scores_of_one(case, train, usual):
    fitted, alone = usual(case)
    with ThreadPoolExecutor(8) as pool:
        for other in pool.map(lambda _: fitted.score_samples(train), range(8)):
            np.testing.assert_array_equal(other, alone)


CALLERS = {
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "default device": lambda: torch.device("meta"),
}


@each("trains", slow_checks=True)
@pytest.mark.parametrize("caller", CALLERS.values(), ids=CALLERS)
def test_what_a_caller_has_set_changes_no_score(case, train, usual, caller):
    _, alone = usual(case)
    with caller():
        np.testing.assert_array_equal(scores(case, train), alone)


@each("trains", slow_checks=True)
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16], ids=str)
def test_the_default_data_type_changes_no_score(case, train, usual, dtype):
    (_, alone), before = usual(case), torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        np.testing.assert_array_equal(scores(case, train), alone)
    finally:
        torch.set_default_dtype(before)


@each(slow_checks=True)
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_fit_that_fails_leaves_the_old_model_whole(case, train, usual, error, monkeypatch):
    def fails(*arguments):
        raise error("at the very end")

    detector = case.new(n_jobs=1)
    with monkeypatch.context() as patch, pytest.raises(error, match="at the very end"):
        patch.setattr(type(detector), "_learn_threshold", fails)
        detector.fit(train)
    assert set(vars(detector)) == set(vars(case.new()))  # not fitted, no n_features_in_
    detector, before = usual(case)
    offset = detector.offset_
    with monkeypatch.context() as patch, pytest.raises(error, match="at the very end"):
        patch.setattr(type(detector), "_learn_threshold", fails)
        detector.fit(train[train.machine_type == "fan"])
    np.testing.assert_array_equal(detector.score_samples(train), before)
    assert detector.offset_ == offset


@each("trains", slow_checks=True)
def test_groups_of_parameters_changed_after_fit_change_no_score(case, train, usual):
    detector, before = usual(case)
    for name, kind in detector._parameter_groups.items():
        group = getattr(detector, name) or kind()
        for inner, value in group.get_params().items():
            if isinstance(value, bool):
                setattr(group, inner, not value)
    np.testing.assert_array_equal(detector.score_samples(train), before)
