import numpy as np
import pytest

from skasd.metrics import (
    decision_table,
    format_result_csv,
    harmonic_mean,
    official_score,
    parse_result_csv,
    score_table,
)

HEADER = (
    "section,AUC (source),AUC (target),pAUC,precision (source),precision (target),recall (source),recall (target),"
    "F1 score (source),F1 score (target)"
)


def decisions(score_samples):
    return np.where(score_samples >= 0, 1, -1)


def test_layout_of_2022(scored_clips):
    table, y_true, score_samples = scored_clips
    text = format_result_csv(y_true, score_samples, table, year=2022, y_pred=decisions(score_samples))
    lines = text.split("\n")
    first_cells = [line.split(",")[0] for line in lines]
    assert first_cells == ["fan", "section", "00", "02", "arithmetic mean", "harmonic mean", ""] + [
        *("pump", "section", "00", "02", "arithmetic mean", "harmonic mean", "", "")
    ]
    assert lines[1] == lines[8] == HEADER


def test_layout_since_2023_has_domain_paucs_and_no_name(scored_clips):
    table, y_true, score_samples = scored_clips
    fan = (table["machine_type"] == "fan").to_numpy()
    clips = y_true[fan], score_samples[fan], table[fan]
    lines = format_result_csv(*clips, year=2023, y_pred=decisions(clips[1])).split("\n")
    assert lines[0] == HEADER.replace("pAUC,", "pAUC,pAUC (source),pAUC (target),")
    assert [line.split(",")[0] for line in lines[1:]] == ["00", "02", "arithmetic mean", "harmonic mean", "", ""]


def test_written_numbers_come_back_exactly(scored_clips):
    table, y_true, score_samples = scored_clips
    text = format_result_csv(y_true, score_samples, table, year=2022, y_pred=decisions(score_samples))
    back, scores = parse_result_csv(text), score_table(y_true, score_samples, table, year=2022)
    assert (
        back[["machine_type", "section"]].to_numpy().tolist() == scores[["machine_type", "section"]].to_numpy().tolist()
    )
    for name, column in {"AUC (source)": "auc_source", "AUC (target)": "auc_target", "pAUC": "pauc"}.items():
        np.testing.assert_array_equal(back[name], scores[column])
    per_domain = decision_table(y_true, decisions(score_samples), table)
    for name, column in {"precision": "precision", "recall": "recall", "F1 score": "f1"}.items():
        for domain in ("source", "target"):
            expected = per_domain.loc[per_domain["domain"] == domain, column]
            np.testing.assert_array_equal(back[f"{name} ({domain})"], expected)


def test_official_score_follows_from_the_written_rows(scored_clips):
    table, y_true, score_samples = scored_clips
    text = format_result_csv(y_true, score_samples, table, year=2022, y_pred=decisions(score_samples))
    values = parse_result_csv(text)[["AUC (source)", "AUC (target)", "pAUC"]].to_numpy().ravel()
    assert harmonic_mean(values) == pytest.approx(official_score(y_true, score_samples, table, year=2022), abs=1e-15)


def test_domain_pauc_since_2023_is_same_domain(scored_clips):
    table, y_true, score_samples = scored_clips
    fan = (table["machine_type"] == "fan").to_numpy()
    clips = y_true[fan], score_samples[fan], table[fan]
    back = parse_result_csv(format_result_csv(*clips, year=2025, y_pred=decisions(clips[1])))
    np.testing.assert_array_equal(back["pAUC (source)"], score_table(*clips, year=2021)["pauc_source"])


def test_rows_of_the_layout_of_2021_are_read():
    text = (
        "fan\nsection,domain,AUC,pAUC,precision,recall,F1 score\n00,source,0.75,0.5,0.5,1.0,0.7\n"
        "00,target,0.5,0.5,0.5,1.0,0.7\narithmetic mean,,0.6,0.5,0.5,1.0,0.7\n\n,,AUC,pAUC,precision,recall,F1 score\n"
        '"arithmetic mean over all machine types, sections, and domains",,0.6,0.5,0.5,1.0,0.7\n'
    )
    results = parse_result_csv(text)
    assert results[["section", "domain", "AUC"]].to_numpy().tolist() == [["00", "source", 0.75], ["00", "target", 0.5]]


def test_text_without_sections_is_refused():
    with pytest.raises(ValueError, match="no row of a section"):
        parse_result_csv("fan\n00,0.5,0.5\n")


def test_several_machine_types_need_several_files_since_2023(scored_clips):
    table, y_true, score_samples = scored_clips
    with pytest.raises(ValueError, match="one file per machine type"):
        format_result_csv(y_true, score_samples, table, year=2023, y_pred=decisions(score_samples))


def test_decisions_are_needed_since_2022(scored_clips):
    table, y_true, score_samples = scored_clips
    with pytest.raises(ValueError, match="pass the decisions of predict as y_pred"):
        format_result_csv(y_true, score_samples, table, year=2022)


def test_layout_of_2021_is_not_offered(scored_clips):
    table, y_true, score_samples = scored_clips
    with pytest.raises(ValueError, match="year=2021: the layout"):
        format_result_csv(y_true, score_samples, table, year=2021)


def test_section_without_a_domain_is_refused(scored_clips):
    table, y_true, score_samples = scored_clips
    keep = ~((table["section"] == "02") & (table["domain"] == "target")).to_numpy()
    with pytest.raises(ValueError, match="2 of 4 sections have no clips of the domain 'target'"):
        format_result_csv(y_true[keep], score_samples[keep], table[keep], year=2022, y_pred=y_true[keep])
