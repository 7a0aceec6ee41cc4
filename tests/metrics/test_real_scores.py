"""Anomaly scores of the whole DCASE 2020 ToyCar test set, with the numbers that their authors computed."""

import numpy as np
import pandas as pd
import pytest

from skasd.metrics import format_result_csv, parse_result_csv, score_table, summary_table


@pytest.fixture(scope="module")
def toycar(real_data):
    """Clip table with truth and scores, and the text of the authors' result file."""
    folder = real_data / "toycar2020_scores"
    if not (folder / "result.csv").is_file():
        pytest.skip(f"no real scores in {folder}")
    files = {name: folder / f"anomaly_score_ToyCar_id_{name}.csv" for name in ("01", "02", "03", "04")}
    tables = [pd.read_csv(path, names=["file_name", "anomaly_score"]).assign(section=k) for k, path in files.items()]
    clips = pd.concat(tables, ignore_index=True).assign(machine_type="ToyCar")
    clips["y_true"] = np.where(clips["file_name"].str.startswith("normal"), 1, -1)
    return clips, (folder / "result.csv").read_text()


def test_every_printed_digit_is_reproduced(toycar):
    clips, text = toycar
    scores = score_table(clips["y_true"], -clips["anomaly_score"], clips)
    printed = parse_result_csv(text)
    assert len(printed) == 4
    assert printed["section"].tolist() == scores["section"].tolist()
    assert clips.groupby("section").size().tolist() == [614, 615, 615, 615]
    np.testing.assert_allclose(scores["auc"], printed["AUC"], rtol=0, atol=3e-16)
    np.testing.assert_allclose(scores["pauc"], printed["pAUC"], rtol=0, atol=3e-16)


def test_average_line_is_the_official_column(toycar):
    clips, text = toycar
    printed = [float(cell) for cell in text.split("Average,")[1].split()[0].split(",")]
    row = summary_table(clips["y_true"], -clips["anomaly_score"], clips, year=2020).iloc[0]
    assert [row["auc_official"], row["pauc_official"]] == pytest.approx(printed, abs=3e-16)


def test_result_file_has_the_layout_of_the_authors(toycar):
    clips, text = toycar
    ours = format_result_csv(clips["y_true"], -clips["anomaly_score"], clips, year=2020)
    cut = [[cell[:15] for cell in line.split(",")] for line in ours.split("\n")]
    assert cut == [[cell[:15] for cell in line.split(",")] for line in text.split("\n")]
