import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skasd.metrics import (
    aggregate_score,
    auc_score,
    harmonic_mean,
    official_score,
    official_table,
    score_table,
    summary_table,
)


@given(st.floats(1.0, 1e6), st.integers(0, 2**32 - 1))
def test_offset_of_a_section_changes_the_pooled_auc_only(offset, seed):
    rng = np.random.default_rng(seed)
    y_true = np.tile([1, 1, 1, -1, -1, -1], 2)
    scores = np.where(y_true == 1, 1.0, 0.0) + rng.uniform(0, 0.5, 12)  # each section is told apart
    table = pd.DataFrame({"machine_type": "fan", "section": ["00"] * 6 + ["02"] * 6})
    shifted = scores + (1.0 + offset) * (table["section"] == "02").to_numpy()
    per_section = [aggregate_score(y_true, s, table, aggregation="mean_of_sections") for s in (scores, shifted)]
    assert per_section == [1.0, 1.0]
    assert aggregate_score(y_true, scores, table, aggregation="pooled") == 1.0
    assert aggregate_score(y_true, shifted, table, aggregation="pooled") == 0.75


def test_pooled_differs_from_sections_on_offset_scores(scored_clips):
    table, y_true, score_samples = scored_clips
    offset = score_samples + 100.0 * (table["section"] == "02")
    for aggregation in ("mean_of_sections", "official", "worst_section"):
        before = aggregate_score(y_true, score_samples, table, aggregation=aggregation)
        assert aggregate_score(y_true, offset, table, aggregation=aggregation) == before
    pooled = aggregate_score(y_true, score_samples, table, aggregation="pooled")
    assert aggregate_score(y_true, offset, table, aggregation="pooled") < pooled - 0.05


def test_mean_of_sections_counts_sections_and_official_counts_machine_types(scored_clips):
    table, y_true, score_samples = scored_clips
    keep = ~((table["machine_type"] == "pump") & (table["section"] == "02")).to_numpy()
    clips = y_true[keep], score_samples[keep], table[keep]
    fan_00, fan_02, pump_00 = score_table(*clips)["auc"]
    assert aggregate_score(*clips) == pytest.approx((fan_00 + fan_02 + pump_00) / 3)
    assert aggregate_score(*clips, aggregation="official") == pytest.approx(((fan_00 + fan_02) / 2 + pump_00) / 2)
    assert fan_00 != fan_02


def test_machine_types_never_share_a_roc_curve(scored_clips):
    table, y_true, score_samples = scored_clips
    offset = score_samples + 100.0 * (table["machine_type"] == "pump")
    before, after = (summary_table(y_true, s, table, year=2023) for s in (score_samples, offset))
    pd.testing.assert_frame_equal(before, after)


def test_summary_since_2021_has_harmonic_means(scored_clips):
    table, y_true, score_samples = scored_clips
    summary = summary_table(y_true, score_samples, table, year=2023).set_index("machine_type")
    parts = official_table(y_true, score_samples, table, year=2023)
    auc = parts["metric"].str.startswith("auc")
    assert summary.loc["fan", "auc_official"] == pytest.approx(
        harmonic_mean(parts["value"][auc & (parts["machine_type"] == "fan")])
    )
    assert summary.loc["ALL", "score_official"] == official_score(y_true, score_samples, table, year=2023)
    assert summary.loc["ALL", "auc_pooled"] == pytest.approx(harmonic_mean(summary["auc_pooled"][["fan", "pump"]]))
    assert summary.loc["ALL", ["n_sections", "n_normal", "n_anomaly"]].tolist() == [4, 48, 48]


def test_summary_leaves_skipped_sections_out_of_every_column(scored_clips):
    table, y_true, score_samples = scored_clips
    bad = ((table["machine_type"] == "fan") & (table["section"] == "02")).to_numpy()
    lacking = bad & (table["domain"] == "target").to_numpy() & (y_true == 1)
    with pytest.warns(UserWarning, match="section '02': auc_target has 0 normal and 12 anomalous"):
        summary = summary_table(y_true[~lacking], score_samples[~lacking], table[~lacking], year=2023, one_class="skip")
    pd.testing.assert_frame_equal(summary, summary_table(y_true[~bad], score_samples[~bad], table[~bad], year=2023))


def test_summary_without_a_table(scored_clips):
    _, y_true, score_samples = scored_clips
    summary = summary_table(y_true, score_samples, year=2020)
    auc = auc_score(y_true, score_samples)
    assert summary[["auc_official", "auc_pooled", "auc_worst_section"]].to_numpy().tolist() == [[auc] * 3] * 2
