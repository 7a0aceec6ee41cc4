import numpy as np
import pandas as pd
import pytest

from skasd.clips import Clips, Recordings, as_clips


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


@pytest.mark.parametrize("kind", ["arrays", "paths"])
def test_contents_are_compared_without_reading_audio(kind, tmp_path):
    items = [np.zeros(4), np.ones(4), np.zeros(4), np.zeros(5)]
    if kind == "paths":
        for index, item in enumerate(items):
            (tmp_path / f"{index}.wav").write_bytes(item.tobytes())
        items = [str(tmp_path / f"{index}.wav") for index in range(4)]
    recordings = Recordings.of_contents(Clips("waveform", items), np.full(4, ""))
    assert partition(recordings) == [[0, 2], [1], [3]]
    assert recordings.n_copies == 1


def test_files_that_are_missing_are_different():
    assert partition(Recordings.of_contents(Clips("waveform", ["no.wav", "none.wav"]), np.full(2, ""))) == [[0], [1]]
