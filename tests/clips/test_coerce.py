import threading

import joblib
import numpy as np
import pandas as pd
import pytest
import soundfile
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.utils import Bunch

from skasd.clips import ClipReader, as_clips
from skasd.detectors import EnsembleDetector, TWFRDetector
from skasd.features import LogMelTransformer
from skasd.metrics import make_clip_scorer
from skasd.model_selection import DCASESplit, NormalOnlySplit, make_proxy_anomalies


def waveforms(X, **reader):
    return list(as_clips(X).map(np.asarray, ClipReader(**reader)))


@pytest.fixture
def paths(write, tone):
    return [str(write(f"{index}.wav", tone / (index + 1), subtype="FLOAT")) for index in range(6)]


def test_every_container_gives_the_same_waveforms(paths, tone, tmp_path):
    array = np.stack([tone / (index + 1) for index in range(6)])
    np.save(tmp_path / "map.npy", array)
    containers = {
        "array": array,
        "list of arrays": list(array),
        "memory map": np.load(tmp_path / "map.npy", mmap_mode="r"),
        "tensor": torch.from_numpy(array),
        "list of tensors": list(torch.from_numpy(array)),
        "paths": paths,
        "array of paths": np.array(paths),
        "series of paths": pd.Series(paths),
        "table of paths": pd.DataFrame({"path": paths, "section": "00"}),
        "table of waveforms": pd.DataFrame({"waveform": list(array), "section": "00"}),
        "frame of numbers": pd.DataFrame(array),
        "pathlib": [tmp_path / f"{index}.wav" for index in range(6)],
    }
    for name, X in containers.items():
        np.testing.assert_array_equal(waveforms(X), array, err_msg=name)


def test_features_come_as_array_list_or_column():
    features = np.arange(24.0).reshape(2, 3, 4)
    for X in (features, list(features), torch.from_numpy(features), pd.DataFrame({"log_mel": list(features)})):
        clips = as_clips(X)
        assert clips.kind == "feature"
        np.testing.assert_array_equal(list(clips.map(np.asarray, ClipReader())), features)


def test_integer_features_keep_their_values():
    (feature,) = as_clips(np.full((1, 2, 3), 1000, dtype=np.int16)).map(np.asarray, ClipReader())
    np.testing.assert_array_equal(feature, np.full((2, 3), 1000.0))


def test_feature_column_goes_before_waveform_and_path():
    table = pd.DataFrame({"path": ["a.wav"], "waveform": [np.ones(5)], "log_mel": [np.ones((2, 3))]})
    assert as_clips(table).kind == "feature"
    assert as_clips(table, feature=None).kind == "waveform"


def test_lengths_may_differ_in_lists_and_tables():
    assert [len(wave) for wave in waveforms([np.zeros(3), np.zeros(5)])] == [3, 5]
    assert [len(wave) for wave in waveforms(pd.DataFrame({"waveform": [np.zeros(3), np.zeros(5)]}))] == [3, 5]


def test_all_bad_files_are_listed_after_all_were_tried(paths):
    tried = []
    X = [*paths, "nowhere.wav", *paths, "neither.wav"]
    with pytest.raises(
        ValueError, match=r"(?s)2 of 14 clips.*nowhere\.wav: does not exist.*neither\.wav: does not exist"
    ):
        tried.extend(as_clips(X).map(len, ClipReader()))
    assert len(tried) == 14
    assert tried.count(None) == 2


def test_one_bad_file_among_many_is_found(write, tone):
    path = str(write("good.wav", tone[:10]))
    with pytest.raises(ValueError, match=r"1 of 10000 clips cannot be used:\n  nowhere\.wav"):
        list(as_clips([path] * 9000 + ["nowhere.wav"] + [path] * 999).map(len, ClipReader(), n_jobs=2))


def test_threads_change_nothing(paths):
    one = list(as_clips(paths * 5).map(np.sum, ClipReader(), n_jobs=1))
    assert one == list(as_clips(paths * 5).map(np.sum, ClipReader(), n_jobs=3))


