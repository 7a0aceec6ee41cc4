import numpy as np
import pytest
from sklearn.metrics import precision_recall_fscore_support

from skasd.metrics import decision_scores, decision_table


def test_decisions_agree_with_scikit_learn(scored_clips):
    _, y_true, score_samples = scored_clips
    y_pred = np.where(score_samples >= 0, 1, -1)
    expected = precision_recall_fscore_support(y_true, y_pred, pos_label=-1, average="binary")[:3]
    assert decision_scores(y_true, y_pred) == pytest.approx(expected)


def test_decision_table_counts_each_domain_alone(scored_clips):
    table, y_true, score_samples = scored_clips
    y_pred = np.where(score_samples >= 0, 1, -1)
    scores = decision_table(y_true, y_pred, table)
    assert len(scores) == 8
    for _, row in scores.iterrows():
        rows = (table[["machine_type", "section", "domain"]] == row[["machine_type", "section", "domain"]]).all(axis=1)
        one = decision_scores(y_true[rows], y_pred[rows])
        assert (row["precision"], row["recall"], row["f1"]) == one
        assert row["n_missed"] == np.sum((y_true[rows] == -1) & (y_pred[rows] == 1))
        assert row["n_false_alarms"] == np.sum((y_true[rows] == 1) & (y_pred[rows] == -1))


@pytest.mark.parametrize("y_true, y_pred", [([1, 1], [1, 1]), ([1, -1], [1, 1]), ([1, 1], [1, -1])])
def test_empty_denominators_give_zero(y_true, y_pred):
    assert decision_scores(y_true, y_pred) == (0, 0, 0)
