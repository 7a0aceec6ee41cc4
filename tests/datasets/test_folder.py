from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from skasd.datasets import load_clip_folder
from skasd.detectors import TWFRDetector

COLUMNS = ["path", "machine_type", "section", "domain", "attributes", "split"]


def touch(folder, *names):
    for name in names:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    return folder


def labels_by_name(clips, folder):
    paths = [Path(path).relative_to(folder).as_posix() for path in clips.data["path"]]
    return dict(zip(paths, clips.target.tolist(), strict=True))


def write_labels(folder, *lines):
    file = folder / "labels.csv"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def test_the_table_has_the_columns_of_a_clip_table(tmp_path):
    clips = load_clip_folder(touch(tmp_path, "a.wav"))
    assert list(clips.data.columns) == COLUMNS
    assert clips.data.loc[0, "path"] == str(tmp_path / "a.wav")


def test_what_is_not_known_is_missing(tmp_path):
    clips = load_clip_folder(touch(tmp_path, "a.wav"))
    assert [clips.data.loc[0, column] for column in COLUMNS[1:]] == [None] * 5
    assert clips.target.tolist() == [0]


def test_rows_are_sorted_and_targets_are_whole_numbers(tmp_path):
    clips = load_clip_folder(touch(tmp_path, "ok/b.wav", "bad/c.flac", "ok/a.ogg", "new.wav"))
    assert [Path(path).name for path in clips.data["path"]] == ["c.flac", "new.wav", "a.ogg", "b.wav"]
    assert np.issubdtype(clips.target.dtype, np.integer)


@pytest.mark.parametrize("name", ["normal", "OK", "good", "Healthy", "normal_02", "test-normal", "train", "Training"])
def test_folders_that_say_normal(tmp_path, name):
    assert load_clip_folder(touch(tmp_path, f"{name}/a.wav")).target.tolist() == [1]


@pytest.mark.parametrize(
    "name", ["abnormal", "Anomaly", "anomalous", "fault", "faulty", "defect", "bad", "NG", "not_ok"]
)
def test_folders_that_say_anomaly(tmp_path, name):
    assert load_clip_folder(touch(tmp_path, f"{name}/a.wav")).target.tolist() == [-1]


@pytest.mark.parametrize("name", ["test", "normal_speed", "badger", "no_fault_found", "looks_good", "monday"])
def test_folders_that_say_nothing(tmp_path, name):
    assert load_clip_folder(touch(tmp_path, f"{name}/a.wav")).target.tolist() == [0]


def test_the_innermost_state_decides(tmp_path):
    clips = load_clip_folder(touch(tmp_path, "normal/bad/a.wav", "bad/normal/a.wav"))
    assert labels_by_name(clips, tmp_path) == {"normal/bad/a.wav": -1, "bad/normal/a.wav": 1}


def test_a_train_folder_does_not_overrule_a_state(tmp_path):
    clips = load_clip_folder(touch(tmp_path, "anomaly/train/a.wav", "train/anomaly/b.wav", "train/fan/c.wav"))
    assert labels_by_name(clips, tmp_path) == {
        "anomaly/train/a.wav": -1,
        "train/anomaly/b.wav": -1,
        "train/fan/c.wav": 1,
    }


def test_the_name_of_the_folder_itself_and_of_the_file_say_nothing(tmp_path):
    assert load_clip_folder(touch(tmp_path / "normal", "bad.wav")).target.tolist() == [0]


def test_train_and_test_folders_give_the_split(tmp_path):
    with pytest.warns(UserWarning, match=r"1 clip\(s\) in the folder 'extra' have no label, unlike those in 'train'"):
        clips = load_clip_folder(touch(tmp_path, "train/a.wav", "test/b.wav", "extra/c.wav"))
    assert clips.data["split"].tolist() == [None, "test", "train"]


@pytest.mark.parametrize("given", [".", "fan"])
def test_the_mimii_layout_gives_machine_type_and_section(tmp_path, given):
    touch(tmp_path, "fan/id_06/normal/00000000.wav", "fan/id_06/abnormal/00000000.wav")
    clips = load_clip_folder(tmp_path / given)
    assert clips.data[["machine_type", "section"]].to_numpy().tolist() == [["fan", "06"]] * 2
    assert clips.target.tolist() == [-1, 1]


