"""Monitor: learning, episodes, drift and state, whatever the pieces in which sound comes."""

import json
from dataclasses import asdict
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
import soundfile

from skasd.datasets import make_machine_clips
from skasd.detectors import StatisticsDetector, TWFRDetector
from skasd.features import LogMelTransformer
from skasd.monitoring import Monitor, score_windows

RATE = 2000
LENGTH = 1000  # time points of a window
AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
SMALL = {"false_episodes_per_day": 400, "learning_hours": 0.02, "longest_gap": 0.3, "end_share": 0.15}
FRONT_END = LogMelTransformer(sample_rate=RATE, n_fft=128, hop_length=128, n_mels=16, norm=None, mel_scale="htk")


def noise(n, seed, level=0.1):
    return np.random.default_rng(seed).normal(0, level, n).astype(np.float32)


def hum(n):
    return (0.5 * np.sin(2 * np.pi * 300 * np.arange(n) / RATE)).astype(np.float32)


@pytest.fixture(scope="module")
def detector():
    return TWFRDetector(frontend=FRONT_END).fit(list(noise(60 * LENGTH, 0).reshape(60, LENGTH)))


@pytest.fixture(scope="module")
def normal():
    return noise(150 * RATE, 1)


@pytest.fixture(scope="module")
def sound():
    """Three minutes: the learning period, normal sound, a fault of 5 s, normal sound, a fault that lasts."""
    made = noise(180 * RATE, 2)
    made[120 * RATE : 125 * RATE] += hum(5 * RATE)
    made[170 * RATE :] += hum(10 * RATE)
    return made


@pytest.fixture
def watching(detector, normal):
    monitor = Monitor(detector, **SMALL)
    monitor.learn([normal])
    return monitor


def told(heard):
    """Rows, episodes by their start, alarms and learnings of pushes, without how they were cut into pushes."""
    tables = [one.windows for one in heard if len(one.windows)]
    episodes = {episode.started_at: episode for one in heard for episode in one.episodes}
    return (
        pd.concat(tables, ignore_index=True),
        [(start, one.ended_at, one.n_windows, one.largest_score) for start, one in episodes.items()],
        [one.drift for one in heard if one.drift],
        [one.learning for one in heard if one.learning],
    )


def pieces(sound, sizes, *, seed=0):
    generator, place = np.random.default_rng(seed), 0
    while place < len(sound):
        size = int(generator.choice(sizes))
        yield sound[place : place + size]
        place += size


def test_pieces_give_what_the_whole_gives(detector, sound):
    whole = told([Monitor(detector, **SMALL).push(sound, at=AT)])
    for sizes in ([1, 97, 2333], [LENGTH], [4999, 20000]):
        monitor = Monitor(detector, **SMALL)
        start = monitor.push(sound[:0])
        heard = [start, monitor.push(sound[:5], at=AT), *map(monitor.push, pieces(sound[5:], sizes))]
        found = told(heard)
        assert found[0].equals(whole[0])
        assert found[1:] == whole[1:]


def test_windows_of_a_stream_are_those_of_a_recording(detector, sound):
    sound = sound[: 20 * RATE + 100]
    table = Monitor(detector).push(sound).windows
    expected = score_windows(detector, sound)
    assert table.equals(expected.iloc[:-1])


def test_faults_are_two_episodes(detector, sound):
    _, episodes, _, (learning,) = told([Monitor(detector, **SMALL).push(sound, at=AT)])
    (first, first_end, n_windows, _), (last, last_end, *_) = episodes[-2:]
    assert len(episodes) <= 4
    assert abs((first - AT).total_seconds() - 120) <= 1
    assert abs((first_end - AT).total_seconds() - 125) <= 1
    assert 18 <= n_windows <= 24
    assert (last - AT).total_seconds() == pytest.approx(170, abs=1)
    assert last_end is None
    assert learning.learnt_at == AT + timedelta(seconds=72)


