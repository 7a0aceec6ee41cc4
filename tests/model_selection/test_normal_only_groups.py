import numpy as np
import pytest
import sklearn
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_validate

from skasd.model_selection import NormalOnlySplit


def auc(estimator, X, y):
    return roc_auc_score(y, estimator.score_samples(X))


def groups_of(X):
    """Sessions of three clips, normal and anomalous together, inside a section."""
    place = X.groupby(["machine_type", "section"]).cumcount() // 3
    return (X["machine_type"] + X["section"] + place.astype(str)).to_numpy()


@pytest.mark.parametrize("shuffle", [True, False])
def test_no_group_is_trained_and_tested(clips, shuffle):
    X, y = clips
    groups = groups_of(X)
    splitter = NormalOnlySplit(3, shuffle=shuffle, random_state=0 if shuffle else None)
    for train, test in splitter.split(X, y, groups):
        assert not set(groups[train]) & set(groups[test])
        assert (y[train] == 1).all()


@pytest.mark.parametrize("shuffle", [True, False])
def test_every_clip_is_tested_once_with_groups(clips, shuffle):
    X, y = clips
    splitter = NormalOnlySplit(3, shuffle=shuffle, random_state=0 if shuffle else None)
    tested = np.concatenate([test for _, test in splitter.split(X, y, groups_of(X))])
    assert sorted(tested) == list(range(len(y)))


def test_groups_of_normal_clips_leave_training_with_their_anomalies():
    y = np.array([1, 1, 1, 1, -1, -1])
    groups = np.array(["a", "b", "c", "d", "a", "b"])
    for train, test in NormalOnlySplit(2, random_state=0).split(np.zeros((6, 1)), y, groups):
        assert not set(groups[train]) & set(groups[test])


def test_groups_keep_the_global_generator_untouched(clips):
    X, y = clips
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    list(NormalOnlySplit(3).split(X, y, groups_of(X)))
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002


def test_groups_reach_the_splitter_through_cross_validate(clips, detector):
    X, y = clips
    groups = np.where(y == 1, np.arange(len(y)) % 2, 2 + np.arange(len(y)) % 2)  # two sessions of each class
    splitter = NormalOnlySplit(2, random_state=0, stratify_by=())
    results = cross_validate(detector, X, y, groups=groups, cv=splitter, scoring=auc, return_indices=True)
    for train in results["indices"]["train"]:
        assert len(set(groups[train])) == 1


def test_groups_are_routed_as_metadata(clips, detector):
    X, y = clips
    with sklearn.config_context(enable_metadata_routing=True):
        splitter = NormalOnlySplit(3, random_state=0)
        params = {"groups": groups_of(X)}
        results = cross_validate(detector, X, y, params=params, cv=splitter, scoring=auc, return_indices=True)
    expected = [test for _, test in NormalOnlySplit(3, random_state=0).split(X, y, groups_of(X))]
    for test, same in zip(results["indices"]["test"], expected, strict=True):
        np.testing.assert_array_equal(test, same)


@pytest.mark.parametrize("seed", range(5))
def test_groups_of_one_class_are_spread_over_folds(seed):
    y = np.repeat([1, 1, 1, 1, -1, -1, -1, -1], 3)
    groups = np.repeat(np.arange(8), 3)
    folds = NormalOnlySplit(4, random_state=seed).split(np.zeros((24, 1)), y, groups)
    assert [(y[test] == 1).sum() for _, test in folds] == [3] * 4


def test_group_folds_hold_their_share_of_every_section(clips):
    X, y = clips
    for _, test in NormalOnlySplit(3, random_state=0).split(X, y, groups_of(X)):
        n_normal = (X["machine_type"] + X["section"])[test][y[test] == 1].value_counts()
        assert len(n_normal) == 4
        assert n_normal.between(2, 6).all()  # 11 normal clips in sessions of three, over three folds


def test_clips_as_their_own_groups_are_spread_evenly(clips):
    X, y = clips
    sizes = [len(test) for _, test in NormalOnlySplit(random_state=0).split(X, y, np.arange(len(y)))]
    assert max(sizes) - min(sizes) <= 1


def test_order_of_groups_decides_without_shuffle():
    y, groups = [1, 1, 1, 1, -1, -1], ["d", "c", "b", "a", "y", "z"]
    folds = [list(NormalOnlySplit(2, shuffle=False).split(np.zeros((6, 1)), y, groups)) for _ in range(2)]
    assert [test.tolist() for _, test in folds[0]] == [test.tolist() for _, test in folds[1]]
    assert [len(test) for _, test in folds[0]] == [3, 3]


def test_clips_of_unknown_truth_in_a_group_are_in_no_fold(clips):
    X, y = clips
    y = np.where(np.arange(len(y)) % 6 == 0, 0, y)
    used = {
        row for fold in NormalOnlySplit(2, random_state=0).split(X, y, groups_of(X)) for rows in fold for row in rows
    }
    assert used == set(np.flatnonzero(y != 0))
