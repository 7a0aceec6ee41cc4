from functools import partial

import numpy as np
import pandas as pd
import pytest

from skasd.metrics import (
    auc_score,
    bootstrap_interval,
    decision_scores,
    decision_table,
    official_score,
    partial_auc_score,
    score_table,
    summary_table,
)

SCORES = [
    auc_score,
    partial_auc_score,
    score_table,
    lambda y, s: official_score(y, s, year=2020),
    lambda y, s: summary_table(y, s, year=2020),
    lambda y, s: bootstrap_interval(auc_score, y, s, n_resamples=2),
]


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize(
    "y_true, message",
    [
        ([0, 1, 1], r"holds 0; .*np.where\(labels == 1, -1, 1\)"),
        ([0.0, 1.0, 1.0], r"holds 0.0; .*np.where"),
        ([1, -1, 0], r"0 marks clips with an unknown label.*keep = y != 0"),
        ([True, False, True], "holds False, True; .*np.where"),
        ([1, -1, 2], "holds 2; "),
        ([1, -1, np.nan], "holds nan; "),
        ([1, -1, None], "holds None; "),
        (["normal", "anomaly", "normal"], "holds 'anomaly', 'normal'; "),
        ([[1, -1, 1]], r"shape \(1, 3\)"),
    ],
)
def test_other_labels_are_refused(score, y_true, message):
    with pytest.raises(ValueError, match=message):
        score(y_true, [1.0, 2.0, 3.0])


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_scores_that_are_not_finite_name_their_row(score, bad):
    with pytest.raises(ValueError, match=r"score_samples\[2\]"):
        score([1, -1, 1], [1.0, 2.0, bad])


@pytest.mark.parametrize("score", SCORES)
def test_lengths_that_differ_are_both_named(score):
    with pytest.raises(ValueError, match="3 clips and score_samples has 2"):
        score([1, -1, 1], [1.0, 2.0])


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("bad", [["a", "b", "c"], [1.0, "b", 2.0], [1.0, None, {}], [1j, 1.0, 2.0]], ids=str)
def test_scores_that_are_no_numbers_are_named(score, bad):
    with pytest.raises(ValueError, match="score_samples holds values"):
        score([1, -1, 1], np.array(bad, dtype=None if bad[0] != 1.0 else object))


def test_expected_sections_that_are_no_mapping_are_refused():
    with pytest.raises(TypeError, match=r"expected=\['fan'\] is a list; a mapping of machine types to sections"):
        official_score([1, -1], [2.0, 1.0], year=2020, expected=["fan"])


def test_scores_with_two_axes_are_refused():
    with pytest.raises(ValueError, match=r"shape \(3, 1\)"):
        auc_score([1, -1, 1], np.zeros((3, 1)))


@pytest.mark.parametrize(
    "container", [list, np.array, pd.Series, lambda y: pd.Series(y, dtype="Int64"), lambda y: np.array(y, dtype=object)]
)
def test_labels_may_come_in_any_container(container):
    assert auc_score(container([1, -1, 1]), [2.0, 1.0, 3.0]) == 1


def test_series_are_taken_by_position():
    y_true = pd.Series([1, -1], index=[1, 0])
    assert auc_score(y_true, pd.Series([2.0, 1.0], index=[0, 1])) == 1


def test_columns_that_are_in_the_index_too_are_taken():
    y_true, scores = [1, -1, 1, -1], [2.0, 1.0, 1.0, 2.0]
    table = pd.DataFrame({"machine_type": "fan", "section": ["00", "00", "01", "01"], "domain": "source"})
    indexed = table.set_index(["machine_type", "section", "domain"], drop=False)
    assert score_table(y_true, scores, indexed)["auc"].tolist() == [1.0, 0.0]
    for metric in (
        score_table,
        lambda y, s, t: summary_table(y, s, t, year=2020),
        lambda y, s, t: decision_table(y, y, t),
    ):
        assert metric(y_true, scores, indexed).equals(metric(y_true, scores, table))
    draws = [
        bootstrap_interval(partial(official_score, year=2020), y_true, scores, t, n_resamples=50, random_state=0)
        for t in (table, indexed)
    ]
    assert draws[0] == draws[1]


def test_table_of_another_length_is_refused():
    with pytest.raises(ValueError, match="2 clips and table has 3 rows"):
        score_table([1, -1], [2.0, 1.0], pd.DataFrame({"section": ["00"] * 3}))


def test_table_that_is_a_dict_is_refused():
    with pytest.raises(TypeError, match="table is a dict"):
        score_table([1, -1], [2.0, 1.0], {"section": ["00", "00"]})


@pytest.mark.parametrize("table_of", [score_table, lambda y, s, t, by: decision_table(y, y, t, by=by)])
def test_unknown_columns_are_named(table_of):
    table = pd.DataFrame({"section": ["00", "00"]})
    with pytest.raises(ValueError, match="no column 'sektion'; it has 'section'"):
        table_of([1, -1], [2.0, 1.0], table, by=("section", "sektion"))


def test_column_with_holes_is_refused():
    table = pd.DataFrame({"section": ["00", None, "00"]})
    with pytest.raises(ValueError, match="section is not known for 1 of 3 clips, the first in row 1"):
        score_table([1, 1, -1], [2.0, 1.0, 0.0], table)


def test_decisions_are_checked_like_truth():
    with pytest.raises(ValueError, match=r"y_pred holds 0; .*np.where"):
        decision_scores([1, -1], [0, 1])


def test_decisions_of_another_length_are_refused():
    with pytest.raises(ValueError, match="3 clips and y_pred has 2"):
        decision_scores([1, -1, 1], [1, -1])
