import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, OutlierMixin, TransformerMixin, clone
from sklearn.ensemble import IsolationForest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import get_scorer
from sklearn.model_selection import GridSearchCV, PredefinedSplit, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.svm import OneClassSVM

from skasd.metrics import (
    ClipScorer,
    auc_score,
    auc_scorer,
    make_clip_scorer,
    official_score,
    official_scorer,
    partial_auc_score,
    partial_auc_scorer,
    score_table,
)


class CenterDetector(OutlierMixin, BaseEstimator):
    """Score: minus the distance to the mean of the normal clips, scaled by `sign`."""

    def __init__(self, sign=1):
        self.sign = sign

    def fit(self, X, y=None):
        X = np.asarray(X)
        self.center_ = X[np.asarray(y) != -1].mean(axis=0)
        return self

    def score_samples(self, X):
        return -self.sign * np.linalg.norm(np.asarray(X) - self.center_, axis=1)


class ColumnTransformer(TransformerMixin, BaseEstimator):
    """Takes a clip table to an array of its numbers."""

    def fit(self, X, y=None):
        self.columns_ = ["a", "b"]
        return self

    def transform(self, X):
        return X[self.columns_].to_numpy()


class FixedScores(BaseEstimator):
    """Gives back the scores that X holds."""

    def fit(self, X, y=None):
        return self

    def score_samples(self, X):
        return X["score"].to_numpy() if isinstance(X, pd.DataFrame) else np.asarray(X)[:, 0]


@pytest.fixture
def scored_table(scored_clips):
    table, y_true, score_samples = scored_clips
    return table.assign(score=score_samples), y_true


@pytest.fixture
def feature_clips(scored_clips):
    """Clip table with two features, truth, and a split into two folds that both hold every section and class."""
    table, y_true, _ = scored_clips
    features = np.random.default_rng(1).normal(np.where(y_true == 1, 0, 1)[:, None], size=(len(y_true), 2))
    return table.assign(a=features[:, 0], b=features[:, 1]), y_true, PredefinedSplit(np.arange(len(y_true)) % 2)


def test_array_gives_one_roc_curve(scored_table):
    X, y = scored_table
    array = X[["score"]].to_numpy()
    assert auc_scorer(FixedScores(), array, y) == auc_score(y, X["score"])
    assert partial_auc_scorer(FixedScores(), array, y) == partial_auc_score(y, X["score"])


def test_frame_without_sections_gives_one_roc_curve(scored_table):
    X, y = scored_table
    assert auc_scorer(FixedScores(), X[["score", "domain"]], y) == auc_score(y, X["score"])


def test_table_gives_the_mean_over_sections(scored_table):
    X, y = scored_table
    X = X.assign(score=X["score"] + 100.0 * (X["section"] == "02"))
    scores = score_table(y, X["score"], X)
    assert auc_scorer(FixedScores(), X, y) == pytest.approx(scores["auc"].mean(), abs=1e-15)
    assert partial_auc_scorer(FixedScores(), X, y) == pytest.approx(scores["pauc"].mean(), abs=1e-15)
    assert auc_scorer(FixedScores(), X, y) > auc_score(y, X["score"]) + 0.05


@pytest.mark.parametrize("aggregation", ["mean_of_sections", "official", "pooled", "worst_section"])
def test_aggregations_are_options(scored_table, aggregation):
    X, y = scored_table
    auc = score_table(y, X["score"], X)["auc"].to_numpy().reshape(2, 2)
    pooled = score_table(y, X["score"], X, by="machine_type")["auc"].to_numpy()
    expected = {"pooled": pooled.mean(), "worst_section": auc.min(axis=1).mean()}.get(aggregation, auc.mean())
    assert make_clip_scorer("auc", aggregation=aggregation)(FixedScores(), X, y) == pytest.approx(expected)


@pytest.mark.parametrize("year", [2020, 2021, 2023])
def test_official_scorer_is_the_official_score(scored_table, year):
    X, y = scored_table
    assert official_scorer(year)(FixedScores(), X, y) == official_score(y, X["score"], X, year=year)


def test_official_scorer_refuses_other_years():
    with pytest.raises(ValueError, match="year=2019"):
        official_scorer(2019)


def test_official_scorer_refuses_missing_sections(scored_table):
    X, y = scored_table
    with pytest.raises(ValueError, match="absent: valve 00"):
        official_scorer(2023, expected={"fan": ["00", "02"], "pump": ["00", "02"], "valve": ["00"]})(
            FixedScores(), X, y
        )