def test_progress_bar_shows_only_when_asked(paths, capsys):
    list(as_clips(paths).map(len, ClipReader()))
    assert capsys.readouterr().err == ""
    list(as_clips(paths).map(len, ClipReader(), verbose=1, title="reading"))
    assert "reading: 100%" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        ({"path": ["a.wav"]}, TypeError, r"pandas.DataFrame\(X\)"),
        ("a.wav", TypeError, r"\['a.wav'\]"),
        (["a.wav", np.zeros(3)], TypeError, "mixes kinds of clips: clip 0 is a path, clip 1 is a waveform"),
        ([np.zeros(3), np.zeros((2, 3))], TypeError, "clip 1 is a feature"),
        ([np.zeros((2, 2, 2))], TypeError, "Clip 0 of X is a ndarray with 3 axes"),
        ([None, "a.wav"], TypeError, "Clip 0 of X is a NoneType"),
        ([], ValueError, "0 clips"),
        (
            pd.DataFrame({"file": ["a.wav"]}),
            ValueError,
            r"without a feature, waveform or path column.*columns are \['file'\]",
        ),
        (pd.DataFrame({"path": []}), ValueError, "0 rows"),
        ((path for path in ["a.wav"]), TypeError, "X is a generator; give an array, a list"),
        (None, TypeError, "X is a NoneType"),
        (Bunch(data=pd.DataFrame({"path": ["a.wav"]})), TypeError, r"pass the table, X\.data"),
        (
            pd.DataFrame([["a.wav", "b.wav"]], columns=["path", "path"]),
            ValueError,
            r"duplicate column names: \['path'\]",
        ),
        (np.zeros((2, 0, 4)), ValueError, "at least one band"),
        (np.full((2, 3, 4), np.nan), ValueError, "clip 0 holds NaN.*; clip 1 holds NaN"),
    ],
)
def test_what_cannot_be_clips_is_refused(X, error, message):
    with pytest.raises(error, match=message):
        as_clips(X)


def test_bad_cells_of_a_table_are_named_by_row_and_index():
    table = pd.DataFrame({"waveform": [np.zeros(3), np.array([0.0, np.nan])]}, index=["left", "right"])
    with pytest.raises(ValueError, match=r"clip 1 \(index 'right' of the table\): holds NaN"):
        waveforms(table)


def test_empty_and_wrong_cells_are_listed_with_all_other_failures():
    table = pd.DataFrame({"path": pd.Series(["nowhere.wav", None, 3, pd.NA], dtype=object)})
    with pytest.raises(
        ValueError, match=r"(?s)4 of 4 clips.*does not exist.*'path' is empty.*is a int.*'path' is empty"
    ):
        waveforms(table)


def test_integer_and_tensor_cells_are_read():
    table = pd.DataFrame({"waveform": [np.array([0, 16384], dtype=np.int16), torch.tensor([0.0, 0.5])]})
    np.testing.assert_array_equal(waveforms(table), [[0.0, 0.5], [0.0, 0.5]])


def test_group_names_join_the_columns_that_are_there():
    table = pd.DataFrame({"waveform": [np.zeros(3)] * 2, "machine_type": ["fan", "pump"], "section": ["00", "01"]})
    names = as_clips(table).group_names(("machine_type", "section", "domain"), optional=("domain",))
    assert names.tolist() == ["fan/00", "pump/01"]
    with pytest.raises(ValueError, match="no column 'domain'"):
        as_clips(table).group_names(("section", "domain"))
    array = as_clips(np.zeros((2, 3)))
    assert array.group_names(("machine_type",), optional=("machine_type",)).tolist() == ["", ""]
    with pytest.raises(ValueError, match="X is no clip table and has no column 'machine_type'"):
        array.group_names(("machine_type",))


def test_missing_group_cell_names_column_and_clip():
    table = pd.DataFrame({"waveform": [np.zeros(3)] * 2, "section": ["00", None]})
    with pytest.raises(ValueError, match="Column 'section' has values for some clips but not for clip 1"):
        as_clips(table).group_names(("section",))