def test_integer_samples_are_scaled(watching, detector, normal, sound):
    other = Monitor.from_state(detector, watching.state())
    samples = (sound[: 3 * RATE].clip(-1, 1) * 32767).astype(np.int16)
    expected = other.push(samples.astype(np.float32) / 32768, at=AT)
    assert watching.push(samples, at=AT).windows.equals(expected.windows)


def test_channels_come_in_pieces_of_any_size(detector, sound):
    both = np.stack([sound[: 3 * RATE], -sound[: 3 * RATE]])
    monitor = Monitor(detector)
    tables = [monitor.push(both[:, place : place + 1]).windows for place in range(0, 1500)]
    found = pd.concat([table for table in tables if len(table)], ignore_index=True)
    assert found.equals(Monitor(detector).push(both[:, :1500]).windows)


def test_recordings_are_heard_as_the_stream_of_them(detector, sound, tmp_path):
    length = 10 * RATE  # windows of recordings do not go over their ends
    heard, monitor = [], Monitor(detector, **SMALL)
    for number, place in enumerate(range(0, len(sound), length)):
        path = tmp_path / f"{number:02d}.wav"
        soundfile.write(path, sound[place : place + length], RATE, subtype="FLOAT")
        heard.append(monitor.push_clip(path, started_at=AT if number == 0 else None))
        assert heard[-1].windows.equals(score_windows(detector, path))
    fault = heard[12].episodes[-1]
    assert fault.clip == str(tmp_path / "12.wav")
    assert (
        heard[12].windows["anomaly_score"][fault.window_number]
        == fault.largest_score
        == heard[12].windows["anomaly_score"].max()
    )
    assert heard[17].episodes[-1].started_at == AT + timedelta(seconds=170)


def test_an_episode_goes_on_in_a_recording_that_follows(watching, sound, tmp_path):
    path = tmp_path / "fault.wav"
    soundfile.write(path, sound[170 * RATE :], RATE)
    (first,) = watching.push_clip(path, started_at=AT).episodes
    (second,) = watching.push_clip(path, started_at=AT + timedelta(seconds=10.2)).episodes
    ended, third = watching.push_clip(path, started_at=AT + timedelta(seconds=30)).episodes
    assert first.started_at == second.started_at == ended.started_at == AT
    assert ended.ended_at == AT + timedelta(seconds=20.2)
    assert third.started_at == AT + timedelta(seconds=30)


def test_the_state_goes_on_between_any_two_pushes(detector, sound):
    whole = told([Monitor(detector, **SMALL).push(sound, at=AT)])
    monitor, heard = Monitor(detector, **SMALL), []
    monitor.push(sound[:0])
    for number, piece in enumerate(pieces(sound, [900, 5000, 12345])):
        state = json.loads(json.dumps(monitor.state(), allow_nan=False))
        monitor = Monitor.from_state(detector, state)
        heard.append(monitor.push(piece, at=AT if number == 0 else None))
    found = told(heard)
    assert found[0].equals(whole[0])
    assert found[1:] == whole[1:]


def test_the_state_is_small(watching, sound):
    watching.push(sound)
    assert len(json.dumps(watching.state())) < 20_000


def test_a_file_holds_the_state(watching, detector, tmp_path):
    path = tmp_path / "fan.json"
    watching.push(noise(700, 5), at=AT)
    watching.save(path)
    watching.save(path)
    assert Monitor.load(path, detector).state() == watching.state()
    assert [one.name for one in tmp_path.iterdir()] == ["fan.json"]


def test_a_state_of_another_model_is_refused(watching, normal):
    clips = list(noise(60 * LENGTH, 7).reshape(60, LENGTH))
    for other in (TWFRDetector(frontend=FRONT_END).fit(clips), StatisticsDetector(frontend=FRONT_END).fit(clips)):
        with pytest.raises(ValueError, match="of another model"):
            Monitor.from_state(other, watching.state())


