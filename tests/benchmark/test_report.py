import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib import image

from skasd.benchmark import published_results, report, run_suite
from skasd.benchmark._published import beside_published
from skasd.benchmark._report import markdown, result_table
from skasd.benchmark._results import Results
from skasd.detectors import TWFRDetector
from skasd.metrics import auc_score


@pytest.fixture(scope="module")
def results_once(suite, tmp_path_factory):
    folder = tmp_path_factory.mktemp("suite") / "results"
    run_suite(suite, folder)
    return folder


@pytest.fixture
def results(results_once, tmp_path):
    """Results of the suite, which a test may damage."""
    return Path(shutil.copytree(results_once, tmp_path / "results"))


IDS = {"ToyCar": ("01", "02", "03", "04"), "ToyConveyor": ("01", "02", "03")}


def row_of(machines, year=2020, published=(), sections=None, **changes):
    """A result with such AUC of every section by machine type."""
    figures = ("score_official", "auc_official", "auc_pooled", "auc_worst_section", "pauc_official", "pauc_pooled")
    summary = [
        {"machine_type": name, "n_sections": 1, "pauc_worst_section": value, **dict.fromkeys(figures, value)}
        for name, value in {**machines, "ALL": np.mean(list(machines.values()))}.items()
    ]
    metric = {2020: "auc", 2021: "auc_source"}.get(year, "auc_target")
    parts = [
        {"machine_type": name, "section": section, "metric": metric, "value": value}
        for name, value in machines.items()
        for section in sections or (IDS.get(name, ("00", "02", "04", "06")) if year == 2020 else ("00", "01", "02"))
    ]
    shared = {
        "data": "d",
        "detector": "TWFR",
        "seed": 0,
        "subset": "dev",
        "official_score": summary[-1]["score_official"],
    }
    return {**shared, "year": year, "machines": summary, "official_parts": parts, "published": published, **changes}


def test_report_has_every_machine_and_detector(results):
    text = report(results)
    for word in (
        "rotating",
        "valves",
        "TWFR",
        "autoencoder",
        "fan",
        "pump",
        "AUC worst section",
        "last weights of the epoch with the lowest validation loss, 2 at most",
    ):
        assert word in text
    assert text.count("## ") == 2


def test_figures_are_means_over_seeds(results):
    rows = Results(results).rows()
    table = result_table(rows).set_index(["data", "machine_type", "detector"])
    by_seed = [
        auc_score(scores["y_true"], scores["score_samples"])
        for row in rows
        if (row["data"], row["detector"]) == ("rotating", "autoencoder")
        for scores in [Results(results).scores(row).query("machine_type == 'fan'")]
    ]
    figures = table.loc[("rotating", "fan", "autoencoder")]
    assert figures["auc_official_mean"] == pytest.approx(np.mean(by_seed))
    assert figures["auc_official_std"] == pytest.approx(np.std(by_seed, ddof=1))
    assert figures["n_seeds"] == 2


def test_report_writes_text_numbers_and_a_picture(results, tmp_path):
    text = report(results, out=tmp_path / "out")
    assert (tmp_path / "out/report.md").read_text() == text
    numbers = pd.read_csv(tmp_path / "out/report.csv")
    assert len(numbers) == 2 * (3 + 2)
    picture = image.imread(tmp_path / "out/report.png")
    assert picture.shape[1] > 1000
    assert picture.std() > 0.05


def test_two_detectors_are_compared_in_pairs(results):
    text = report(results, compare=("TWFR", "autoencoder"), n_resamples=20)
    assert "## Paired bootstrap" in text
    assert text.count("| TWFR | autoencoder | 2 |") == 2


def test_wrong_comparisons_are_named(results):
    with pytest.raises(ValueError, match="compare: magic has no results; there are results of TWFR, autoencoder"):
        report(results, compare=("TWFR", "magic"))
    with pytest.raises(ValueError, match="the names of two detectors are expected"):
        report(results, compare=("TWFR",))


def test_an_empty_folder_says_what_to_do(tmp_path):
    with pytest.raises(FileNotFoundError, match="has no results; make some with run_suite"):
        report(tmp_path)


def test_two_settings_under_one_name_are_told(suite, results):
    run_suite(dataclasses.replace(suite, detectors={"TWFR": TWFRDetector(r=1.0)}), results)
    with pytest.warns(UserWarning, match="the last ones are reported: TWFR on rotating, TWFR on valves"):
        report(results)


def test_two_settings_are_never_averaged(suite, results):
    """One seed of another setting: the report is of that seed alone, or of the suite that is asked for."""
    other = dataclasses.replace(suite, detectors={"TWFR": TWFRDetector(r=1.0)}, seeds=(0,))
    table = run_suite(other, results)
    with pytest.warns(UserWarning, match="the last ones are reported"):
        text = report(results)
    line = next(line for line in text.splitlines() if line.startswith("| TWFR"))
    assert line.endswith("| 1 |")
    assert report(results, keys=table["key"]).count("autoencoder") == 0
    first = run_suite(suite, results)
    assert report(results, keys=set(first["key"])).count("| 2 |\n") == 4


