import csv
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from skasd.datasets import parse_clip_name, read_dcase_scores, save_dcase_scores

COLUMNS = ["machine_type", "section", "domain", "file_name", "score"]


def clip_table(*rows, columns=("path", "machine_type", "section", "domain", "split")):
    return pd.DataFrame([list(row) for row in rows], columns=list(columns), dtype=object)


@pytest.fixture
def table():
    return clip_table(
        ["fan/test/section_00_0001.wav", "fan", "00", "source", "test"],
        ["fan/test/section_00_0000.wav", "fan", "00", "target", "test"],
        ["3DPrinter\\test\\section_00_0000.wav", "3DPrinter", "00", None, "test"],
    )


def test_a_file_is_rows_of_name_and_score_with_high_meaning_anomalous(table, tmp_path):
    save_dcase_scores(tmp_path, table, [-1.5, 2.0, 0.0], year=2023)
    written = (tmp_path / "anomaly_score_fan_section_00_test.csv").read_bytes()
    assert written == b"section_00_0000.wav,-2.0\nsection_00_0001.wav,1.5\n"
    assert (tmp_path / "anomaly_score_3DPrinter_section_00_test.csv").read_bytes() == b"section_00_0000.wav,0.0\n"


def test_a_decision_of_1_is_an_anomaly(table, tmp_path):
    save_dcase_scores(tmp_path, table, [0.0, 0.0, 0.0], year=2023, y_pred=[-1, 1, 1])
    written = (tmp_path / "decision_result_fan_section_00_test.csv").read_bytes()
    assert written == b"section_00_0000.wav,0\nsection_00_0001.wav,1\n"


@pytest.mark.parametrize(
    ("year", "name"),
    [(2020, "id_00"), (2021, "section_00_source_test"), (2022, "section_00_test"), (2026, "section_00_test")],
)
def test_files_are_named_as_the_year_asks(table, tmp_path, year, name):
    files = save_dcase_scores(tmp_path / "teams" / "mine", table.iloc[:1], [1.0], year=year)
    assert files == [tmp_path / "teams" / "mine" / f"anomaly_score_fan_{name}.csv"]
    assert files[0].is_file()


def test_in_2021_each_domain_has_its_file(table, tmp_path):
    files = save_dcase_scores(tmp_path, table.iloc[:2], [1.0, 2.0], year=2021, y_pred=np.array([1, -1]))
    units = ["section_00_source_test", "section_00_target_test"]
    kinds = ["anomaly_score", "decision_result"]
    assert [file.name for file in files] == [f"{kind}_fan_{unit}.csv" for kind in kinds for unit in units]


def test_nothing_but_the_files_is_left_and_files_are_replaced(table, tmp_path):
    save_dcase_scores(tmp_path, table, [1.0, 2.0, 3.0], year=2023)
    files = save_dcase_scores(tmp_path, table, [4.0, 5.0, 6.0], year=2023)
    assert sorted(tmp_path.iterdir()) == files
    assert read_dcase_scores(tmp_path)["score"].tolist() == [-6.0, -5.0, -4.0]


def test_a_score_survives_to_the_last_digit(table, tmp_path):
    scores = np.array([1 / 3, -1e-300, np.nextafter(1.0, 2.0)])
    save_dcase_scores(tmp_path, table, scores, year=2023)
    assert read_dcase_scores(tmp_path)["score"].tolist() == [-scores[2], -scores[1], -scores[0]]


REFUSED = [
    ({"score_samples": [1.0, 2.0]}, r"score_samples has shape \(2,\); the table has 3 clips"),
    ({"score_samples": [1.0, np.nan, 2.0]}, "score_samples of clip 1 is not finite"),
    ({"score_samples": [1.0, 2.0, -np.inf]}, "score_samples of clip 2 is not finite"),
    ({"y_pred": [0, 1, 1]}, r"expected 3 values that are \+1 or -1"),
    ({"y_pred": [1, 1]}, r"y_pred has shape \(2,\)"),
    ({"year": 2020, "y_pred": [1, 1, 1]}, "2020 has no decision files"),
    ({"year": 2021}, r"domain of 3DPrinter.* is None"),
    ({"year": 2019}, "2020 to 2026"),
]


