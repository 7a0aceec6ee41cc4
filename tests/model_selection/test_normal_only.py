import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV, cross_validate

from skasd.model_selection import NormalOnlySplit


def auc(estimator, X, y):
    return roc_auc_score(y, estimator.score_samples(X))


def section_counts(table, y, rows):
    return table.iloc[rows].assign(y=y[rows]).groupby(["machine_type", "section", "y"]).size()


@pytest.fixture(params=[True, False], ids=["shuffled", "in order"])
def splitter(request):
    return NormalOnlySplit(shuffle=request.param, random_state=0 if request.param else None)


@pytest.fixture(params=["table", "array"])
def data(request, clips):
    X, y = clips
    return (X if request.param == "table" else X[["a", "b"]].to_numpy()), y


def test_no_anomaly_is_trained_on(splitter, data):
    X, y = data
    folds = list(splitter.split(X, y))
    assert len(folds) == 5
    for train, _ in folds:
        assert len(train) > 30
        assert (y[train] == 1).all()


def test_every_clip_is_tested_once(splitter, data):
    X, y = data
    tested = np.concatenate([test for _, test in splitter.split(X, y)])
    assert sorted(tested) == list(range(len(y)))


def test_training_is_every_normal_clip_that_is_not_tested(splitter, data):
    X, y = data
    for train, test in splitter.split(X, y):
        assert sorted([*train, *test[y[test] == 1]]) == np.flatnonzero(y == 1).tolist()


def test_every_fold_tests_its_share_of_every_section(splitter, clips):
    X, y = clips
    for _, test in splitter.split(X, y):
        counts = section_counts(X, y, test).unstack("y").to_numpy()  # noqa: PD010
        assert counts.shape == (4, 2)
        assert set(counts[:, 0]) <= {1, 2}  # 7 anomalies over 5 folds
        assert set(counts[:, 1]) <= {2, 3}  # 11 normal clips over 5 folds


def test_fold_sizes_differ_by_one_at_most(splitter, data):
    X, y = data
    sizes = [len(test) for _, test in splitter.split(X, y)]
    assert max(sizes) - min(sizes) <= 1


def test_array_and_table_without_sections_split_alike(clips):
    X, y = clips
    splits = [list(NormalOnlySplit(random_state=0).split(X_, y)) for X_ in (X[["a", "b"]], X[["a", "b"]].to_numpy())]
    for (train, test), (train_too, test_too) in zip(*splits, strict=True):
        np.testing.assert_array_equal(train, train_too)
        np.testing.assert_array_equal(test, test_too)


def test_columns_that_are_in_the_index_too_are_taken(clips, splitter):
    X, y = clips
    indexed = X.set_index(["machine_type", "section"], drop=False)
    for (train, test), (train_of_indexed, test_of_indexed) in zip(
        splitter.split(X, y), splitter.split(indexed, y), strict=True
    ):
        np.testing.assert_array_equal(train, train_of_indexed)
        np.testing.assert_array_equal(test, test_of_indexed)


def test_in_order_each_fold_tests_a_block_of_a_section():
    table = pd.DataFrame({"section": ["00"] * 4 + ["01"] * 4, "machine_type": "fan"})
    table, y = pd.concat([table, table], ignore_index=True), np.repeat([1, -1], 8)
    tests = [test.tolist() for _, test in NormalOnlySplit(2, shuffle=False).split(table, y)]
    assert tests == [[0, 1, 4, 5, 8, 9, 12, 13], [2, 3, 6, 7, 10, 11, 14, 15]]


def test_same_seed_same_folds_other_seed_others(clips):
    X, y = clips
    tests = [[t.tolist() for _, t in NormalOnlySplit(random_state=seed).split(X, y)] for seed in (0, 0, 1)]
    assert tests[0] == tests[1] != tests[2]


def test_global_generator_is_untouched(clips):
    before = np.random.get_state()[1].copy(), np.random.get_state()[2]  # noqa: NPY002
    list(NormalOnlySplit().split(*clips))
    after = np.random.get_state()[1], np.random.get_state()[2]  # noqa: NPY002
    np.testing.assert_array_equal(before[0], after[0])
    assert before[1] == after[1]


def test_clips_of_unknown_truth_are_in_no_fold(splitter, clips):
    X, y = clips
    y = np.where(np.arange(len(y)) % 6 == 0, 0, y)
    used = {row for fold in splitter.split(X, y) for rows in fold for row in rows}
    assert used == set(np.flatnonzero(y != 0))


def test_strata_can_be_chosen(clips):
    X, y = clips
    X = X.assign(domain=np.where(np.arange(len(y)) % 7 == 0, "target", "source"))
    splitter = NormalOnlySplit(3, random_state=0, stratify_by=["domain"])
    n_target = [np.sum((X["domain"].iloc[test] == "target") & (y[test] == 1)) for _, test in splitter.split(X, y)]
    assert max(n_target) - min(n_target) <= 1
    assert min(n_target) >= 1


def test_missing_cells_are_a_stratum(clips):
    X, y = clips
    X = X.assign(section=X["section"].where(X["section"] == "00"))
    for _, test in NormalOnlySplit(random_state=0).split(X, y):
        n_missing = np.sum(X["section"].iloc[test].isna() & (y[test] == 1))
        assert n_missing in (4, 5)  # 22 normal clips of unknown section over 5 folds, 11 of each machine type


@pytest.mark.parametrize("kind", ["table", "array"])
def test_grid_search_fits_normal_clips_only(clips, detector, kind):
    X, y = clips
    X = X if kind == "table" else X[["a", "b"]].to_numpy()
    search = GridSearchCV(
        detector, {"power": [-1, 1]}, scoring=auc, cv=NormalOnlySplit(random_state=0), refit=False, error_score="raise"
    ).fit(X, y)
    assert search.best_params_ == {"power": 1}
    assert search.best_score_ > 0.9
    assert search.n_splits_ == 5


def test_two_processes_give_the_numbers_of_one(clips, detector):
    X, y = clips
    one, two = (
        cross_validate(detector, X, y, scoring=auc, cv=NormalOnlySplit(random_state=0), n_jobs=n)["test_score"]
        for n in (1, 2)
    )
    np.testing.assert_array_equal(one, two)


def test_repr_names_the_parameters():
    assert repr(NormalOnlySplit(3)) == (
        "NormalOnlySplit(n_splits=3, random_state=None, shuffle=True,\n        stratify_by=('machine_type', 'section'))"
    )


def test_number_of_folds():
    assert NormalOnlySplit(7).get_n_splits() == 7