def test_clips_of_unknown_truth_are_left_out(scored_table):
    X, y = scored_table
    order = np.random.default_rng(0).permutation(2 * len(y))
    unknown = pd.concat([X, X.assign(score=-X["score"], section="09")]).iloc[order]
    padded = np.concatenate([y, np.zeros(len(y), dtype=int)])[order]
    assert auc_scorer(FixedScores(), unknown, padded) == auc_scorer(FixedScores(), X, y)


def test_labels_zero_and_one_are_refused_and_not_taken_as_unknown(scored_table):
    X, y = scored_table
    with pytest.raises(ValueError, match=r"y holds 0 but no -1; .* 0 for an unknown label"):
        auc_scorer(FixedScores(), X, (y == 1).astype(int))


def test_y_none_is_refused(scored_table):
    with pytest.raises(ValueError, match=r"needs y: \+1 for normal"):
        auc_scorer(FixedScores(), scored_table[0])


def test_section_with_one_class_raises_by_default(scored_table):
    X, y = scored_table
    keep = ~((X["section"] == "02") & (y == -1)).to_numpy()
    with pytest.raises(ValueError, match="section '02': 12 normal and 0 anomalous"):
        auc_scorer(FixedScores(), X[keep], y[keep])


def test_section_with_one_class_is_skipped_when_asked(scored_table):
    X, y = scored_table
    keep = ~((X["section"] == "02") & (y == -1)).to_numpy()
    with pytest.warns(UserWarning, match="section '02'.*skipped"):
        value = make_clip_scorer("auc", one_class="skip")(FixedScores(), X[keep], y[keep])
    first = (X["section"] == "00").to_numpy()
    assert value == auc_scorer(FixedScores(), X[first], y[first])


def test_score_samples_comes_before_decision_function():
    class Both(FixedScores):
        def decision_function(self, X):
            return -self.score_samples(X)

    assert auc_scorer(Both(), np.array([[2.0], [1.0]]), [1, -1]) == 1


@pytest.mark.parametrize("estimator", [OneClassSVM(), LogisticRegression()])
def test_estimators_of_scikit_learn_have_the_right_sign(feature_clips, estimator):
    X, y, _ = feature_clips
    features = X[["a", "b"]].to_numpy()
    rows = y == 1 if isinstance(estimator, OneClassSVM) else slice(None)
    assert auc_scorer(estimator.fit(features[rows], y[rows]), features, y) > 0.6


class PyODBase(BaseEstimator):
    """As `pyod.models.base.BaseDetector`: a high score is an outlier, labels are 0 and 1."""

    def fit(self, X, y=None):
        self.decision_scores_ = self.decision_function(X)
        self.labels_ = (self.decision_scores_ > np.percentile(self.decision_scores_, 90)).astype(int)
        return self

    def decision_function(self, X):
        return np.asarray(X).sum(axis=1)


class PyODKind(PyODBase):
    """A detector of the library: its base class is of a module of that name."""

    def fit(self, X, y=None):
        super().fit(X, y)
        del self.labels_, self.decision_scores_
        self.is_fitted_ = True
        return self


PyODKind.__module__ = "pyod.models.knn"


@pytest.mark.parametrize("kind", [PyODBase, PyODKind])
@pytest.mark.parametrize("wrap", [lambda x: x, make_pipeline, lambda x: GridSearchCV(x, {}, scoring=auc_scorer, cv=2)])
def test_detectors_of_pyod_have_the_right_sign(feature_clips, kind, wrap):
    X, y, _ = feature_clips
    features = X[["a", "b"]].to_numpy()
    estimator = wrap(kind())
    if isinstance(estimator, GridSearchCV):
        order = np.argsort(np.arange(len(y)) % 2, kind="stable")  # both folds have both classes
        estimator.fit(features[order], y[order])
    else:
        estimator.fit(features[y == 1])
    expected = auc_score(y, -estimator.decision_function(features))
    assert expected > 0.6
    assert auc_scorer(estimator, features, y) == expected


def test_labels_of_clusters_do_not_turn_a_score(scored_table):
    X, y = scored_table
    estimator = FixedScores()
    estimator.labels_ = np.array([0, 1])
    assert auc_scorer(estimator, X, y) == auc_scorer(FixedScores(), X, y)
    estimator.decision_scores_, estimator.labels_ = np.zeros(3), np.array([-1, 1])
    assert auc_scorer(estimator, X, y) == auc_scorer(FixedScores(), X, y)


def test_labels_may_be_objects_with_zeros(scored_table):
    X, y = scored_table
    expected = auc_scorer(FixedScores(), X, y)
    padded = pd.concat([X, X.iloc[:2]])
    for container in (lambda y: np.array(y, dtype=object), lambda y: pd.Series(y, dtype="Int64")):
        assert auc_scorer(FixedScores(), padded, container([*y, 0, 0])) == expected