@given(st.lists(st.integers(1, 40), min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_random_tables_round_trip_through_files(tmp_path_factory, lengths, random):
    folder = tmp_path_factory.mktemp("table")
    rng = np.random.default_rng(random.randrange(2**32))
    clips = [rng.uniform(-1, 1, length).astype(np.float32) for length in lengths]
    paths = [str(folder / f"{position}.wav") for position in range(len(clips))]
    for path, clip in zip(paths, clips, strict=True):
        soundfile.write(path, clip, 16000, subtype="FLOAT")
    sections = [f"{random.randrange(3):02d}" for _ in clips]
    index = random.sample(range(100), len(clips))
    order = random.sample(range(len(clips)), len(clips))
    for held in ({"path": paths}, {"waveform": clips}):
        table = pd.DataFrame({**held, "section": sections}, index=index).iloc[order]
        for position, waveform in zip(order, waveforms(table), strict=True):
            np.testing.assert_array_equal(waveform, clips[position])
        assert as_clips(table).group_names(("section",)).tolist() == [sections[position] for position in order]


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kind=st.sampled_from(["wav", "flac", "ogg", "aiff", "au", "mp3", "w64", "voc", "caf", "rf64"]),
    length=st.one_of(st.just(10**6), st.integers(0, 3000)),
    changes=st.lists(st.tuples(st.one_of(st.integers(0, 63), st.integers(0, 2999)), st.integers(0, 255)), max_size=8),
)
def test_random_broken_files_give_sound_or_a_clear_error(kind, length, changes, tmp_path, tone):
    soundfile.write(tmp_path / f"whole.{kind}", tone[:1500], 16000)
    content = bytearray((tmp_path / f"whole.{kind}").read_bytes()[:length])
    for position, value in changes:
        if position < len(content):
            content[position] = value
    path = tmp_path / f"broken.{kind}"
    path.write_bytes(bytes(content))
    waveform, message = None, ""
    try:
        (waveform,) = waveforms([str(path)], resample=False)
    except ValueError as error:
        message = str(error)
    assert str(path) in message if waveform is None else np.isfinite(waveform).all()


def test_domains_are_those_of_the_table_and_source_where_it_tells_none():
    table = pd.DataFrame({"path": list("abcd"), "domain": ["target", "source", None, pd.NA]})
    assert as_clips(table).domains().tolist() == ["target", "source", "source", "source"]
    assert as_clips(table.drop(columns="domain")).domains().tolist() == ["source"] * 4
    assert as_clips(table.astype({"domain": "string"})).domains().tolist()[0] == "target"
    assert as_clips(table.astype({"domain": "category"})).domains().tolist()[0] == "target"
    assert as_clips(np.zeros((2, 3))).domains().tolist() == ["source", "source"]


def test_names_of_groups_are_as_distinct_as_their_cells():
    cells = [("a/b", "c"), ("a", "b/c"), ("a\\", "b/c"), ("a\\/b", "c"), ("a", "b\\/c"), ("a\\", "/b/c")]
    table = pd.DataFrame(
        {"path": ["x.wav"] * 6, "machine_type": [c for c, _ in cells], "section": [c for _, c in cells]}
    )
    names = as_clips(table).group_names(("machine_type", "section"))
    assert len(set(names)) == 6
    assert names[:2].tolist() == [r"a\/b/c", r"a/b\/c"]


def test_names_of_groups_of_one_column_stay_as_they_are():
    table = pd.DataFrame({"path": ["x.wav"] * 2, "machine_type": ["a/b", "a\\b"], "section": [None, None]})
    assert as_clips(table).group_names(("machine_type", "section")).tolist() == ["a/b", "a\\b"]


def test_detector_keeps_machines_apart_whose_names_hold_a_slash():
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"waveform": list(0.1 * rng.standard_normal((8, 4000))), "machine_type": "fan"})
    table["machine_type"] = ["fan/a"] * 4 + ["fan"] * 4
    table["section"] = ["00"] * 4 + ["a/00"] * 4
    assert list(TWFRDetector(n_jobs=1).fit(table).mixtures_) == [r"fan/a\/00", r"fan\/a/00"]


@pytest.mark.parametrize("column", ["machine_type", "section", "domain", "attributes", "split"])
def test_metadata_among_numbers_is_no_sample(column):
    frame = pd.DataFrame(np.random.default_rng(0).standard_normal((4, 4000))).rename(columns=str).assign(**{column: 0})
    for read in (as_clips, TWFRDetector().fit, LogMelTransformer().fit):
        with pytest.raises(ValueError, match=rf"column\(s\) \['{column}'\], which would be read as samples"):
            read(frame)


@pytest.mark.usefixtures("two_cores")
@pytest.mark.parametrize("backend", ["threading", "loky", "multiprocessing", "sequential"])
def test_every_backend_of_joblib_reads_clips(paths, backend):
    expected = list(as_clips(paths * 5).map(np.sum, ClipReader(), n_jobs=1))
    for n_jobs in (None, 2, -1):
        with joblib.parallel_config(backend, n_jobs=2):
            assert list(as_clips(paths * 5).map(np.sum, ClipReader(), n_jobs=n_jobs)) == expected


@pytest.mark.parametrize(("n_jobs", "n_threads"), [(None, 3), (2, 2)])
def test_threads_that_replace_processes_are_as_many_as_the_user_set(paths, n_jobs, n_threads):
    every_one_waits = threading.Barrier(n_threads, timeout=10)

    def thread(waveform):
        every_one_waits.wait()
        return threading.get_ident()

    with joblib.parallel_config("multiprocessing", n_jobs=3):
        threads = set(as_clips(paths[:1] * 8 * n_threads).map(thread, ClipReader(), n_jobs=n_jobs))
    assert len(threads) == n_threads
    assert threading.get_ident() not in threads