@pytest.mark.parametrize(("change", "message"), REFUSED)
def test_what_is_wrong_is_refused_before_anything_is_written(table, tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        save_dcase_scores(tmp_path / "new", table, **{"score_samples": [1.0, 2.0, 3.0], "year": 2023, **change})
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("column", "cell"),
    [("machine_type", None), ("machine_type", "../fan"), ("section", np.nan), ("section", 0), ("section", "0")],
)
def test_a_cell_that_cannot_name_a_file_is_refused(table, tmp_path, column, cell):
    table.loc[1, column] = cell
    with pytest.raises(ValueError, match=rf"{column} of fan/test/section_00_0000\.wav is "):
        save_dcase_scores(tmp_path, table, [1.0, 2.0, 3.0], year=2023)


def test_a_table_without_a_column_it_needs_is_refused(table, tmp_path):
    with pytest.raises(ValueError, match="no column section; its columns: path, machine_type"):
        save_dcase_scores(tmp_path, table.drop(columns="section"), [1.0, 2.0, 3.0], year=2023)


@pytest.mark.parametrize("wrong", [[["a.wav", "fan", "00"]], pd.DataFrame({"path": []})])
def test_what_is_no_table_or_empty_is_refused(tmp_path, wrong):
    with pytest.raises(ValueError, match="Expected a clip table with at least one clip"):
        save_dcase_scores(tmp_path, wrong, [], year=2023)


def test_training_clips_are_refused(table, tmp_path):
    table.loc[0, "split"] = "train"
    with pytest.raises(ValueError, match="test clips only"):
        save_dcase_scores(tmp_path, table, [1.0, 2.0, 3.0], year=2023)


def test_two_clips_of_one_name_in_one_file_are_refused(table, tmp_path):
    table.loc[1, "path"] = "elsewhere/section_00_0001.wav"
    with pytest.raises(ValueError, match=r"Two clips of fan, section 00 are called 'section_00_0001\.wav'"):
        save_dcase_scores(tmp_path, table, [1.0, 2.0, 3.0], year=2023)


def test_a_write_that_fails_leaves_the_old_files_as_they_were(table, tmp_path):
    file = save_dcase_scores(tmp_path, table, [1.0, 2.0, 3.0], year=2023)[1]
    before = file.read_bytes()
    (tmp_path / ".decision_result_fan_section_00_test.csv.part").mkdir()  # cannot be written over
    with pytest.raises(OSError, match="decision_result_fan"):
        save_dcase_scores(tmp_path, table, [4.0, 5.0, 6.0], year=2023, y_pred=[1, 1, 1])
    assert file.read_bytes() == before
    assert not [path for path in tmp_path.glob(".*.part") if path.is_file()]


def test_scores_come_back_sorted_with_what_the_file_names_say(tmp_path):
    (tmp_path / "anomaly_score_fan_section_00_test.csv").write_text("b.wav,2\na.wav,1\n")
    (tmp_path / "anomaly_score_ToyCar_section_03_source_test.csv").write_text("c.wav,-3e2\n")
    (tmp_path / "decision_result_fan_section_00_test.csv").write_text("b.wav,1\na.wav,0\n")
    scores = read_dcase_scores(tmp_path)
    assert list(scores.columns) == COLUMNS
    assert scores.to_numpy().tolist() == [
        ["ToyCar", "03", "source", "c.wav", -300.0],
        ["fan", "00", None, "a.wav", 1.0],
        ["fan", "00", None, "b.wav", 2.0],
    ]
    assert scores["score"].dtype == float


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("anomaly_score_ToyConveyor_id_03.csv", ("ToyConveyor", "03", None)),
        ("anomaly_score_fan_section_05_target_test.csv", ("fan", "05", "target")),
        ("anomaly_score_3DPrinter_section_00_test.csv", ("3DPrinter", "00", None)),
        ("anomaly_score_fan_section_04.csv", ("fan", "04", None)),
        ("anomaly_score_DCASE2023T2bandsaw_section_00_test_seed13711_id(0_)_Eval.csv", ("bandsaw", "00", None)),
    ],
)
def test_names_of_score_files_of_every_year_are_understood(tmp_path, name, unit):
    (tmp_path / name).write_text("a.wav,1.0\n")
    scores = read_dcase_scores(tmp_path / name)
    assert tuple(scores.loc[0, ["machine_type", "section", "domain"]]) == unit


def test_a_list_of_files_is_read_in_full(tmp_path):
    files = [tmp_path / f"anomaly_score_fan_id_0{i}.csv" for i in range(3)]
    for file in files:
        file.write_text("a.wav,1.0\n")
    assert read_dcase_scores(files[:2])["section"].tolist() == ["00", "01"]