def test_kfold_is_told_what_to_use_instead(scored_table):
    X, y = scored_table
    order = np.argsort(y)
    with pytest.raises(ValueError, match=r"cv=NormalOnlySplit\(\) of skasd.model_selection.*cv=3 is KFold"):
        cross_validate(FixedScores(), X.iloc[order], y[order], cv=3, scoring=auc_scorer, error_score="raise")


def test_classifier_without_scores_is_refused():
    class Nothing(BaseEstimator):
        pass

    with pytest.raises(TypeError, match="Nothing has neither score_samples nor decision_function"):
        auc_scorer(Nothing(), np.zeros((2, 1)), [1, -1])


def test_scores_that_are_not_finite_are_refused(scored_table):
    X, y = scored_table
    with pytest.raises(ValueError, match=r"score_samples\[3\] = nan"):
        auc_scorer(FixedScores(), X.assign(score=X["score"].where(X.index != 3)), y)


@pytest.mark.parametrize(
    "scorer, text",
    [
        (auc_scorer, "make_clip_scorer('auc')"),
        (partial_auc_scorer, "make_clip_scorer('partial_auc')"),
        (make_clip_scorer("auc", one_class="skip"), "make_clip_scorer('auc', one_class='skip')"),
        (official_scorer(2023, max_fpr=0.2), "official_scorer(2023, max_fpr=0.2)"),
    ],
)
def test_repr_is_the_call_that_made_it(scorer, text):
    assert repr(scorer) == text
    assert eval(text) == scorer


@pytest.mark.parametrize("scorer", [auc_scorer, make_clip_scorer("partial_auc", max_fpr=0.5), official_scorer(2022)])
def test_pickle_keeps_the_score(scored_table, scorer):
    X, y = scored_table
    again = pickle.loads(pickle.dumps(scorer))
    assert isinstance(again, ClipScorer)
    assert again(FixedScores(), X, y) == scorer(FixedScores(), X, y)


def test_scikit_learn_takes_it_for_a_scorer():
    assert get_scorer(auc_scorer) is auc_scorer


@pytest.mark.parametrize(
    "option", [{"metric": "roc"}, {"aggregation": "mean"}, {"one_class": "drop"}, {"definition": "x"}]
)
def test_unknown_options_are_refused_when_the_scorer_is_made(option):
    with pytest.raises(ValueError, match=f"{next(iter(option))}='"):
        make_clip_scorer(**option)


def test_a_scorer_documents_its_call():
    assert auc_scorer.__doc__ == ClipScorer.__call__.__doc__ != ClipScorer.__doc__


def test_pipeline_that_takes_the_table(feature_clips):
    X, y, _ = feature_clips
    model = make_pipeline(ColumnTransformer(), CenterDetector()).fit(X, y)
    expected = score_table(y, model.score_samples(X), X)["auc"].mean()
    assert auc_scorer(model, X, y) == pytest.approx(expected, abs=1e-15)


def test_grid_search_takes_a_table_and_picks_the_right_sign(feature_clips):
    X, y, cv = feature_clips
    model = make_pipeline(ColumnTransformer(), CenterDetector())
    search = GridSearchCV(model, {"centerdetector__sign": [-1, 1]}, scoring=auc_scorer, cv=cv, error_score="raise")
    search.fit(X, y)
    assert search.best_params_ == {"centerdetector__sign": 1}
    assert search.best_score_ > 0.6
    assert search.score(X, y) == auc_scorer(search.best_estimator_, X, y)
    assert auc_scorer(search, X, y) == search.score(X, y)
    clone(search)


def test_scorers_work_as_a_dict(feature_clips):
    X, y, cv = feature_clips
    model = make_pipeline(ColumnTransformer(), CenterDetector())
    scoring = {"auc": auc_scorer, "omega": official_scorer(2023)}
    results = cross_validate(model, X, y, scoring=scoring, cv=cv, error_score="raise")
    assert results["test_auc"].shape == results["test_omega"].shape == (2,)
    assert not np.allclose(results["test_auc"], results["test_omega"])


def test_two_processes_give_the_numbers_of_one(feature_clips):
    X, y, cv = feature_clips
    model = make_pipeline(ColumnTransformer(), IsolationForest(n_estimators=5, random_state=0))
    one, two = (
        cross_validate(model, X, y, scoring=auc_scorer, cv=cv, n_jobs=n, error_score="raise")["test_score"]
        for n in (1, 2)
    )
    np.testing.assert_array_equal(one, two)
