import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from skasd.metrics import auc_score, partial_auc_score


def truth_and_scores(normal_anomaly_scores, anomaly_anomaly_scores):
    """From anomaly scores, high = anomalous, as the worked examples print them."""
    y_true = np.repeat([1, -1], [len(normal_anomaly_scores), len(anomaly_anomaly_scores)])
    return y_true, -np.array([*normal_anomaly_scores, *anomaly_anomaly_scores], dtype=float)


WORKED = [
    (range(1, 21), [21, 19.5, 10.5, 25, 3.5], 0.72, 0.736842, 0.5),
    (range(1, 11), [11, 9.5, 8.5, 12], 0.925, 0.736842, 0.5),
    (range(1, 16), [15.5, 14.5, 13.5, 7.5], 0.816667, 0.649123, 1 / 3),
    ([1, 2, 3], [4, 5], 1, 1, 1),
    ([4, 5], [1, 2, 3], 0, 9 / 19, 0),
    ([1, 1, 1], [1, 1], 0.5, 0.5, 0.05),
]


@pytest.mark.parametrize("normal, anomaly, auc, pauc, area", WORKED)
def test_worked_examples(normal, anomaly, auc, pauc, area):
    y_true, score_samples = truth_and_scores(normal, anomaly)
    assert auc_score(y_true, score_samples) == pytest.approx(auc, abs=5e-7)
    assert partial_auc_score(y_true, score_samples) == pytest.approx(pauc, abs=5e-7)
    assert partial_auc_score(y_true, score_samples, definition="area") == pytest.approx(area, abs=5e-7)


def test_floor_formula_differs_where_the_product_is_no_whole_number():
    y_true, score_samples = truth_and_scores(range(1, 16), [15.5, 14.5, 13.5, 7.5])
    printed = partial_auc_score(y_true, score_samples, definition="printed")
    assert 9 / 19 + 10 / 19 * printed == pytest.approx(0.605263, abs=5e-7)


def test_printed_formula_takes_29_of_100_normal_clips():
    y_true, score_samples = truth_and_scores(range(100), [71.5])  # 29 * 0.01 is below 0.29 in binary
    assert partial_auc_score(y_true, score_samples, max_fpr=0.29, definition="printed") == pytest.approx(1 / 29)


def test_partial_auc_up_to_one_is_the_auc():
    y_true, score_samples = truth_and_scores(range(1, 21), [21, 19.5, 10.5, 25, 3.5])
    assert partial_auc_score(y_true, score_samples, max_fpr=1) == pytest.approx(0.72)


def test_float32_ties_stay_ties():
    scores = np.array([1e-8, 1e-8, 2e-8], dtype=np.float32)
    assert auc_score([1, -1, 1], scores) == 0.75


def test_whole_number_scores_beyond_float_range_of_float32():
    assert auc_score([1, -1], [2**24 + 1, 2**24]) == 1


small_scores = st.lists(st.integers(-20, 20), min_size=4, max_size=40)


@st.composite
def ranked_clips(draw):
    scores = draw(small_scores)
    y_true = draw(st.lists(st.sampled_from([1, -1]), min_size=len(scores), max_size=len(scores)))
    assume(len(set(y_true)) == 2)
    return np.array(y_true), np.array(scores, dtype=float)


@given(ranked_clips())
def test_auc_equals_that_of_scikit_learn(clips):
    y_true, score_samples = clips
    assert auc_score(y_true, score_samples) == pytest.approx(roc_auc_score(y_true == -1, -score_samples), abs=1e-12)


@given(ranked_clips(), st.sampled_from([0.05, 0.1, 0.25, 1 / 3, 0.9]))
def test_partial_auc_equals_that_of_scikit_learn(clips, max_fpr):
    y_true, score_samples = clips
    expected = roc_auc_score(y_true == -1, -score_samples, max_fpr=max_fpr)
    assert partial_auc_score(y_true, score_samples, max_fpr=max_fpr) == pytest.approx(expected, abs=1e-12)


@given(ranked_clips())
def test_area_converts_to_the_standardized_partial_auc(clips):
    area = partial_auc_score(*clips, definition="area")
    assert partial_auc_score(*clips) == pytest.approx(9 / 19 + 10 / 19 * area, abs=1e-12)


@given(ranked_clips())
def test_auc_is_the_share_of_pairs(clips):
    y_true, score_samples = clips
    difference = score_samples[y_true == 1][:, None] - score_samples[y_true == -1]
    assert auc_score(y_true, score_samples) == pytest.approx(np.mean((difference > 0) + 0.5 * (difference == 0)))


@given(ranked_clips())
def test_strictly_increasing_maps_change_nothing(clips):
    y_true, score_samples = clips
    mapped = np.exp(score_samples / 5) + score_samples**3
    assert auc_score(y_true, mapped) == auc_score(y_true, score_samples)
    assert partial_auc_score(y_true, mapped) == partial_auc_score(y_true, score_samples)


@given(ranked_clips(), st.randoms(use_true_random=False))
def test_permutations_change_nothing(clips, random):
    y_true, score_samples = clips
    order = list(range(len(y_true)))
    random.shuffle(order)
    assert auc_score(y_true[order], score_samples[order]) == auc_score(y_true, score_samples)
    assert partial_auc_score(y_true[order], score_samples[order]) == partial_auc_score(y_true, score_samples)


@given(ranked_clips())
def test_turned_scores_give_one_minus_the_auc(clips):
    y_true, score_samples = clips
    assert auc_score(y_true, -score_samples) == pytest.approx(1 - auc_score(y_true, score_samples), abs=1e-12)


@given(ranked_clips(), st.integers(1, 4))
@settings(max_examples=50)
def test_printed_formula_is_the_area_without_ties(clips, k):
    y_true, _ = clips
    score_samples = np.random.default_rng(len(y_true)).permutation(len(y_true)).astype(float)
    n_normal = np.count_nonzero(y_true == 1)
    assume(k <= n_normal)
    max_fpr = k / n_normal
    printed = partial_auc_score(y_true, score_samples, max_fpr=max_fpr, definition="printed")
    assert printed == pytest.approx(partial_auc_score(y_true, score_samples, max_fpr=max_fpr, definition="area"))


@pytest.mark.parametrize("max_fpr", [0, -0.1, 1.1, np.nan])
def test_false_positive_rate_outside_its_range_is_refused(max_fpr):
    with pytest.raises(ValueError, match="max_fpr"):
        partial_auc_score([1, -1], [1, 0], max_fpr=max_fpr)


def test_unknown_definition_is_refused():
    with pytest.raises(ValueError, match="definition='mcclish' is unknown"):
        partial_auc_score([1, -1], [1, 0], definition="mcclish")


def test_printed_formula_says_when_it_is_undefined():
    with pytest.raises(ValueError, match=r"floor\(0.1 \* 9\) = 0 normal clips.*or at least 10 normal clips"):
        partial_auc_score([1] * 9 + [-1], range(10), definition="printed")


@pytest.mark.parametrize("score", [auc_score, partial_auc_score])
@pytest.mark.parametrize(
    "y_true, counts", [([1, 1, 1], "3 normal and 0"), ([-1], "0 normal and 1"), ([], "0 normal and 0")]
)
def test_one_class_names_the_counts(score, y_true, counts):
    with pytest.raises(ValueError, match=counts):
        score(y_true, np.zeros(len(y_true)))