def test_the_same_model_may_be_another_object(watching, detector):
    again = TWFRDetector(frontend=FRONT_END).fit(list(noise(60 * LENGTH, 0).reshape(60, LENGTH)))
    assert Monitor.from_state(again, watching.state()).state() == watching.state()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, "format 2"),
        ({"settings": {}}, "damaged"),
        ({"learning": {"threshold": 1}}, "damaged"),
        ({"stream": 3}, "damaged"),
        ({"probe_score": None}, "damaged"),
    ],
)
def test_a_damaged_state_is_refused(watching, detector, change, message):
    with pytest.raises(ValueError, match=message):
        Monitor.from_state(detector, watching.state() | change)


def test_a_file_that_is_no_state_is_refused(detector, tmp_path):
    path = tmp_path / "x.json"
    path.write_text('{"format"')
    with pytest.raises(ValueError, match=r"x\.json is damaged"):
        Monitor.load(path, detector)
    path.write_text("[]")
    with pytest.raises(ValueError, match="not that of a Monitor"):
        Monitor.load(path, detector)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_samples_that_cannot_be_used_leave_the_monitor_as_it_was(watching, value):
    watching.push(noise(700, 5), at=AT)
    before, bad = watching.state(), noise(2000, 6)
    bad[123] = value
    with pytest.raises(ValueError, match=r"samples holds (nan|inf) at time point 123 of channel 0"):
        watching.push(bad)
    assert watching.state() == before


def test_a_recording_that_cannot_be_used_leaves_the_monitor_as_it_was(watching, tmp_path):
    before, path = watching.state(), tmp_path / "bad.wav"
    path.write_bytes(b"no sound")
    with pytest.raises(ValueError, match=r"bad\.wav"):
        watching.push_clip(path)
    assert watching.state() == before


@pytest.mark.parametrize(
    ("samples", "error", "message"),
    [
        ([0.0, 1.0], TypeError, "samples is a list"),
        (np.zeros((480, 2)), ValueError, "transpose it"),
        (np.zeros((2, 100)), ValueError, "2 channels, and the stream has 1"),
        (np.array(["a"]), ValueError, "samples holds values of type"),
    ],
)
def test_pieces_of_another_kind_are_refused(watching, samples, error, message):
    watching.push(noise(700, 5))
    with pytest.raises(error, match=message):
        watching.push(samples)


def test_a_break_in_a_stream_begins_a_new_one(watching):
    watching.push(noise(900, 5), at=AT)
    heard = watching.push(noise(900, 6), at=AT + timedelta(seconds=60))
    assert not len(heard.windows)
    assert len(watching.push(noise(100, 7)).windows) == 1


def test_clocks_may_differ_a_little(watching):
    watching.push(noise(900, 5), at=AT)
    assert len(watching.push(noise(100, 6), at=AT + timedelta(seconds=1.3)).windows) == 1
    with pytest.raises(ValueError, match="before the end of what was heard"):
        watching.push(noise(100, 6), at=AT)


def test_times_need_a_zone(watching, tmp_path):
    with pytest.raises(ValueError, match=r"at=.* has no time zone"):
        watching.push(noise(100, 5), at=AT.replace(tzinfo=None))
    with pytest.raises(TypeError, match="started_at=3 is a int"):
        watching.push_clip(tmp_path / "x.wav", started_at=3)


def test_too_little_sound_is_refused_with_the_hours_that_it_takes(detector, normal):
    monitor = Monitor(detector)
    with pytest.raises(ValueError, match=r"takes 6 hours of normal sound, and there are 0\.0417"):
        monitor.learn([normal])
    assert monitor.push(normal).hours_missing == pytest.approx(24 - 150 / 3600)


def test_learning_goes_on_until_the_number_can_be_had(detector, normal):
    monitor = Monitor(detector, **SMALL | {"false_episodes_per_day": 150})
    heard = [
        monitor.push(normal[place : place + 10 * RATE], at=AT if not place else None)
        for place in range(0, len(normal), 10 * RATE)
    ]
    assert heard[7].learning is None
    assert heard[7].hours_missing == pytest.approx(64 / 3600)
    assert [one.learning.hours for one in heard if one.learning] == [pytest.approx(144 / 3600)]


