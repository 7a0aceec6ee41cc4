import numpy as np
import pytest

from skasd.clips import Recordings
from skasd.training import TrainingOptions, TrainingPlan
from skasd.training._hold_out import held_out_clips

NETWORK = {"max_epochs": 5, "batch_size": 4, "learning_rate": 0.1, "device": "cpu", "verbose": 0}


def held_out(label, recording=None, machine=None, seed=0, **fractions):
    n = len(label)
    recording = np.arange(n) if recording is None else recording
    machine = np.full(n, "") if machine is None else machine
    plan = TrainingPlan(**{"calibration_fraction": "auto"} | fractions)
    return held_out_clips(np.asarray(label), plan, Recordings(recording, machine), seed)


@pytest.mark.parametrize(
    ("n_clips", "expected"), [(2, 0), (9, 0), (10, 2), (20, 5), (36, 9), (90, 9), (100, 10), (1000, 100)]
)
def test_usually_a_tenth_is_held_out_and_at_least_nine_of_enough(n_clips, expected):
    assert len(held_out(np.zeros(n_clips, int))) == expected


def test_each_machine_gives_its_share():
    machine = np.repeat(["a", "b", "c"], [100, 200, 2])
    out = held_out(np.zeros(302, int), machine=machine)
    assert dict(zip(*np.unique(machine[out], return_counts=True), strict=True)) == {"a": 10, "b": 20}


def test_no_class_loses_its_only_clip():
    label = np.r_[np.arange(30), np.zeros(20, int)]
    out = held_out(label)
    assert len(out) == 9
    assert len(np.unique(np.delete(label, out))) == 30


def test_classes_of_one_clip_each_leave_none_to_hold_out():
    assert len(held_out(np.arange(40))) == 0


@pytest.mark.parametrize("fraction", [{"validation_fraction": 0.25, "calibration_fraction": 0.0}, {}], ids=str)
def test_clips_of_one_recording_stay_together(fraction):
    recording = np.random.default_rng(0).permutation(np.repeat(np.arange(50), 4))
    label = np.arange(200) % 2
    out = held_out(label, recording, **fraction)
    assert 0 < len(out) < 150
    assert not set(recording[out]) & set(np.delete(recording, out))


def test_as_many_recordings_are_held_out_as_the_threshold_takes():
    recording = np.repeat(np.arange(40), 3)
    assert len(np.unique(recording[held_out(np.zeros(120, int), recording)])) == 9


def test_a_recording_of_most_clips_is_learnt():
    recording = np.r_[np.zeros(60, int), np.arange(1, 41)]
    assert 0 not in recording[held_out(np.zeros(100, int), recording)]


def test_a_validation_set_replaces_the_clips_for_the_threshold():
    assert len(held_out(np.zeros(100, int), validation_fraction=0.3)) == 30


def test_zero_trains_on_all_clips():
    assert len(held_out(np.zeros(100, int), calibration_fraction=0.0)) == 0


def test_a_fraction_that_holds_out_nothing_is_refused():
    with pytest.raises(ValueError, match=r"calibration_fraction=0\.01 holds out none of the 20 clips"):
        held_out(np.zeros(20, int), calibration_fraction=0.01)


def test_the_choice_depends_on_the_seed_only():
    chosen = [held_out(np.zeros(100, int), seed=seed).tolist() for seed in (0, 0, 1)]
    assert chosen[0] == chosen[1] != chosen[2]


@pytest.mark.parametrize("fraction", [0, 0.1])
def test_two_fractions_are_refused(fraction):
    options = TrainingOptions(validation_fraction=0.2, calibration_fraction=fraction)
    with pytest.raises(ValueError, match=r"calibration_fraction=.* has no effect with validation_fraction=0\.2"):
        options.plan(usual={}, **NETWORK)


@pytest.mark.parametrize(("fraction", "error"), [(0.7, ValueError), (-0.1, ValueError), ("some", TypeError)])
def test_a_fraction_out_of_range_is_refused(fraction, error):
    with pytest.raises(error, match="calibration_fraction"):
        TrainingOptions(calibration_fraction=fraction).plan(usual={}, **NETWORK)
