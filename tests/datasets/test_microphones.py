"""Two microphones, passing events and supplemental clips of the synthetic machines."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import signal

from skasd.datasets import make_machine_clips

SAMPLE_RATE = 16_000
NOTHING_ELSE = {"n_test_normal": 0, "n_test_anomaly": 0}
TWO = {"duration": 4.0, "far_db": -10.0, "random_state": 0}


def waveforms(clips, kind=None):
    rows = clips.data if kind is None else clips.data[clips.data["kind"] == kind]
    return np.stack(rows["waveform"].tolist())


def level(waveform):
    """Level of waveforms (..., n_timepoints), in dB."""
    return 10 * np.log10(np.mean(np.square(waveform.astype(float)), axis=-1))


def test_clips_of_one_microphone_are_those_of_before():
    """Numbers of the release before two microphones, to the precision of the FFT of another machine."""
    clips = make_machine_clips(n_train=2, n_test_normal=1, n_test_anomaly=3, duration=1.0, random_state=3)
    assert list(clips.data) == ["waveform", "machine_type", "section", "domain", "attributes", "split"]
    sound = waveforms(clips)
    assert sound.shape == (30, 16_000)
    assert sound[[0, 11, 17, 29], 4321] == pytest.approx([0.0329773, -0.0196528, 0.0060182, -0.0115887], abs=1e-6)


@pytest.mark.parametrize("machine_type", ["fan", "valve"])
def test_the_near_channel_is_the_clip_of_one_microphone(machine_type):
    few = {"n_train": 2, "n_test_normal": 0, "n_test_anomaly": 2, "duration": 0.5, "event_db": 10.0, "random_state": 0}
    two, one = (make_machine_clips(machine_type, **few, far_db=far_db) for far_db in (-10.0, None))
    assert waveforms(two).shape == (4, 2, 8000)
    assert waveforms(two).dtype == np.float32
    assert_array_equal(waveforms(two)[:, 0], waveforms(one))
    assert_array_equal(two.target, one.target)


def test_the_machine_is_weaker_at_the_far_microphone_by_the_stated_level():
    sound = waveforms(make_machine_clips("pump", n_train=6, **NOTHING_ELSE, **TWO, snr_db=np.inf))
    assert level(sound[:, 1]) - level(sound[:, 0]) == pytest.approx(-10.0, abs=2.5)  # the echo colours it


def test_the_machine_comes_later_to_the_far_microphone():
    near, far = waveforms(make_machine_clips("fan", n_train=1, **NOTHING_ELSE, **TWO, snr_db=np.inf))[0].astype(float)
    lag = signal.correlate(far, near).argmax() - (len(near) - 1)
    assert lag == pytest.approx(1.5 / 343 * SAMPLE_RATE, abs=2)


def test_noise_is_as_loud_at_both_microphones_and_coherent_at_low_frequencies_only():
    clips = make_machine_clips("fan", n_train=0, n_noise=8, **NOTHING_ELSE, **TWO)
    near, far = np.moveaxis(waveforms(clips, "supplemental_noise").astype(float), 1, 0)
    assert level(far) - level(near) == pytest.approx(0.0, abs=1.0)
    frequency, of_low, of_high = None, [], []
    for one, other in zip(near, far, strict=True):
        frequency, coherence = signal.coherence(one, other, SAMPLE_RATE, nperseg=2048)
        of_low.append(coherence[(frequency > 20) & (frequency < 40)].mean())
        of_high.append(coherence[frequency > 1000].mean())
    assert np.mean(of_low) > 0.6
    assert np.mean(of_high) < 0.1


def test_events_pass_both_microphones():
    quiet, loud = (
        make_machine_clips("fan", n_train=0, n_noise=10, **NOTHING_ELSE, **TWO, event_db=event_db)
        for event_db in (None, 20.0)
    )
    added = waveforms(loud) - waveforms(quiet)
    of_clip = np.abs(added).max(axis=2) > 0
    assert_array_equal(of_clip[:, 0], of_clip[:, 1])
    assert of_clip[:, 0].sum() >= 5
    both = level(added[of_clip[:, 0]])
    assert both[:, 0] - both[:, 1] == pytest.approx(0.0, abs=4.0)
    peak = np.sort(np.abs(added[:, 0]).max(axis=1) / np.abs(waveforms(quiet)[:, 0]).max(axis=1))
    assert peak[-1] > 3


def test_there_are_no_events_without_background():
    few = {"n_train": 2, **NOTHING_ELSE, "duration": 2.0, "random_state": 0, "snr_db": np.inf}
    with_events, without = (make_machine_clips("fan", **few, event_db=event_db) for event_db in (20.0, None))
    assert_array_equal(waveforms(with_events), waveforms(without))


def test_supplemental_clips_are_marked_as_those_of_dcase():
    clips = make_machine_clips(("fan", "valve"), n_train=2, n_noise=3, n_clean=4, duration=0.5, random_state=0)
    supplemental = clips.data["split"] == "supplemental"
    assert_array_equal(clips.target == 0, supplemental)
    assert clips.data.groupby(["machine_type", "kind"]).size().to_dict() == {
        (machine, kind): n
        for machine in ("fan", "valve")
        for kind, n in {"clip": 22, "supplemental_noise": 3, "supplemental_machine": 4}.items()
    }
    assert (clips.data["kind"].ne("clip") == supplemental).all()
    assert clips.data["attributes"].isna().to_list() == clips.data["kind"].eq("supplemental_noise").to_list()
    assert "14" in clips.DESCR.splitlines()[-1]


def test_supplemental_clips_change_no_other_clip():
    few = {"n_train": 2, "duration": 0.5, "random_state": 0}
    with_them, without = (make_machine_clips("fan", **few, n_noise=n, n_clean=n) for n in (3, 0))
    kept = with_them.data["kind"] == "clip"
    assert_array_equal(waveforms(with_them)[kept], waveforms(without))
    assert list(without.data) == list(with_them.data.drop(columns="kind"))


def test_noise_holds_no_machine_and_clean_clips_no_noise():
    few = {"n_train": 0, **NOTHING_ELSE, "duration": 2.0, "duty_cycle": 0.2, "random_state": 0}
    clips = make_machine_clips("fan", **few, n_noise=4, n_clean=4)
    assert np.mean(waveforms(clips, "supplemental_machine") == 0) == pytest.approx(0.8, abs=0.01)
    steady = level(waveforms(clips, "supplemental_noise").reshape(4, 8, -1))
    assert steady.std(axis=1).max() < 2


def test_the_noise_of_another_day_is_louder_in_the_test_clips():
    few = {"n_train": 8, "n_test_normal": 8, "n_test_anomaly": 0, "duty_cycle": 0.5, "random_state": 0}
    clean, same, louder = (waveforms(make_machine_clips("fan", **few, snr_db=snr)) for snr in (np.inf, 6.0, (6.0, 0.0)))
    assert_array_equal(louder[:8], same[:8])
    rise = level(louder[8:] - clean[8:]) - level(same[8:] - clean[8:])
    assert rise == pytest.approx(6.0, abs=0.01)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"far_db": "far"}, r"far_db='far': expected a finite number"),
        ({"event_db": np.nan}, r"event_db=nan: expected a finite number"),
        ({"n_noise": -1}, r"n_noise=-1: expected an integer of at least 0"),
        ({"n_clean": 1.5}, r"n_clean=1.5: expected an integer"),
        ({"snr_db": (0.0, 1.0, 2.0)}, r"snr_db=\(0.0, 1.0, 2.0\): expected a number, or two"),
    ],
)
def test_bad_parameters_are_named(parameters, message):
    with pytest.raises(ValueError, match=message):
        make_machine_clips("fan", **parameters)
