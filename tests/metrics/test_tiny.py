"""Every row of the tiny tables, which were made with exact fractions."""

import numpy as np
import pandas as pd
import pytest

from skasd.metrics import (
    aggregate_score,
    arithmetic_mean,
    auc_score,
    harmonic_mean,
    official_score,
    official_table,
    partial_auc_score,
    score_table,
    summary_table,
)

DEFINITIONS = {"pauc": "standardized", "pauc_area": "area", "pauc_printed": "printed"}
CLOSE = {"rel": 1e-12, "abs": 0}


def rows_with(expected, *aggregations):
    return expected[expected["aggregation"].isin(aggregations)].reset_index(drop=True)


def clips_of(tiny, row):
    """Clips of the section, machine type or table that an expected row speaks of."""
    clips = tiny[tiny["table"].isin(row["table"].split("+"))]
    for column in ("machine_type", "section"):
        if row[column] != "ALL":
            clips = clips[clips[column] == row[column]]
    return clips


def test_all_rows_are_covered_by_the_tests_below(tiny_expected):
    counts = tiny_expected["aggregation"].value_counts().to_dict()
    assert counts == {
        "per_id": 28,
        "per_section_domain": 16,
        "per_section": 24,
        "amean_ids": 6,
        "min_id": 3,
        "pooled_ids": 6,
        "hmean_machine": 4,
        "hmean_all": 8,
        "amean_all": 8,
        "official": 3,
        "amean_types": 3,
        "hmean_machine_floor_eps": 1,
    }


def test_sections_without_domains_give_the_exact_values(tiny, tiny_expected):
    n_undefined = 0
    for _, row in rows_with(tiny_expected, "per_id").iterrows():
        clips = clips_of(tiny, row)
        y_true, score_samples = clips["y_true"], clips["score_samples"]
        assert ((y_true == 1).sum(), (y_true == -1).sum()) == (row["n_normal"], row["n_anomaly"])
        if row["metric"] == "auc":
            assert auc_score(y_true, score_samples) == pytest.approx(row["value"], **CLOSE)
        elif np.isnan(row["value"]):
            n_undefined += 1
            with pytest.raises(ValueError, match=r"undefined: floor\(max_fpr \* n_normal\)"):
                partial_auc_score(y_true, score_samples, definition=DEFINITIONS[row["metric"]])
        else:
            value = partial_auc_score(y_true, score_samples, definition=DEFINITIONS[row["metric"]])
            assert value == pytest.approx(row["value"], **CLOSE)
    assert n_undefined == 2


@pytest.mark.parametrize("definition", ["standardized", "area"])
def test_domain_columns_of_2021_are_same_domain(tiny, tiny_expected, definition):
    rows = rows_with(tiny_expected, "per_section_domain")
    name = {"standardized": "pauc", "area": "pauc_area"}[definition]
    rows = rows[rows["metric"].str.fullmatch(f"(auc|{name})_(source|target)")]
    clips = tiny[tiny["table"] == "t3"]
    scores = score_table(clips["y_true"], clips["score_samples"], clips, year=2021, definition=definition)
    scores = scores.set_index("section")
    assert len(rows) == 8
    for _, row in rows.iterrows():
        assert scores.loc[row["section"], row["metric"]] == pytest.approx(row["value"], **CLOSE)


def test_printed_partial_auc_of_one_domain(tiny, tiny_expected):
    rows = tiny_expected[tiny_expected["metric"].str.startswith("pauc_printed_")]
    assert len(rows) == 4
    for _, row in rows.iterrows():
        clips = clips_of(tiny, row)
        clips = clips[clips["domain"] == row["metric"].rpartition("_")[2]]
        if np.isnan(row["value"]):
            with pytest.raises(ValueError, match="undefined"):
                partial_auc_score(clips["y_true"], clips["score_samples"], definition="printed")
        else:
            value = partial_auc_score(clips["y_true"], clips["score_samples"], definition="printed")
            assert value == pytest.approx(row["value"], **CLOSE)


@pytest.mark.parametrize("year, name", [(2022, "t4"), (2023, "t5")])
@pytest.mark.parametrize("definition", ["standardized", "area", "printed"])
def test_sections_with_domains_give_the_exact_values(tiny, tiny_expected, year, name, definition):
    rows = rows_with(tiny_expected, "per_section")
    pauc = {value: key for key, value in DEFINITIONS.items()}[definition]
    rows = rows[(rows["table"] == name) & rows["metric"].isin(["auc_all", "auc_source", "auc_target", pauc])]
    clips = tiny[tiny["table"] == name]
    scores = score_table(clips["y_true"], clips["score_samples"], clips, year=year, definition=definition)
    scores = scores.rename(columns={"auc": "auc_all"}).set_index(["machine_type", "section"])
    assert len(rows) == 8
    for _, row in rows.iterrows():
        value = scores.loc[(row["machine_type"], row["section"]), row["metric"]]
        assert value == pytest.approx(row["value"], **CLOSE)