@pytest.mark.parametrize(
    ("name", "machine"),
    [
        ("Pumpe 7/a.wav", "Pumpe 7"),
        ("Lu\u0308fter/a.wav", "Lüfter"),
        ("normal/Pumpe 7/a.wav", "Pumpe 7"),
        ("Pumpe 7/faulty/train/a.wav", "Pumpe 7"),
        ("Halle 2/Pumpe 7/a.wav", "Halle 2/Pumpe 7"),
        ("audio/Test-01/7/wav/a.wav", "7"),
        ("test/normal_02/a.wav", None),
        ("a.wav", None),
    ],
)
def test_folders_are_machines(tmp_path, name, machine):
    touch(tmp_path / "recordings", name)
    clips = load_clip_folder(tmp_path / "recordings")
    assert clips.data.loc[0, ["machine_type", "section"]].tolist() == [machine, None]
    clips = load_clip_folder(tmp_path / "recordings", machines=None)
    assert clips.data.loc[0, ["machine_type", "section"]].tolist() == [None, None]


def test_each_machine_of_a_folder_has_a_model(tmp_path):
    rng = np.random.default_rng(0)
    for name in [f"{machine}/{index}.wav" for machine in ("Pumpe 7", "Lüfter Halle 2") for index in range(3)]:
        soundfile.write(touch(tmp_path, name) / name, 0.1 * rng.standard_normal(4000), 16000)
    detector = TWFRDetector(n_jobs=1)
    assert set(detector.fit(load_clip_folder(tmp_path).data).mixtures_) == {"Pumpe 7", "Lüfter Halle 2"}
    assert set(detector.fit(load_clip_folder(tmp_path, machines=None).data).mixtures_) == {""}


def test_machines_none_of_the_kinds_is_refused(tmp_path):
    with pytest.raises(ValueError, match="machines='names' is unknown; expected one of 'folders', None"):
        load_clip_folder(tmp_path, machines="names")


def test_real_mimii_recordings_load(real_data):
    clips = load_clip_folder(real_data / "mimii")
    assert set(zip(clips.data["machine_type"], clips.data["section"], strict=True)) == {("fan", "00")}
    assert clips.target.tolist() == [-1, -1, 1, 1]


def test_a_callable_labels_every_file(tmp_path):
    touch(tmp_path, "n1.wav", "a1.wav", "x1.wav", "y1.wav")
    known = {"n": "Normal", "a": -1, "x": None, "y": "Unknown"}
    clips = load_clip_folder(tmp_path, labels=lambda path: known[path.stem[0]])
    assert labels_by_name(clips, tmp_path) == {"n1.wav": 1, "a1.wav": -1, "x1.wav": 0, "y1.wav": 0}


@pytest.mark.parametrize("label", [2, "maybe", True, 0.5, ()])
def test_a_callable_that_returns_something_else_is_refused_with_the_file(tmp_path, label):
    touch(tmp_path, "a.wav")
    with pytest.raises(ValueError, match=r"of .*a\.wav: expected \+1 or 'normal'"):
        load_clip_folder(tmp_path, labels=lambda path: label)


def test_no_labels_at_all(tmp_path):
    assert load_clip_folder(touch(tmp_path, "bad/a.wav"), labels=None).target.tolist() == [0]


def test_a_csv_file_gives_labels_and_metadata(tmp_path):
    touch(tmp_path, "x/a.wav", "x/b.wav", "c.wav")
    file = write_labels(
        tmp_path,
        "path,label,machine_type,section,domain,attributes,split,operator",
        "x/a.wav,normal,pump,0,source,vel_6,train,Ida",
        "x\\b.wav,-1,pump,01,target,,test,Ida",
        "./c.wav,,,,,,,",
    )
    clips = load_clip_folder(tmp_path, labels=file)
    assert clips.data[COLUMNS[1:]].to_numpy().tolist() == [
        [None, None, None, None, None],
        ["pump", "00", "source", "vel_6", "train"],
        ["pump", "01", "target", None, "test"],
    ]
    assert clips.target.tolist() == [0, 1, -1]
    assert "Columns left out: operator." in clips.DESCR


def test_a_csv_file_without_a_column_keeps_what_the_folders_say(tmp_path):
    touch(tmp_path, "train/a.wav")
    clips = load_clip_folder(tmp_path, labels=write_labels(tmp_path, "path,label", "train/a.wav,1"))
    assert clips.data["split"].tolist() == ["train"]