@pytest.mark.parametrize("row", ["a.wav", "a.wav,high", "a.wav,nan", "a.wav,inf", ",1.0", "a.wav,1,2"])
def test_a_malformed_row_is_named_with_file_and_line(tmp_path, row):
    (tmp_path / "anomaly_score_fan_section_00_test.csv").write_text(f"b.wav,1.0\n\n{row}\n")
    with pytest.raises(ValueError, match=r"fan_section_00_test\.csv, line 3: expected a file name and a number"):
        read_dcase_scores(tmp_path)


def test_a_clip_with_two_scores_is_refused_with_both_places(tmp_path):
    for name in ["anomaly_score_fan_section_00.csv", "anomaly_score_fan_section_00_test.csv"]:
        (tmp_path / name).write_text("a.wav,1.0\n")
    with pytest.raises(
        ValueError, match=r"00_test\.csv, line 1: a\.wav has a score already, in .*section_00\.csv, line 1"
    ):
        read_dcase_scores(tmp_path)


def test_an_empty_score_file_is_refused(tmp_path):
    (tmp_path / "anomaly_score_fan_section_00_test.csv").touch()
    with pytest.raises(ValueError, match="is empty"):
        read_dcase_scores(tmp_path)


def test_a_file_of_another_name_is_refused(tmp_path):
    (tmp_path / "result.csv").write_text("a.wav,1.0\n")
    with pytest.raises(ValueError, match="not named like a score file"):
        read_dcase_scores(tmp_path / "result.csv")


def test_a_folder_without_score_files_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"No anomaly_score_\*\.csv in"):
        read_dcase_scores(tmp_path)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="anomaly_score_fan_id_00"):
        read_dcase_scores(tmp_path / "anomaly_score_fan_id_00.csv")


def test_published_scores_give_their_published_auc(real_data):
    folder = real_data / "toycar2020_scores"
    scores = read_dcase_scores(folder)
    with (folder / "result.csv").open() as file:
        published = {row[0]: float(row[1]) for row in csv.reader(file) if row and row[0].isdigit()}
    assert set(published) == {"01", "02", "03", "04"}
    for section, rows in scores.groupby("section"):
        is_anomaly = [parse_clip_name(name, year=2020).label == "anomaly" for name in rows["file_name"]]
        assert roc_auc_score(is_anomaly, rows["score"]) == pytest.approx(published[section], abs=1e-15)


units = st.tuples(
    st.sampled_from(["fan", "ToyCar", "3DPrinter"]),
    st.integers(0, 99).map("{:02d}".format),
    st.sampled_from(["source", "target"]),
)
clips = st.tuples(
    units, st.integers(0, 9999), st.floats(allow_nan=False, allow_infinity=False), st.sampled_from([1, -1])
)


@given(st.sampled_from(range(2021, 2027)), st.lists(clips, min_size=1, max_size=20, unique_by=lambda clip: clip[:2]))
def test_scores_and_decisions_of_a_random_table_come_back(tmp_path_factory, year, drawn):
    folder = tmp_path_factory.mktemp("scores")
    units, _, scores, decisions = zip(*drawn, strict=True)
    stems = [f"section_{section}_{domain}_test_{index:04d}" for (_, section, domain), index, *_ in drawn]
    paths = [f"{unit[0]}/test/{stem}.wav" for unit, stem in zip(units, stems, strict=True)]
    table = clip_table(
        *([path, *unit] for path, unit in zip(paths, units, strict=True)), columns=["path", *COLUMNS[:3]]
    )

    files = save_dcase_scores(folder, table, np.array(scores), year=year, y_pred=decisions)

    back = read_dcase_scores(folder).set_index(COLUMNS[:2] + ["file_name"])
    assert len(back) == len(drawn)
    assert len(files) == 2 * len({unit if year == 2021 else unit[:2] for unit in units})
    for (machine, section, domain), path, score in zip(units, paths, scores, strict=True):
        row = back.loc[(machine, section, Path(path).name)]
        assert row["score"] == -score
        assert row["domain"] == (domain if year == 2021 else None)
        name = parse_clip_name(path, year=year)
        assert (name.machine_type, name.section, name.domain) == (machine, section, domain)
    n_anomalies = sum(line.endswith(",1") for f in files for line in f.read_text().split() if "decision" in f.name)
    assert n_anomalies == decisions.count(-1)
