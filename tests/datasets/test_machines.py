import re
from functools import cache

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from scipy import fft, signal
from sklearn.metrics import roc_auc_score

from skasd.datasets import make_machine_clips
from skasd.datasets._synthetic._parts import MACHINES, make_machine

SAMPLE_RATE = 16_000
KINDS = [(machine_type, kind) for machine_type in MACHINES for kind in MACHINES[machine_type].faults]


def waveforms(clips, rows=slice(None)):
    return np.stack(clips.data["waveform"].tolist())[rows]


def anomalies(machine_type, kind, severity, n=1, **parameters):
    """Anomalous clips alone; the same for every severity but for the fault."""
    clips = make_machine_clips(
        machine_type, n_train=0, n_test_normal=0, n_test_anomaly=n, anomalies=(kind,), severity=severity,
        **{"random_state": 0, "duration": 4.0, **parameters},
    )  # fmt: skip
    return clips.data, waveforms(clips)


def added_sound(machine_type, kind, severity=1.0, **parameters):
    """What a fault adds to a clip: its operating state and the difference to the healthy clip."""
    data, faulty = anomalies(machine_type, kind, severity, **parameters)
    _, healthy = anomalies(machine_type, kind, 0.0, **parameters)
    return data, (faulty - healthy).astype(float)


def speed(data, row=0):
    """Turns per second, from the attributes."""
    return float(re.match(r"speed_(\d+)_", data["attributes"].iloc[row])[1])


def spectrum(waveform):
    power = np.square(np.abs(np.fft.rfft(waveform * np.hanning(len(waveform)))))
    return np.fft.rfftfreq(len(waveform), 1 / SAMPLE_RATE), power / power.sum()


