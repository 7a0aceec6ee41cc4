import numpy as np
import pandas as pd
import pytest

from skasd.metrics import (
    aggregate_score,
    auc_score,
    score_table,
)

DOMAIN_CLIPS = pd.DataFrame({
    "domain": ["source"] * 4 + ["target"] * 2 + ["source"] * 2 + ["target"] * 2,
    "y": [1] * 6 + [-1] * 4,
    "anomaly_score": [1, 2, 3, 4, 5, 6, 3.5, 7, 4.5, 8],
})  # fmt: skip


def scores_of(table, y_true, score_samples, **options):
    return score_table(y_true, score_samples, table, **options)


def test_domain_auc_since_2022_takes_all_anomalies():
    row = score_table(DOMAIN_CLIPS["y"], -DOMAIN_CLIPS["anomaly_score"], DOMAIN_CLIPS, year=2022).iloc[0]
    assert (row["auc_source"], row["auc_target"]) == (0.9375, 0.5)
    assert row["auc"] == pytest.approx(0.791667, abs=5e-7)


def test_domain_auc_of_2021_takes_its_own_anomalies():
    row = score_table(DOMAIN_CLIPS["y"], -DOMAIN_CLIPS["anomaly_score"], DOMAIN_CLIPS, year=2021).iloc[0]
    assert (row["auc_source"], row["auc_target"]) == (0.875, 0.5)


def test_auc_is_the_weighted_mean_of_the_domain_aucs(scored_clips):
    table, y_true, score_samples = scored_clips
    keep = np.arange(len(y_true)) % 5 != 0  # unequal numbers
    scores = score_table(y_true[keep], score_samples[keep], table[keep], year=2023)
    normal = table[keep & (y_true == 1)].groupby(["machine_type", "section", "domain"]).size().to_numpy().reshape(4, 2)
    mean = (normal * scores[["auc_source", "auc_target"]]).sum(axis=1) / normal.sum(axis=1)
    np.testing.assert_allclose(scores["auc"], mean)
    assert (normal[:, 0] != normal[:, 1]).any()


def test_without_a_table_all_clips_are_one_section(scored_clips):
    _, y_true, score_samples = scored_clips
    scores = score_table(y_true, score_samples)
    assert scores["auc"].tolist() == [auc_score(y_true, score_samples)]
    assert scores["section"].isna().all()


def test_table_without_known_sections_is_one_section(scored_clips):
    table, y_true, score_samples = scored_clips
    scores = score_table(
        y_true, score_samples, table.assign(machine_type=None, section=None)[["machine_type", "section"]]
    )
    assert len(scores) == 1


def test_machine_types_with_equal_sections_stay_apart(scored_clips):
    table, y_true, score_samples = scored_clips
    scores = score_table(y_true, score_samples, table)
    assert list(zip(scores["machine_type"], scores["section"], strict=True)) == [
        ("fan", "00"),
        ("fan", "02"),
        ("pump", "00"),
        ("pump", "02"),
    ]
    assert scores["n_normal"].tolist() == [12] * 4


def test_table_index_plays_no_part(scored_clips):
    table, y_true, score_samples = scored_clips
    repeated = table.set_index(np.zeros(len(table), dtype=int))
    pd.testing.assert_frame_equal(
        score_table(y_true, score_samples, repeated), score_table(y_true, score_samples, table)
    )


def test_categorical_columns_make_no_empty_sections(scored_clips):
    table, y_true, score_samples = scored_clips
    section = pd.Categorical(table["section"], categories=["00", "01", "02"])
    assert len(score_table(y_true, score_samples, table.assign(section=section))) == 4


def test_columns_that_split_can_be_chosen(scored_clips):
    table, y_true, score_samples = scored_clips
    assert score_table(y_true, score_samples, table, by="domain", year=2020)["domain"].tolist() == ["source", "target"]


def test_definition_of_the_partial_auc_names_its_column(scored_clips):
    table, y_true, score_samples = scored_clips
    scores = score_table(y_true, score_samples, table, year=2021, definition="area")
    assert list(scores.columns[-6:]) == [
        "auc",
        "pauc_area",
        "auc_source",
        "pauc_area_source",
        "auc_target",
        "pauc_area_target",
    ]


def test_domain_that_a_section_lacks_is_nan_without_a_year(scored_clips):
    table, y_true, score_samples = scored_clips
    keep = ~((table["section"] == "02") & (table["domain"] == "target"))
    scores = score_table(y_true[keep], score_samples[keep], table[keep])
    assert scores["auc_target"].isna().tolist() == [False, True, False, True]
    assert scores["auc"].notna().all()


def test_unknown_words_for_domains_are_refused(scored_clips):
    table, y_true, score_samples = scored_clips
    with pytest.raises(ValueError, match="domain holds 'Target'"):
        score_table(y_true, score_samples, table.replace({"domain": {"target": "Target"}}))


@pytest.mark.parametrize("function", [scores_of, lambda t, y, s, **o: aggregate_score(y, s, t, **o)])
def test_one_class_section_raises_and_is_named(scored_clips, function):
    table, y_true, score_samples = scored_clips
    keep = ~((table["machine_type"] == "pump") & (table["section"] == "02") & (y_true == -1))
    with pytest.raises(ValueError, match="machine_type 'pump', section '02': 12 normal and 0 anomalous clips"):
        function(table[keep], y_true[keep], score_samples[keep])


def test_one_class_section_is_skipped_with_a_warning(scored_clips):
    table, y_true, score_samples = scored_clips
    keep = ~((table["section"] == "02") & (y_true == -1) & (table["machine_type"] == "fan"))
    with pytest.warns(UserWarning, match="machine_type 'fan', section '02': .* skipped"):
        scores = score_table(y_true[keep], score_samples[keep], table[keep], one_class="skip")
    expected = score_table(y_true, score_samples, table).drop(index=1).reset_index(drop=True)
    pd.testing.assert_frame_equal(scores, expected)


def test_nothing_left_after_skipping_raises():
    with pytest.warns(UserWarning, match="skipped"), pytest.raises(ValueError, match="Every section was skipped"):
        score_table([1, 1], [1.0, 2.0], one_class="skip")
