"""Transformers, detectors, splits and scorers working together inside scikit-learn."""

import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline

from skasd.datasets import make_machine_clips
from skasd.detectors import TWFRDetector
from skasd.features import LogMelTransformer, MedianFilter
from skasd.metrics import auc_scorer, official_scorer, partial_auc_scorer
from skasd.model_selection import DCASESplit, NormalOnlySplit


@pytest.fixture(scope="module")
def valves():
    return make_machine_clips(
        ("valve",),
        n_sections=2,
        n_train=20,
        n_test_normal=10,
        n_test_anomaly=10,
        duration=3.0,
        target_share=0.5,
        random_state=0,
    )


@pytest.fixture(scope="module")
def model():
    return make_pipeline(LogMelTransformer(norm=None, mel_scale="htk"), MedianFilter(size=3), TWFRDetector(r=0.8))


def test_grid_search_finds_that_a_long_median_hides_short_events(valves, model):
    search = GridSearchCV(
        model, {"medianfilter__size": [3, 31]}, scoring=partial_auc_scorer, cv=NormalOnlySplit(3, random_state=0)
    )
    search.fit(valves.data, valves.target)
    assert search.best_params_ == {"medianfilter__size": 3}
    short, long = search.cv_results_["mean_test_score"]
    assert short > long + 0.05
    assert set(search.predict(valves.data)) == {1, -1}


def test_two_processes_give_the_numbers_of_one(valves, model):
    settings = {"cv": NormalOnlySplit(3, random_state=0), "scoring": {"auc": auc_scorer, "pauc": partial_auc_scorer}}
    one = cross_validate(model, valves.data, valves.target, n_jobs=1, **settings)
    two = cross_validate(model, valves.data, valves.target, n_jobs=2, **settings)
    for metric in ("test_auc", "test_pauc"):
        assert len(one[metric]) == 3
        np.testing.assert_array_equal(one[metric], two[metric])


def test_table_split_gives_the_official_score_of_a_year(valves, model):
    result = cross_validate(model, valves.data, valves.target, cv=DCASESplit(), scoring=official_scorer(2023))
    assert result["test_score"].shape == (1,)
    assert 0.6 < result["test_score"][0] <= 1.0


def test_pipeline_scores_as_its_steps_do(valves, model):
    train = valves.data["split"] == "train"
    scores = model.fit(valves.data[train]).score_samples(valves.data)
    table = LogMelTransformer(norm=None, mel_scale="htk").fit_transform(valves.data)
    table = MedianFilter(size=3).fit_transform(table)
    by_hand = TWFRDetector(r=0.8).fit(table[train]).score_samples(table)
    np.testing.assert_array_equal(scores, by_hand)