def band_levels(waveform, n_fft=1024, n_bands=48):
    """Level in dB of bands that are evenly spaced in log-frequency: (n_frames, n_bands)."""
    frames = np.lib.stride_tricks.sliding_window_view(waveform, n_fft)[:: n_fft // 2]
    power = np.square(np.abs(fft.rfft(frames * np.hanning(n_fft).astype(np.float32), axis=1)))
    edges = np.geomspace(40.0, 8000.0, n_bands + 1)
    centre, width = np.sqrt(edges[1:] * edges[:-1]), np.maximum(np.diff(edges), 30.0)
    frequency = fft.rfftfreq(n_fft, 1 / SAMPLE_RATE)
    weight = np.maximum(0.0, 1.0 - np.abs(frequency[:, None] - centre) / width)
    return 10 * np.log10(power @ weight.astype(np.float32) + 1e-12)


def pooled(waveform, r):
    """Time-weighted pooling: the mean over frames for r = 1, mostly the loudest frames for small r."""
    levels = -np.sort(-band_levels(waveform), axis=0)
    weight = r ** np.arange(len(levels))
    return weight @ levels / weight.sum()


def novelty(features, train):
    """Mahalanobis distance of the test clips to the training clips."""
    covariance = np.cov(features[train].T) + 0.1 * np.eye(features.shape[1])
    difference = features[~train] - features[train].mean(axis=0)
    return np.einsum("ij,ji->i", difference, np.linalg.solve(covariance, difference.T))


@cache
def novelty_auc(machine_type, severity=1.0):
    """AUC for each pooling weight r."""
    clips = make_machine_clips(
        machine_type, n_train=40, n_test_normal=40, n_test_anomaly=40, duration=2.0, severity=severity, random_state=1
    )
    train = (clips.data["split"] == "train").to_numpy()
    levels = [-np.sort(-band_levels(waveform), axis=0) for waveform in waveforms(clips)]
    found = {}
    for r in (1.0, 0.9, 0.5):
        weight = r ** np.arange(len(levels[0]))
        features = np.array([weight @ level for level in levels]) / weight.sum()
        found[r] = roc_auc_score(clips.target[~train] == -1, novelty(features, train))
    return found


def n_events(waveform):
    """Stretches of sound, apart from each other by 20 ms or more."""
    level = np.max(np.abs(waveform[: len(waveform) // 320 * 320].reshape(-1, 320)), axis=1) > 1e-4
    return np.sum(level & ~np.roll(level, 1))


def test_counts_per_machine_type_and_section():
    clips = make_machine_clips(("fan", "valve"), n_sections=3, n_train=4, n_test_normal=2, n_test_anomaly=3)
    groups = clips.data.assign(target=clips.target).groupby(["machine_type", "section", "split", "target"]).size()
    assert groups.loc[:, :, "train", 1].eq(4).all()
    assert groups.loc[:, :, "test", 1].eq(2).all()
    assert groups.loc[:, :, "test", -1].eq(3).all()
    assert len(groups) == 2 * 3 * 3
    assert sorted(clips.data["section"].unique()) == ["00", "01", "02"]


@pytest.mark.parametrize("machine_type", MACHINES)
def test_waveforms_are_float32_within_full_scale(machine_type):
    clips = make_machine_clips(machine_type, n_sections=2, n_train=10, severity=2.0, random_state=0)
    assert all(waveform.dtype == np.float32 and waveform.shape == (32_000,) for waveform in clips.data["waveform"])
    assert np.all(np.isfinite(waveforms(clips)))
    assert 0.01 < np.max(np.abs(waveforms(clips))) < 1.0


def test_clip_table_and_labels():
    clips = make_machine_clips(n_train=2, n_test_normal=1, n_test_anomaly=2, random_state=0)
    assert isinstance(clips.data, pd.DataFrame)
    assert list(clips.data) == ["waveform", "machine_type", "section", "domain", "attributes", "split"]
    assert_array_equal(clips.target == -1, clips.anomaly_kind != "")
    assert np.all(clips.target[clips.data["split"] == "train"] == 1)
    assert "10 anomalous clips of 2 s at 16000 Hz" in clips.DESCR
    assert clips.data["attributes"].str.fullmatch(r"[a-z]+_\d+_[a-z]+_[\d.]+").all()


def test_return_x_y_is_the_table_and_the_labels():
    parameters = {"machine_types": "fan", "n_train": 2, "random_state": 0}
    clips, (X, y) = make_machine_clips(**parameters), make_machine_clips(**parameters, return_X_y=True)
    pd.testing.assert_frame_equal(X, clips.data)
    assert_array_equal(y, clips.target)


def test_same_seed_same_clips_another_seed_others():
    first, again, other = (make_machine_clips(n_train=1, duration=0.5, random_state=seed) for seed in (3, 3, 4))
    assert_array_equal(waveforms(first), waveforms(again))
    assert not np.any(np.all(waveforms(first) == waveforms(other), axis=1))


def test_random_state_instance_advances_and_none_differs():
    few = {"machine_types": "fan", "n_train": 1, "n_test_normal": 0, "n_test_anomaly": 0, "duration": 0.5}
    state = np.random.RandomState(0)
    one, two = (waveforms(make_machine_clips(**few, random_state=state)) for _ in range(2))
    assert_array_equal(one, waveforms(make_machine_clips(**few, random_state=np.random.RandomState(0))))
    assert not np.array_equal(one, two)
    assert not np.array_equal(*(waveforms(make_machine_clips(**few)) for _ in range(2)))


@pytest.mark.parametrize("random_state", [None, 0])
def test_global_random_numbers_are_untouched(random_state):
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    make_machine_clips(n_train=1, duration=0.5, random_state=random_state)
    assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_a_clip_does_not_change_when_more_are_asked_for():
    few = make_machine_clips("slider", n_train=2, n_test_normal=1, n_test_anomaly=2, duration=0.5, random_state=0)
    more = make_machine_clips(
        ("pump", "slider"), n_sections=2, n_train=3, n_test_normal=4, n_test_anomaly=7, duration=0.5, random_state=0
    )
    slider = ((more.data["machine_type"] == "slider") & (more.data["section"] == "00")).to_numpy()
    same = np.flatnonzero(slider)[[0, 1, 3, 7, 8]]
    assert_array_equal(waveforms(few), waveforms(more, same))
    assert_array_equal(few.anomaly_kind, more.anomaly_kind[same])


def test_clips_of_one_call_differ_from_each_other():
    sound = waveforms(make_machine_clips(duration=0.5, random_state=0))
    assert len(np.unique(sound, axis=0)) == len(sound)


@pytest.mark.parametrize(("machine_type", "kind"), KINDS)
def test_severity_zero_is_the_healthy_clip(machine_type, kind):
    _, healthy = anomalies(machine_type, kind, 0.0, duration=0.5)
    other = next(name for name in MACHINES[machine_type].faults if name != kind)
    assert_array_equal(healthy, anomalies(machine_type, other, 0.0, duration=0.5)[1])
    assert not np.array_equal(healthy, anomalies(machine_type, kind, 5.0, duration=0.5)[1])


@pytest.mark.parametrize("machine_type", ["fan", "valve"])
def test_the_larger_the_severity_the_easier(machine_type):
    nothing, weak, strong = (novelty_auc(machine_type, severity)[0.9] for severity in (0.0, 1.0, 4.0))
    assert 0.3 < nothing < 0.7
    assert weak > nothing + 0.1
    assert strong > max(weak, 0.9)


@pytest.mark.parametrize(("machine_type", "kind"), KINDS)
def test_a_fault_grows_with_severity(machine_type, kind):
    energy = [np.sum(added_sound(machine_type, kind, s, duration=6.0)[1] ** 2) for s in (0.0, 0.5, 1.0, 3.0)]
    assert energy[0] == 0.0
    assert energy[0] < energy[1] < energy[2] < energy[3]


@pytest.mark.parametrize("machine_type", ["fan", "pump", "gearbox", "compressor"])
def test_bearing_impacts_come_at_their_rate(machine_type):
    data, (impacts,) = added_sound(machine_type, "bearing")
    frequency, power = spectrum(np.abs(signal.hilbert(impacts)) - np.mean(np.abs(signal.hilbert(impacts))))
    rate = make_machine(machine_type, 0).bearing_order * speed(data)
    near = (frequency > 0.7 * rate) & (frequency < 1.5 * rate)
    assert frequency[near][np.argmax(power[near])] == pytest.approx(rate, rel=0.03)


@pytest.mark.parametrize("machine_type", ["fan", "pump", "slider", "gearbox", "compressor"])
def test_bearing_impacts_excite_a_resonance(machine_type):
    _, (impacts,) = added_sound(machine_type, "bearing")
    frequency, power = spectrum(impacts)
    centre = make_machine(machine_type, 0).bearing_centre
    assert np.sum(frequency * power) == pytest.approx(centre, rel=0.15)


@pytest.mark.parametrize("machine_type", ["fan", "pump", "gearbox", "compressor"])
def test_imbalance_is_a_tone_at_one_turn(machine_type):
    data, (added,) = added_sound(machine_type, "imbalance")
    frequency, power = spectrum(added)
    low = frequency < 3 * speed(data)
    assert frequency[np.argmax(power)] == pytest.approx(speed(data), abs=0.5)
    assert power[low].sum() > 0.3  # the rest are side bands of what the machine sounds like


def test_imbalance_modulates_what_the_machine_sounds_like():
    data, (sound,) = anomalies("fan", "imbalance", 1.0)
    _, (healthy,) = anomalies("fan", "imbalance", 0.0)
    high_pass = signal.butter(4, 1000.0, "high", fs=SAMPLE_RATE, output="sos")

    def modulation(waveform):
        loudness = np.square(signal.sosfilt(high_pass, waveform))
        frequency, power = spectrum(loudness - loudness.mean())
        return power[np.abs(frequency - speed(data)) < 1.0].sum()

    assert modulation(sound) > 3 * modulation(healthy)


@pytest.mark.parametrize("machine_type", ["pump", "valve", "compressor"])
def test_a_leak_is_noise_in_a_band(machine_type):
    _, (hiss,) = added_sound(machine_type, "leak")
    frequency, power = spectrum(hiss)
    assert power[(frequency > 1500) & (frequency < 8000)].sum() > 0.98
    assert power.max() < 0.01


@pytest.mark.parametrize("machine_type", ["fan", "slider", "valve", "gearbox"])
def test_squeal_is_a_narrow_line(machine_type):
    _, (added,) = added_sound(machine_type, "squeal")
    frequency, power = spectrum(added)
    line = frequency[np.argmax(power)]
    assert 1000 < line < 3300
    assert power[np.abs(frequency / line - 1) < 0.1].sum() > 0.75


@pytest.mark.parametrize("machine_type", ["slider", "valve"])
def test_missing_strokes_lower_the_number_of_events(machine_type):
    def counts(severity):
        _, sound = anomalies(machine_type, "missing", severity, n=10, duration=6.0, snr_db=np.inf, duty_cycle=0.1)
        return np.array([n_events(waveform) for waveform in sound])

    complete, incomplete = counts(0.0), counts(1.0)
    assert np.all(incomplete < complete)
    assert np.mean(incomplete / complete) == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("machine_type", MACHINES)
def test_sections_can_be_told_apart(machine_type):
    clips = make_machine_clips(machine_type, n_sections=3, n_test_anomaly=0, random_state=0)
    features = np.array([pooled(waveform, 0.9) for waveform in waveforms(clips)])
    features -= features.mean(axis=1, keepdims=True)
    section, train = clips.data["section"].to_numpy(str), (clips.data["split"] == "train").to_numpy()
    names = np.unique(section)
    centres = np.array([features[train & (section == name)].mean(axis=0) for name in names])
    nearest = np.argmin(np.linalg.norm(features[~train, None] - centres, axis=2), axis=1)
    assert np.mean(names[nearest] == section[~train]) > 0.9


@pytest.mark.parametrize("machine_type", MACHINES)
def test_target_clips_differ_from_source_clips(machine_type):
    clips = make_machine_clips(
        machine_type, n_train=40, n_test_normal=0, n_test_anomaly=0, target_share=0.5, random_state=0
    )
    features = np.array([pooled(waveform, 1.0) for waveform in waveforms(clips)])
    features -= features.mean(axis=1, keepdims=True)
    target = (clips.data["domain"] == "target").to_numpy()
    distance = np.abs(features[target].mean(axis=0) - features[~target].mean(axis=0))
    assert distance.max() > 2.0  # dB
    states = clips.data.groupby("domain")["attributes"].unique()
    assert not set(states["source"]) & set(states["target"])


def test_target_share_of_train_and_test():
    clips = make_machine_clips(
        ("fan", "pump"), n_train=50, n_test_normal=20, n_test_anomaly=10, target_share=(0.1, 0.5), duration=0.1
    )
    of_target = clips.data["domain"].eq("target").groupby([clips.data["split"], clips.target]).mean()
    assert of_target.to_dict() == {("train", 1): 0.1, ("test", 1): 0.5, ("test", -1): 0.5}


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_one_domain_alone(share):
    domain = make_machine_clips("fan", target_share=share, duration=0.1).data["domain"]
    assert set(domain) == {"target" if share else "source"}


@pytest.mark.parametrize("severity", [0.0, 1.0])
@pytest.mark.parametrize("duty_cycle", [0.05, 0.3, 0.8, 1.0])
@pytest.mark.parametrize("machine_type", MACHINES)
def test_duty_cycle_is_the_share_of_time_with_sound(machine_type, duty_cycle, severity):
    kind = next(kind for kind in MACHINES[machine_type].faults if kind != "missing")
    _, sound = anomalies(machine_type, kind, severity, n=3, duty_cycle=duty_cycle, snr_db=np.inf)
    assert np.mean(sound != 0, axis=1) == pytest.approx(duty_cycle, abs=0.01)


def test_usual_duty_cycles():
    def share(machine_type):
        clips = make_machine_clips(machine_type, n_train=10, snr_db=np.inf, random_state=0)
        return np.mean(waveforms(clips, clips.target == 1) != 0)

    assert share("pump") == 1.0
    assert share("slider") == pytest.approx(0.5, abs=0.1)
    assert share("valve") == pytest.approx(0.15, abs=0.05)


@pytest.mark.parametrize("snr_db", [0.0, 10.0])
def test_machine_is_louder_than_the_background_by_the_snr(snr_db):
    few = {"n_train": 8, "n_test_normal": 0, "n_test_anomaly": 0, "duty_cycle": 0.5, "random_state": 0}
    mixture = waveforms(make_machine_clips("fan", **few, snr_db=snr_db))
    machine = waveforms(make_machine_clips("fan", **few, snr_db=np.inf))
    power_of_machine = np.sum(np.square(machine)) / np.sum(machine != 0)
    assert 10 * np.log10(power_of_machine / np.mean(np.square(mixture - machine))) == pytest.approx(snr_db, abs=1.0)


def test_loudness_gives_little_away():
    found = []
    for machine_type, kind in KINDS:
        clips = make_machine_clips(
            machine_type,
            n_train=0,
            n_test_normal=40,
            n_test_anomaly=40,
            anomalies=(kind,),
            duration=1.0,
            random_state=0,
        )
        found.append(roc_auc_score(clips.target == -1, np.mean(np.square(waveforms(clips)), axis=1)))
    assert max(found) < 0.75
    assert np.mean(found) < 0.6


def test_a_spectrum_statistic_finds_most_anomalies():
    found = [max(novelty_auc(machine_type).values()) for machine_type in MACHINES]
    assert 0.85 < np.mean(found) < 0.995


def test_turning_machines_want_the_mean_and_switching_machines_the_loudest_frames():
    assert novelty_auc("pump")[1.0] > novelty_auc("pump")[0.5]
    assert novelty_auc("valve")[1.0] < novelty_auc("valve")[0.5]


def test_kinds_take_turns():
    clips = make_machine_clips("fan", n_sections=2, n_train=0, n_test_normal=0, n_test_anomaly=9, duration=0.1)
    for section in ("00", "01"):
        kinds = clips.anomaly_kind[(clips.data["section"] == section).to_numpy()]
        assert {kind: np.sum(kinds == kind) for kind in MACHINES["fan"].faults} == {
            "bearing": 3,
            "imbalance": 3,
            "squeal": 3,
        }


def test_only_the_kinds_asked_for():
    clips = make_machine_clips(("pump", "valve"), anomalies=("leak", "imbalance"), duration=0.1)
    kind = pd.Series(clips.anomaly_kind).groupby(clips.data["machine_type"]).unique()
    assert set(kind["pump"]) == {"", "leak", "imbalance"}
    assert set(kind["valve"]) == {"", "leak"}


@pytest.mark.parametrize("sample_rate", [2000, 8000, 22_050, 44_100])
@pytest.mark.parametrize("duration", [0.1, 1.237])
def test_other_sample_rates_and_lengths(sample_rate, duration):
    clips = make_machine_clips(
        n_train=1, n_test_normal=1, n_test_anomaly=3, sample_rate=sample_rate, duration=duration, random_state=0
    )
    assert waveforms(clips).shape == (25, round(duration * sample_rate))
    assert np.all(np.isfinite(waveforms(clips)))


def test_many_sections_all_differ():
    machines = [make_machine(machine_type, section) for machine_type in MACHINES for section in range(30)]
    assert len({machine.speed for machine in machines}) == len(machines)
    assert len({tuple(machine.centre) for machine in machines}) == len(machines)


def test_no_anomalies_and_no_training_clips():
    assert len(make_machine_clips("fan", n_train=0, n_test_anomaly=0, duration=0.1).data) == 10
    empty = make_machine_clips("fan", n_train=0, n_test_normal=0, n_test_anomaly=0)
    assert empty.data.shape == (0, 6)
    assert empty.target.shape == (0,)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"machine_types": "lathe"}, r"machine_types holds 'lathe': expected some of 'fan', 'pump', 'slider', 'valve'"),
        ({"machine_types": 3}, r"machine_types=3: expected a name or a tuple of names among 'fan'"),
        ({"machine_types": ()}, r"machine_types is empty: expected some of 'fan'"),
        ({"machine_types": ("fan", "fan")}, r"machine_types names fan more than once"),
        ({"anomalies": ("rust",)}, r"anomalies holds 'rust': expected some of 'bearing', 'imbalance', 'leak'"),
        ({"anomalies": ("missing",)}, r"anomalies=\('missing',\) holds none that a fan can have: .* 'bearing'"),
        ({"n_sections": 0}, r"n_sections=0: expected an integer of at least 1 and at most 100"),
        ({"n_train": -1}, r"n_train=-1: expected an integer of at least 0"),
        ({"n_test_normal": 2.5}, r"n_test_normal=2.5: expected an integer"),
        ({"n_test_anomaly": True}, r"n_test_anomaly=True: expected an integer"),
        ({"duration": 0.01}, r"duration=0.01: expected a finite number of at least 0.1 s"),
        ({"duration": np.nan}, r"duration=nan: expected a finite number"),
        ({"sample_rate": 100}, r"sample_rate=100: expected an integer of at least 2000 Hz"),
        ({"target_share": 1.5}, r"target_share=1.5: expected a finite number of at least 0 and at most 1"),
        ({"target_share": (0.1, 0.2, 0.3)}, r"target_share=\(0.1, 0.2, 0.3\): expected a number, or two"),
        ({"severity": -1}, r"severity=-1: expected a finite number of at least 0"),
        ({"duty_cycle": 0.0}, r"duty_cycle=0.0: expected None or a number above 0 and at most 1"),
        ({"duty_cycle": 1.2}, r"duty_cycle=1.2: expected a finite number of at most 1"),
        ({"snr_db": "loud"}, r"snr_db='loud': expected a finite number"),
        ({"snr_db": -np.inf}, r"snr_db=-inf: expected a finite number"),
        ({"random_state": -3}, r"random_state=-3: expected an integer of at least 0"),
        ({"random_state": "zero"}, r"random_state='zero': expected an integer of at least 0, a RandomState or None"),
    ],
)
def test_bad_parameters_are_named(parameters, message):
    with pytest.raises(ValueError, match=message):
        make_machine_clips(**{"machine_types": "fan", **parameters})