def test_ensemble_runs_under_a_backend_without_generators():
    X = 0.1 * np.random.default_rng(0).standard_normal((8, 4000))
    ensemble = EnsembleDetector([("a", TWFRDetector(r=1.0)), ("b", TWFRDetector(r=0.9))], random_state=0)
    expected = clone(ensemble).fit(X).score_samples(X)
    with joblib.parallel_config("multiprocessing", n_jobs=2):
        np.testing.assert_allclose(clone(ensemble).set_params(n_jobs=2).fit(X).score_samples(X), expected)


@pytest.mark.parametrize("X", [iter(["a.wav"]), map(str, ["a.wav"]), {"a.wav"}, {"a.wav": 0}.keys()])
def test_iterators_and_sets_of_paths_say_list(X):
    with pytest.raises(TypeError, match=r"X is a \w+;.*pass list\(X\), or sorted\(X\) for paths"):
        TWFRDetector().fit(X)


@pytest.mark.parametrize("container", [np.array, lambda rows: np.array(rows, dtype=object), list])
def test_paths_in_one_column_are_read(paths, tone, container):
    X = container([[path] for path in paths])
    np.testing.assert_array_equal(waveforms(X)[0], tone)
    assert TWFRDetector(n_jobs=1).fit(X).score_samples(X).shape == (6,)


@pytest.mark.parametrize("container", [np.array, list])
def test_paths_in_two_columns_are_refused(container):
    X = container([["a.wav", "b.wav"], ["c.wav", "d.wav"]])
    for read in (as_clips, TWFRDetector().fit):
        with pytest.raises(ValueError, match=r"paths in shape \(2, 2\); one path for each clip"):
            read(X)


def test_paths_as_bytes_say_how_to_decode_them():
    with pytest.raises(TypeError, match=r"os\.fsdecode\(b'a\.wav'\)"):
        TWFRDetector().fit([b"a.wav"])


class OtherTable:
    """A table of another library, polars or pyarrow for example, which converts itself."""

    def __init__(self, table):
        self.table = table
        self.shape = table.shape

    def to_pandas(self):
        return self.table.copy()


def test_tables_of_other_libraries_are_converted(paths, tone):
    table = pd.DataFrame({"path": paths, "machine_type": ["fan", "pump"] * 3})
    X = OtherTable(table)
    np.testing.assert_array_equal(waveforms(X), waveforms(table))
    detector = TWFRDetector(n_jobs=1).fit(X)
    assert list(detector.mixtures_) == ["fan", "pump"]
    np.testing.assert_array_equal(detector.score_samples(X), detector.score_samples(table))
    assert "log_mel" in LogMelTransformer(n_jobs=1).fit_transform(X)
    np.testing.assert_array_equal(waveforms(OtherTable(table["path"])), waveforms(table))


@pytest.mark.filterwarnings("ignore:.*training clips are equal to others:UserWarning")
def test_scorers_and_splitters_read_the_columns_of_other_tables(paths):
    columns = {"machine_type": ["fan", "pump"] * 6, "split": ["train"] * 6 + ["test"] * 6}
    table = pd.DataFrame({"path": paths * 2, **columns})
    X, y = OtherTable(table), np.array([1] * 8 + [-1] * 4)
    detector = TWFRDetector(group_columns=(), n_jobs=1).fit(table)
    score = make_clip_scorer("auc", aggregation="mean_of_sections")
    assert score(detector, X, y) == score(detector, table, y)
    for splitter in (DCASESplit(), NormalOnlySplit(2, stratify_by="machine_type", random_state=0)):
        for ours, theirs in zip(splitter.split(table, y), splitter.split(X, y), strict=True):
            np.testing.assert_array_equal(ours[0], theirs[0])
    assert make_proxy_anomalies(X, "clicks", random_state=0).machine_type.tolist() == table.machine_type.tolist()


def test_table_that_cannot_be_converted_says_why():
    class Broken(OtherTable):
        def to_pandas(self):
            raise ModuleNotFoundError("pyarrow is required for converting to pandas")

    with pytest.raises(TypeError, match=r"Broken, and its to_pandas\(\) fails: pyarrow is required.*pandas.DataFrame"):
        TWFRDetector().fit(Broken(pd.DataFrame({"path": ["a.wav"]})))