@pytest.mark.parametrize("year, name", [(2021, "t3"), (2022, "t4"), (2023, "t5")])
def test_official_table_counts_the_clips_of_each_number(tiny, tiny_expected, year, name):
    clips = tiny[tiny["table"] == name]
    parts = official_table(clips["y_true"], clips["score_samples"], clips, year=year)
    keys = ["machine_type", "section", "metric"]
    merged = parts.merge(tiny_expected[tiny_expected["table"] == name], on=keys, suffixes=("", "_exact"))
    assert len(merged) == len(parts) == {2021: 8, 2022: 6, 2023: 6}[year]
    np.testing.assert_allclose(merged["value"], merged["value_exact"], rtol=1e-12)
    np.testing.assert_array_equal(merged["n_normal"], merged["n_normal_exact"])
    np.testing.assert_array_equal(merged["n_anomaly"], merged["n_anomaly_exact"])


@pytest.mark.parametrize(
    "aggregation, name", [("amean_ids", "official"), ("pooled_ids", "pooled"), ("min_id", "worst_section")]
)
def test_machine_types_of_2020_give_the_exact_values(tiny, tiny_expected, aggregation, name):
    rows = rows_with(tiny_expected, aggregation)
    for _, row in rows.iterrows():
        clips = clips_of(tiny, row)
        metric = row["metric"].replace("mauc", "auc")
        summary = summary_table(clips["y_true"], clips["score_samples"], clips, year=2020)
        assert list(summary["machine_type"]) == [row["machine_type"], "ALL"]
        np.testing.assert_allclose(summary[f"{metric}_{name}"], row["value"], rtol=1e-12)
    assert len(rows) == {"amean_ids": 6, "pooled_ids": 6, "min_id": 3}[aggregation]


def test_last_row_of_2020_is_the_mean_over_machine_types(tiny, tiny_expected):
    rows = rows_with(tiny_expected, "amean_types").set_index("metric")["value"]
    clips = tiny[tiny["table"].isin(["t1", "t2"])]
    last = summary_table(clips["y_true"], clips["score_samples"], clips, year=2020).iloc[-1]
    assert last["auc_official"] == pytest.approx(rows["auc"], **CLOSE)
    assert last["pauc_official"] == pytest.approx(rows["pauc"], **CLOSE)
    assert last["auc_worst_section"] == pytest.approx(rows["mauc"], **CLOSE)


def test_official_score_of_2020_is_the_mean_of_both_means(tiny, tiny_expected):
    rows = rows_with(tiny_expected, "amean_types").set_index("metric")["value"]
    clips = tiny[tiny["table"].isin(["t1", "t2"])]
    value = official_score(clips["y_true"], clips["score_samples"], clips, year=2020)
    assert value == pytest.approx((rows["auc"] + rows["pauc"]) / 2, **CLOSE)


@pytest.mark.parametrize("metric", ["auc", "partial_auc"])
@pytest.mark.parametrize("aggregation, name", [("official", "official"), ("pooled", "pooled")])
def test_aggregate_score_is_the_last_row_of_the_summary(tiny, metric, aggregation, name):
    clips = tiny[tiny["table"].isin(["t1", "t2", "t6"])]
    last = summary_table(clips["y_true"], clips["score_samples"], clips, year=2020).iloc[-1]
    value = aggregate_score(clips["y_true"], clips["score_samples"], clips, metric=metric, aggregation=aggregation)
    assert value == pytest.approx(last[f"{metric.replace('partial_auc', 'pauc')}_{name}"], **CLOSE)


@pytest.mark.parametrize("year, name", [(2021, "t3"), (2022, "t4"), (2023, "t5")])
def test_omega_and_the_means_behind_it(tiny, tiny_expected, year, name):
    clips = tiny[tiny["table"] == name]
    parts = official_table(clips["y_true"], clips["score_samples"], clips, year=year)
    summary = summary_table(clips["y_true"], clips["score_samples"], clips, year=year).set_index("machine_type")
    means = {"hmean_all": harmonic_mean, "amean_all": arithmetic_mean}
    rows = rows_with(tiny_expected[tiny_expected["table"] == name], "official", "hmean_machine", *means)
    for _, row in rows.iterrows():
        if row["metric"] == "omega":
            value = summary.loc[row["machine_type"], "score_official"]
        else:
            chosen = parts["metric"].str.startswith(row["metric"])
            value = means[row["aggregation"]](parts["value"][chosen])
        assert value == pytest.approx(row["value"], **CLOSE)
    assert len(rows) == {2021: 6, 2022: 8, 2023: 9}[year]
    omega = rows.loc[rows["aggregation"] == "official", "value"].item()
    assert official_score(clips["y_true"], clips["score_samples"], clips, year=year) == pytest.approx(omega, **CLOSE)


def test_harmonic_mean_of_an_auc_of_zero_has_the_official_floor(tiny, tiny_expected):
    row = rows_with(tiny_expected, "hmean_machine_floor_eps").iloc[0]
    clips = clips_of(tiny, row)
    scores = score_table(clips["y_true"], clips["score_samples"], clips)
    assert scores["auc"].min() == 0
    assert harmonic_mean(scores["auc"]) == pytest.approx(row["value"], rel=1e-12)


def test_row_order_changes_nothing(tiny):
    clips = tiny[tiny["table"] == "t5"]
    shuffled = clips.sample(frac=1, random_state=0)
    tables = [score_table(c["y_true"], c["score_samples"], c, year=2023) for c in (clips, shuffled)]
    pd.testing.assert_frame_equal(*tables)