def test_a_broken_line_is_named(results):
    with (results / "results.jsonl").open("a") as file:
        file.write("no json\n")
    with pytest.raises(ValueError, match="line 9 is not valid JSON"):
        report(results)
    (results / "results.jsonl").write_text('{"a": 1}\n')
    with pytest.raises(ValueError, match="line 1 is not a result of a suite"):
        report(results)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda row: row["machines"][0].pop("machine_type"), r"machine_type of machines\[0\] is missing"),
        (lambda row: row.update(machines=[]), "machines is empty"),
        (lambda row: row.update(machines=[3]), r"machines\[0\] is no object"),
        (lambda row: row["machines"][1].update(auc_official="high"), r"auc_official of machines\[1\] is 'high'"),
        (lambda row: row["official_parts"][0].pop("value"), r"value of official_parts\[0\] is missing"),
        (lambda row: row.pop("published"), "published is missing"),
        (lambda row: row.update(date=None), "date is None"),
        (lambda row: row.update(seed=True), "seed is True"),
    ],
)
def test_a_damaged_line_is_named_with_the_field(results, damage, reason):
    file = results / "results.jsonl"
    row = json.loads(file.read_text().splitlines()[2])
    damage(row)
    with file.open("a") as stream:
        stream.write(json.dumps(row) + "\n")
    with pytest.raises(
        ValueError, match=rf"results.jsonl, line 9 is not a result of a suite: {reason}. Remove the line."
    ):
        report(results)


@pytest.mark.parametrize("line", ["[1]", "3", "null", "[" * 100_000])
def test_a_line_that_is_no_object_is_named(results, line):
    with (results / "results.jsonl").open("a") as stream:
        stream.write(line + "\n")
    with pytest.raises(ValueError, match=r"results.jsonl, line 9 is not"):
        report(results)


def test_published_figures_of_2020_stand_beside_ours():
    machines = {"ToyCar": 0.9, "fan": 0.8}
    rows = [row_of(machines, published=["dcase2020-ae"], seed=seed) for seed in (0, 1)]
    table = beside_published(rows).set_index(["machine_type", "section", "metric", "aggregation"])
    mean = table.loc[("ToyCar", "ALL", "auc", "amean_ids")]
    theirs = published_results().query("system == 'dcase2020-ae' and machine_type == 'ToyCar' and section == 'ALL'")
    expected = theirs.set_index("metric").loc["auc", "value"]
    assert (mean["ours"], mean["published"], mean["n_seeds"]) == (0.9, expected, 2)
    assert mean["difference"] == pytest.approx(0.9 - expected)
    assert table.loc[("ToyCar", "01", "auc", "per_id"), "published"] == pytest.approx(0.828474)
    assert "ALL" not in table.index.get_level_values("machine_type")


def test_a_mean_over_sections_needs_all_of_them():
    table = beside_published([row_of({"ToyCar": 0.9}, sections=("01", "02"), published=["dcase2020-ae"])])
    assert set(table["section"]) == {"01", "02"}


def test_means_of_all_machines_need_all_of_them():
    types = ("ToyCar", "ToyConveyor", "fan", "pump", "slider", "valve")
    rows = [row_of(dict.fromkeys(types, 0.9), published=["os-scl-tfstgram"])]
    table = beside_published(rows).set_index(["machine_type", "metric", "aggregation"])
    assert table.loc[("ALL", "auc", "amean_types"), "ours"] == pytest.approx(0.9)
    assert table.loc[("fan", "auc", "pooled_ids"), "ours"] == 0.9


def test_published_figures_of_later_years_are_official_scores():
    published = published_results().query("system == 'joint-ae-cnn-mbv2' and aggregation == 'hmean_machine'")
    machines = dict.fromkeys(published["machine_type"], 0.6)
    table = beside_published([row_of(machines, year=2021, published=["joint-ae-cnn-mbv2"])])
    assert set(table["aggregation"]) == {"hmean_machine", "official"}
    assert len(table) == len(machines) + 1


def test_clips_that_no_published_figure_is_of_have_none():
    assert beside_published([row_of({"fan": 0.9}, published=["dcase2020-ae"], subset=None)]).empty


@pytest.mark.parametrize(
    ("machine", "year", "others", "system"),
    [("ToyDrone", 2023, (2026,), "dcase2023-ae-mse"), ("ToothBrush", 2024, (2026,), "dcase2024-ae-mse")],
)
def test_published_figures_of_a_machine_type_are_those_of_its_year(machine, year, others, system):
    row = row_of({machine: 0.5}, year=year, published=[system], sections=("00",), subset="eval")
    ours = beside_published([row])
    assert set(ours["machine_type"]) == {machine}
    for other in others:
        assert beside_published([{**row, "year": other}]).empty
    assert beside_published([{**row, "subset": "dev"}]).empty


def test_results_of_two_years_under_one_name_are_not_averaged(results):
    file = results / "results.jsonl"
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    rows[0] |= {"year": 2026, "subset": "eval"}
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(ValueError, match=r"'rotating' are of 2020 and 2026 eval, which have other recordings"):
        report(results)
    assert report(results, keys=[rows[0]["key"]])


def test_published_results_are_fractions_with_a_source():
    table = published_results()
    assert len(table) == 1538
    assert table["value"].between(0, 1).all()
    assert (table["source"] != "").all()
    assert not table.duplicated(["year", "subset", "system", "machine_type", "section", "metric", "aggregation"]).any()


def test_tables_are_markdown():
    table = pd.DataFrame({"a": [1], "b": ["x"]})
    assert markdown(table) == "| a | b |\n|---|---|\n| 1 | x |"
