import numpy as np
import pandas as pd
import pytest
import soundfile

from skasd.clips import ClipReader, Clips, Recordings, as_clips
from skasd.clips._near_copies import near_copies


def table(**columns):
    n_clips = len(next(iter(columns.values())))
    waveforms = [np.full(4, index, dtype=np.float32) for index in range(n_clips)]
    return as_clips(pd.DataFrame({"waveform": waveforms, **columns}))


def partition(recordings):
    """Positions of the clips of each recording."""
    return sorted(np.flatnonzero(recordings.number == number).tolist() for number in np.unique(recordings.number))


def of(clips, values):
    return Recordings.of(clips, np.asarray(values, dtype=float)[:, None], np.full(len(clips), ""))


def test_clips_with_equal_values_are_one_recording():
    recordings = of(Clips("waveform", list(range(5))), [3, 1, 3, 2, 3])
    assert partition(recordings) == [[0, 2, 4], [1], [3]]
    assert recordings.n_copies == 2


def test_the_group_column_names_recordings():
    recordings = of(table(group=["a", "b", "a", "b"]), [1, 2, 3, 4])
    assert partition(recordings) == [[0, 2], [1, 3]]
    assert recordings.n_copies == 0


def test_clips_without_a_name_are_alone():
    assert partition(of(table(group=["a", None, "a", "", np.nan]), range(5))) == [[0, 2], [1], [3], [4]]


def test_names_are_those_within_a_machine():
    clips = table(group=[1, 1, 1], machine_type=["fan", "fan", "pump"])
    assert partition(of(clips, range(3))) == [[0, 1], [2]]


def test_copies_join_the_recordings_that_they_are_in():
    assert partition(of(table(group=["a", "a", "b", "b", "c"]), [0, 1, 1, 2, 3])) == [[0, 1, 2, 3], [4]]


NOISE = np.random.default_rng(0).uniform(-0.5, 0.5, (40, 4000)).astype(np.float32)


def dithered(waveform, seed=1):
    return (waveform + np.random.default_rng(seed).uniform(-1, 1, waveform.shape) / 2**15).astype(np.float32)


def read(items, kind="waveform", machine=None):
    machine = np.full(len(items), "") if machine is None else np.array(machine)
    return Recordings.read(Clips(kind, list(items)), ClipReader(), machine, None)


@pytest.mark.parametrize(
    "copy",
    [dithered, lambda waveform: np.roll(waveform, 1), lambda waveform: 1.001 * waveform, lambda waveform: waveform],
    ids=["dither", "shift", "gain", "equal"],
)
def test_near_copies_are_one_recording(copy):
    recordings = read([*NOISE, *map(copy, NOISE[:30])])
    assert partition(recordings) == [
        *[[index, index + 40] for index in range(30)],
        *[[index] for index in range(30, 40)],
    ]
    assert recordings.n_copies == 30


def test_files_and_arrays_are_compared_alike(tmp_path):
    items = [*NOISE, dithered(NOISE[0])]
    paths = [str(tmp_path / f"{index}.wav") for index in range(len(items))]
    for path, item in zip(paths, items, strict=True):
        soundfile.write(path, item, 16000, subtype="FLOAT")
    assert partition(read(paths)) == partition(read(items))


@pytest.mark.parametrize("n_copies", [2, 4])
def test_several_near_copies_of_a_clip_are_one_recording(n_copies):
    recordings = read([*NOISE, *(dithered(NOISE[5], seed) for seed in range(n_copies))])
    assert partition(recordings)[5] == [5, *range(40, 40 + n_copies)]
    assert recordings.n_copies == n_copies


def test_near_copies_among_thousands_of_clips_are_those_among_all():
    values = np.random.default_rng(0).standard_normal((6000, 12)) @ np.random.default_rng(1).standard_normal((12, 64))
    values[10:30] = values[110:130] * (1 + 1e-4)
    values[200:203] = values[300] + 1e-4
    number = near_copies(values)  # through a search tree
    expected = [{first, first + 100} for first in range(10, 30)] + [{200, 201, 202, 300}]
    groups = [set(np.flatnonzero(number == one)) for one in np.unique(number)]
    assert sorted(map(sorted, (group for group in groups if len(group) > 1))) == sorted(map(sorted, expected))
    assert len(np.unique(near_copies(values[400:]))) == 5600


def test_operating_states_are_no_copies():
    level = np.repeat([1.0, 0.1, 0.01, 0.001], 10)[:, None]
    assert read(NOISE * level).n_copies == 0


def test_near_copies_are_looked_for_within_a_machine():
    assert read([*NOISE, dithered(NOISE[0])], machine=["fan"] * 40 + ["pump"]).n_copies == 0


def test_near_copies_of_features():
    features = np.random.default_rng(0).normal(size=(20, 16, 30))
    assert read([*features, features[3] + 1e-3], "feature").n_copies == 1


def test_independent_clips_are_no_copies():
    assert read(NOISE).n_copies == 0
    assert read(NOISE[:, :10]).n_copies == 0


def test_a_clip_that_cannot_be_read_is_named():
    with pytest.raises(ValueError, match=r"none\.wav"):
        read(["none.wav", *NOISE[:2]])
