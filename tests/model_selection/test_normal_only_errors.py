import numpy as np
import pytest

from skasd.model_selection import NormalOnlySplit


def test_y_none_is_refused(clips):
    with pytest.raises(ValueError, match="y=None; this split"):
        next(NormalOnlySplit().split(clips[0]))


@pytest.mark.parametrize("bad", [2, np.nan, "normal"])
def test_other_labels_are_refused(clips, bad):
    X, y = clips
    y = y.astype(object)
    y[3] = bad
    with pytest.raises(ValueError, match=f"y contains {bad!r}; expected .1 "):
        next(NormalOnlySplit().split(X, y))


def test_booleans_are_refused(clips):
    X, y = clips
    with pytest.raises(ValueError, match="y contains False, True"):
        next(NormalOnlySplit().split(X, y == 1))


def test_labels_zero_and_one_have_no_anomaly(clips):
    X, y = clips
    with pytest.raises(ValueError, match=r"None of 72 clips is an anomaly.*28 labels are 0"):
        next(NormalOnlySplit().split(X, (y == 1).astype(int)))


def test_lengths_that_differ_are_refused(clips):
    X, y = clips
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        next(NormalOnlySplit().split(X, y[:-1]))


def test_too_few_normal_clips_of_a_section_name_it(clips):
    X, y = clips
    with pytest.raises(
        ValueError, match=r"machine_type 'fan', section '00' has 11 normal clips \(y == 1\) for n_splits=12"
    ):
        next(NormalOnlySplit(12).split(X, y))


def test_fold_without_an_anomaly_is_refused():
    with pytest.raises(ValueError, match=r"Fold 1 of 2 .* test 2 normal and 0 anomalous"):
        next(NormalOnlySplit(2).split(np.zeros((5, 1)), [1, 1, 1, 1, -1]))


def test_unknown_column_is_refused(clips):
    X, y = clips
    with pytest.raises(
        ValueError, match="stratify_by names 'machine', but X has no such column; it has 'machine_type'"
    ):
        next(NormalOnlySplit(stratify_by=("machine",)).split(X, y))


def test_seed_without_shuffle_is_refused(clips):
    with pytest.raises(ValueError, match="random_state=0 has no effect without shuffle"):
        next(NormalOnlySplit(shuffle=False, random_state=0).split(*clips))


@pytest.mark.parametrize("n_splits, error", [(1, ValueError), (2.0, TypeError)])
def test_number_of_folds_is_checked(clips, n_splits, error):
    with pytest.raises(error, match="n_splits="):
        next(NormalOnlySplit(n_splits).split(*clips))


def test_too_few_groups_of_a_section_name_it(clips):
    X, y = clips
    with pytest.raises(ValueError, match=r"section '00' has 1 groups of normal clips \(y == 1\) for n_splits=2"):
        next(NormalOnlySplit(2).split(X, y, X["section"]))


def test_missing_group_is_refused(clips):
    X, y = clips
    groups = np.array([None, *range(1, len(y))], dtype=object)
    with pytest.raises(ValueError, match="groups is missing for 1 clips, the first in row 0"):
        next(NormalOnlySplit(2).split(X, y, groups))