def test_scores_that_are_all_alike_give_no_threshold(detector):
    with pytest.raises(ValueError, match="have 0"):
        Monitor(detector, **SMALL).learn([np.zeros(150 * RATE, dtype=np.float32)])


def test_learning_from_recordings_is_learning_from_pushes(detector, normal, tmp_path):
    paths = []
    for number in range(10):
        paths.append(tmp_path / f"{number}.wav")
        soundfile.write(paths[-1], normal[number * 15 * RATE :][: 15 * RATE], RATE, subtype="FLOAT")
    monitor = Monitor(detector, **SMALL | {"learning_hours": 149.9 / 3600})
    (pushed,) = [heard.learning for heard in map(monitor.push_clip, paths) if heard.learning]
    other = Monitor(detector, **SMALL)
    learnt = other.learn(paths)
    assert asdict(learnt) | {"learnt_at": None} == asdict(pushed) | {"learnt_at": None}


def test_learning_again_says_what_changed(watching, normal, sound):
    watching.push(sound[170 * RATE :], at=AT)
    watching.relearn()
    heard = watching.push(2 * normal)
    assert heard.episodes[0].ended_at is not None
    before = heard.learning.details["before"]
    assert before["threshold"] != heard.learning.threshold
    assert before["median_score"] != heard.learning.details["median_score"]
    assert before["hours"] == pytest.approx(150 / 3600)


def test_a_machine_that_changed_raises_one_alarm_about_drift(detector, normal):
    monitor = Monitor(detector, **SMALL | {"drift_interval": 1.0})
    monitor.learn([normal])
    changed = normal + np.roll(normal, 1)
    alarms = [monitor.push(piece, at=None).drift for piece in np.split(changed, 10)]
    assert sum(alarm is not None for alarm in alarms) == 1


@pytest.mark.parametrize(
    ("parameter", "error", "message"),
    [
        ({"false_episodes_per_day": 0}, ValueError, "false_episodes_per_day=0"),
        ({"false_episodes_per_day": "1"}, TypeError, "false_episodes_per_day='1'"),
        ({"learning_hours": -1}, ValueError, "learning_hours=-1"),
        ({"end_share": 0.5}, ValueError, "end_share=0.5"),
        ({"least_duration": -1}, ValueError, "least_duration=-1"),
        ({"longest_gap": np.nan}, ValueError, "longest_gap=nan"),
        ({"drift_level": 1}, ValueError, "drift_level=1"),
        ({"drift_interval": 0.1}, ValueError, "drift_interval=0.1 is shorter than a window"),
        ({"hop": 3.0}, ValueError, "hop=3.0"),
        ({"machine": 3}, TypeError, "machine=3"),
    ],
)
def test_wrong_parameters_are_named(detector, parameter, error, message):
    with pytest.raises(error, match=message):
        Monitor(detector, **parameter)


def test_one_path_is_no_list_of_recordings(watching):
    with pytest.raises(TypeError, match="a list of recordings"):
        watching.learn("x.wav")


def test_a_machine_among_several_is_watched():
    clips = make_machine_clips(("fan", "pump"), n_train=20, duration=1.0, random_state=0).data
    detector = TWFRDetector().fit(clips[clips["split"] == "train"])
    sound = np.concatenate(clips["waveform"][:4].to_list())
    scores = {
        name: Monitor(detector, machine=name).push(sound).windows["anomaly_score"] for name in ("fan/00", "pump/00")
    }
    assert (scores["fan/00"] < scores["pump/00"]).all()


def test_a_machine_that_drifted_has_few_episodes(detector, normal):
    """Its scores go above the threshold and below the lower level again and again."""
    monitor = Monitor(detector, **SMALL | {"drift_interval": 1.0})
    monitor.learn([normal])
    monitor.push(1.5 * normal[: 60 * RATE], at=AT)
    changed = np.concatenate([normal[: 4 * RATE], normal[: 2 * RATE] + hum(2 * RATE)] * 10)
    assert len({episode.started_at for piece in np.split(changed, 6) for episode in monitor.push(piece).episodes}) == 1