def test_rows_without_a_file_are_listed(tmp_path):
    file = write_labels(touch(tmp_path, "a.wav"), "path,label", "a.wav,1", "b.wav,1", "c.wav,1")
    with pytest.raises(ValueError, match=r"2 rows of .* name no file of the folder: b\.wav, c\.wav"):
        load_clip_folder(tmp_path, labels=file)


def test_files_without_a_row_are_listed_and_shortened(tmp_path):
    touch(tmp_path, *(f"{i}.wav" for i in range(8)))
    with pytest.raises(ValueError, match=r"7 files have no row in .*: 1\.wav, .*5\.wav, and 2 more"):
        load_clip_folder(tmp_path, labels=write_labels(tmp_path, "path,label", "0.wav,1"))


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["path,state", "a.wav,1"], "has no column label; its columns: path, state"),
        (["path,label", "a.wav,1,2"], r"line 2: got 3 cells, but the header has 2"),
        (["path,label", "a.wav,1", "./a.wav,1"], r"line 3: a\.wav has two rows"),
        (["path,label,domain", "a.wav,1,near"], r"line 2: domain 'near' is none of \['source', 'target'\]"),
        (["path,label", "a.wav,odd"], r"Label 'odd' of a\.wav in .*labels\.csv"),
        ([], "has no column label or path"),
    ],
)
def test_a_csv_file_that_is_wrong_is_refused(tmp_path, lines, message):
    with pytest.raises(ValueError, match=message):
        load_clip_folder(touch(tmp_path, "a.wav"), labels=write_labels(tmp_path, *lines))


def test_labels_0_and_1_are_refused_as_ambiguous(tmp_path):
    file = write_labels(touch(tmp_path, "a.wav", "b.wav"), "path,label", "a.wav,0", "b.wav,1")
    with pytest.raises(ValueError, match="reads the other way round"):
        load_clip_folder(tmp_path, labels=file)


@pytest.mark.parametrize("labels", ["normal", 3])
def test_labels_that_are_none_of_the_kinds_are_refused(tmp_path, labels):
    with pytest.raises(ValueError, match="neither 'auto', a callable, the path of a csv file nor None"):
        load_clip_folder(touch(tmp_path, "a.wav"), labels=labels)


def test_suffixes_match_in_any_case_and_others_are_left_out(tmp_path):
    touch(tmp_path, "a.WAV", "b.Flac", "c.Mp3", "d.aif", "e.txt", "f.csv", "g.txt", "README")
    clips = load_clip_folder(tmp_path)
    assert [Path(path).name for path in clips.data["path"]] == ["a.WAV", "b.Flac", "c.Mp3", "d.aif"]
    assert "Files passed over: 1 .csv, 2 .txt, 1 without a suffix." in clips.DESCR


def test_recordings_that_cannot_be_read_are_named_in_a_warning(tmp_path):
    touch(tmp_path, "a.wav", "monday/b.M4A", "c.wma")
    with pytest.warns(
        UserWarning, match=r"(?s)2 recordings in .* left out.*c\.wma, monday/b\.M4A: convert to WAV.*ffmpeg"
    ):
        clips = load_clip_folder(tmp_path)
    assert len(clips.data) == 1


def test_chosen_extensions_warn_of_nothing(tmp_path):
    touch(tmp_path, "a.wav", "b.m4a")
    assert len(load_clip_folder(tmp_path, extensions="wav").data) == 1


def test_folder_of_recordings_in_another_format_only_says_how_to_convert(tmp_path):
    touch(tmp_path, "a.m4a", "b.m4a")
    with pytest.raises(
        ValueError, match=r"(?s)Passed over: 2 \.m4a.*does not read a\.m4a, b\.m4a: convert to WAV or FLAC"
    ):
        load_clip_folder(tmp_path)


@pytest.mark.parametrize("extensions", [5, [], [1], np.nan])
def test_extensions_that_are_no_suffixes_are_refused(tmp_path, extensions):
    with pytest.raises(TypeError, match=r"extensions=.*a suffix such as '\.wav'"):
        load_clip_folder(touch(tmp_path, "a.wav"), extensions=extensions)


def test_extensions_can_be_chosen(tmp_path):
    touch(tmp_path, "a.wav", "b.aiff")
    for extensions in ["aiff", [".AIFF"]]:
        clips = load_clip_folder(tmp_path, extensions=extensions)
        assert [Path(path).name for path in clips.data["path"]] == ["b.aiff"]


