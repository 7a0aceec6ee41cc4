import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV, cross_validate

from skasd.model_selection import DCASESplit


def auc(estimator, X, y):
    return roc_auc_score(y, estimator.score_samples(X))


@pytest.fixture
def split_clips(clips):
    """Normal clips in equal numbers in train, test, supplemental and of no known split; anomalies in test."""
    X, y = clips
    side = np.array(["train", "test", "supplemental", None], dtype=object)[np.arange(len(y)) % 4]
    return X.assign(split=np.where(y == -1, "test", side)), y


def test_sides_are_those_of_the_column(split_clips):
    X, y = split_clips
    ((train, test),) = DCASESplit().split(X, y)
    assert train.tolist() == np.flatnonzero(X["split"] == "train").tolist()
    assert test.tolist() == np.flatnonzero(X["split"] == "test").tolist()
    assert len(train) + len(test) < len(y)


def test_anomalies_among_the_training_clips_are_left_out(split_clips):
    X, y = split_clips
    bad = np.flatnonzero(X["split"] == "train")[:3]
    y = y.copy()
    y[bad] = -1
    train, test = next(DCASESplit().split(X, y))
    assert not set(bad) & {*train, *test}


def test_test_clips_of_unknown_truth_are_left_out(split_clips):
    X, y = split_clips
    unknown = np.flatnonzero(X["split"] == "test")[::2]
    y = y.copy()
    y[unknown] = 0
    train, test = next(DCASESplit().split(X, y))
    assert not set(unknown) & {*train, *test}
    assert len(test)


def test_training_clips_of_unknown_truth_are_kept(split_clips):
    X, y = split_clips
    train = np.flatnonzero(X["split"] == "train")
    y = y.copy()
    y[train] = 0
    np.testing.assert_array_equal(next(DCASESplit().split(X, y))[0], train)


def test_there_is_one_fold(split_clips):
    assert DCASESplit().get_n_splits() == len(list(DCASESplit().split(*split_clips))) == 1


def test_grid_search_takes_it(split_clips, detector):
    search = GridSearchCV(
        detector, {"power": [-1, 1]}, scoring=auc, cv=DCASESplit(), refit=False, error_score="raise"
    ).fit(*split_clips)
    assert search.best_params_ == {"power": 1}


def test_two_processes_give_the_numbers_of_one(split_clips, detector):
    one, two = (cross_validate(detector, *split_clips, scoring=auc, cv=DCASESplit(), n_jobs=n) for n in (1, 2))
    np.testing.assert_array_equal(one["test_score"], two["test_score"])


def test_repr():
    assert repr(DCASESplit()) == "DCASESplit()"


@pytest.mark.parametrize(
    "X, found", [(np.zeros((2, 3)), "ndarray"), (pd.DataFrame({"path": ["a", "b"]}), "the columns 'path'")]
)
def test_clips_without_the_column_are_refused(X, found):
    with pytest.raises(ValueError, match=f"reads the column 'split' of a clip table; got {found}"):
        next(DCASESplit().split(X, [1, -1]))


def test_unknown_words_are_refused(split_clips):
    X, y = split_clips
    with pytest.raises(ValueError, match="split contains 'eval'; expected 'train', 'test', 'supplemental'"):
        next(DCASESplit().split(X.replace({"split": {"test": "eval"}}), y))


def test_y_none_is_refused(split_clips):
    with pytest.raises(ValueError, match="y=None"):
        next(DCASESplit().split(split_clips[0]))


def test_other_labels_are_refused(split_clips):
    X, y = split_clips
    with pytest.raises(ValueError, match="y contains 3; "):
        next(DCASESplit().split(X, np.where(y == -1, 3, y)))


def test_empty_training_side_is_refused(split_clips):
    X, y = split_clips
    with pytest.raises(ValueError, match="train set is empty: 0 rows have split == 'train'"):
        next(DCASESplit().split(X.replace({"split": {"train": "supplemental"}}), y))


def test_training_side_of_anomalies_only_is_refused(split_clips):
    X, y = split_clips
    with pytest.raises(ValueError, match=r"train set is empty: 11 rows .* none of them is normal"):
        next(DCASESplit().split(X, np.where(X["split"] == "train", -1, y)))


def test_test_side_of_unknown_truth_is_refused(split_clips):
    X, y = split_clips
    with pytest.raises(ValueError, match=r"test set is empty: .* rows have split == 'test'.*labelled"):
        next(DCASESplit().split(X, np.where(X["split"] == "test", 0, y)))