def test_hidden_files_and_folders_are_left_out(tmp_path):
    touch(tmp_path, "a.wav", "._a.wav", ".trash/b.wav")
    assert len(load_clip_folder(tmp_path).data) == 1


def test_a_link_to_a_folder_above_does_not_go_round_in_circles(tmp_path):
    touch(tmp_path, "sub/a.wav")
    (tmp_path / "sub" / "loop").symlink_to(tmp_path, target_is_directory=True)
    assert len(load_clip_folder(tmp_path).data) == 1


def test_a_folder_without_recordings_names_folder_and_extensions(tmp_path):
    touch(tmp_path, "notes.txt")
    with pytest.raises(
        ValueError, match=rf"No file ending in \.wav or .* in the folder {tmp_path} or below it\. Passed over: 1 \.txt"
    ):
        load_clip_folder(tmp_path)


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"There is no folder .*nowhere"):
        load_clip_folder(tmp_path / "nowhere")


def test_a_file_where_a_folder_is_expected(tmp_path):
    with pytest.raises(NotADirectoryError, match=r"a\.wav is a file"):
        load_clip_folder(touch(tmp_path, "a.wav") / "a.wav")


def test_a_relative_folder_gives_absolute_paths(tmp_path, monkeypatch):
    touch(tmp_path, "ok/a.wav", "here/b.txt")
    monkeypatch.chdir(tmp_path / "here")
    assert load_clip_folder("../ok").data["path"].tolist() == [str(tmp_path.resolve() / "ok" / "a.wav")]


def test_x_and_y_are_the_table_and_the_target(tmp_path):
    touch(tmp_path, "ok/a.wav", "bad/b.wav")
    data, target = load_clip_folder(tmp_path, return_X_y=True)
    assert data.equals(load_clip_folder(tmp_path).data)
    assert target.tolist() == [-1, 1]


def test_the_description_counts_clips(tmp_path):
    touch(tmp_path, "fan/id_00/normal/a.wav", "fan/id_00/normal/b.wav", "fan/id_00/abnormal/c.wav", "d.wav")
    lines = [line.split() for line in load_clip_folder(tmp_path).DESCR.splitlines()]
    assert ["fan", "00", "-", "3", "2", "1", "0"] in lines
    assert ["-", "-", "-", "1", "0", "0", "1"] in lines


cells = st.text(st.characters(blacklist_categories=("C", "Z")), max_size=8)  # no control characters, no white space


@given(st.lists(st.tuples(cells, st.sampled_from(["normal", "-1", ""]), st.sampled_from(["source", "target", ""]))))
def test_metadata_survives_a_csv_file(tmp_path_factory, drawn):
    folder = touch(tmp_path_factory.mktemp("clips"), "0.wav", *(f"{i}.wav" for i in range(len(drawn))))
    drawn = drawn or [("", "", "")]
    quoted = [attributes.replace('"', '""') for attributes, _, _ in drawn]
    rows = [f'{i}.wav,{label},{domain},"{quoted[i]}"' for i, (_, label, domain) in enumerate(drawn)]
    clips = load_clip_folder(folder, labels=write_labels(folder, "path,label,domain,attributes", *rows))
    number = [int(Path(path).stem) for path in clips.data["path"]]
    assert clips.data["attributes"].tolist() == [drawn[i][0] or None for i in number]
    assert clips.data["domain"].tolist() == [drawn[i][2] or None for i in number]
    assert clips.target.tolist() == [{"normal": 1, "-1": -1, "": 0}[drawn[i][1]] for i in number]


def test_subfolders_that_a_training_leaves_out_are_warned_about(tmp_path):
    touch(tmp_path, "normal/a.wav", "normal_speed/b.wav", "normal_speed/c.wav", "slow/d.wav")
    with pytest.warns(
        UserWarning, match=r"The 2 clip\(s\) in the folder 'normal_speed' and 1 more folders.*leaves them out"
    ):
        load_clip_folder(tmp_path)


def test_new_clips_and_clips_to_test_are_not_warned_about(tmp_path):
    load_clip_folder(touch(tmp_path, "normal/a.wav", "b.wav", "test/c.wav", "test_data/x/d.wav"))
    load_clip_folder(touch(tmp_path / "unknown", "a/a.wav", "b/b.wav"))
    load_clip_folder(touch(tmp_path / "faults", "fault/a.wav", "b/b.wav"))
