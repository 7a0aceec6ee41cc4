import pickle
from collections import Counter

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score
from sklearn.utils.estimator_checks import check_estimator

from skasd.clustering import StatisticalClusterer
from skasd.clustering._models import _merged

METHODS = ("gmm_bic", "kmeans_silhouette", "agglomerative")
every_method = pytest.mark.parametrize("method", METHODS)


def blobs(*centers, n_clips=50, n_dimensions=6, seed=0):
    """Clips around each of some centres on the diagonal, and which of them each is around."""
    X = np.random.default_rng(seed).standard_normal((len(centers) * n_clips, n_dimensions))
    truth = np.repeat(np.arange(len(centers)), n_clips)
    return X + np.asarray(centers)[truth, None], truth


@every_method
def test_every_common_check_passes(method):
    counts = Counter(
        result["status"] for result in check_estimator(StatisticalClusterer(method, random_state=0), on_skip=None)
    )
    assert counts["passed"] >= 45, counts
    assert counts["skipped"] <= 1, counts  # the array API one


@every_method
@pytest.mark.parametrize("centers", [(0, 10), (0, 10, 20), (0, 10, 20, 30)])
def test_planted_clusters_are_counted_and_found(method, centers):
    X, truth = blobs(*centers, n_clips=100)
    clusterer = StatisticalClusterer(method, random_state=0).fit(X)
    assert len(clusterer.cluster_names_) == len(centers)
    assert adjusted_rand_score(truth, clusterer.labels_) > 0.98


def test_a_single_cloud_is_one_cluster_to_the_criterion():
    clusterer = StatisticalClusterer("gmm_bic", random_state=0).fit(blobs(0, n_clips=200)[0])
    assert clusterer.cluster_names_.tolist() == ["cluster 0"]


def test_no_more_clusters_than_asked_for():
    X, _ = blobs(0, 10, 20, 30)
    assert StatisticalClusterer(max_clusters=3, random_state=0).fit(X).labels_.max() <= 2
    assert StatisticalClusterer(max_clusters=1).fit(X).labels_.max() == 0


@every_method
@pytest.mark.parametrize("n_clusters", [1, 2, 4])
def test_as_many_clusters_as_given(method, n_clusters):
    X, _ = blobs(0, 10, 20, 30)
    clusterer = StatisticalClusterer(method, n_clusters=n_clusters, max_clusters=3, random_state=0).fit(X)
    assert len(np.unique(clusterer.labels_)) == n_clusters


def test_a_given_number_leaves_two_clips_to_a_cluster():
    X, _ = blobs(0, 10, 20, 30, n_clips=2)
    assert len(StatisticalClusterer(n_clusters=8, random_state=0).fit(X).cluster_names_) == 4


def test_ten_clips_make_two_clusters_at_most():
    X, _ = blobs(0, 100, 200, 300, 400, n_clips=2)
    assert StatisticalClusterer("kmeans_silhouette", random_state=0).fit(X).labels_.max() == 1


@every_method
def test_order_of_the_clips_changes_nothing(method):
    X, _ = blobs(0, 6, 9)
    order = np.random.default_rng(1).permutation(len(X))
    first = StatisticalClusterer(method, random_state=0).fit(X).labels_
    second = StatisticalClusterer(method, random_state=0).fit(X[order]).labels_
    np.testing.assert_array_equal(second, first[order])


@every_method
def test_new_clips_go_where_the_old_ones_are(method):
    X, truth = blobs(0, 10)
    clusterer = StatisticalClusterer(method, random_state=0).fit(X)
    np.testing.assert_array_equal(clusterer.predict(X), clusterer.labels_)
    assert adjusted_rand_score(truth, clusterer.predict(X + 0.01)) == 1
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(clusterer)).predict(X), clusterer.labels_)


def test_machine_types_and_domains_are_never_put_together():
    X, truth = blobs(0, 0, 10, 10, n_clips=20)
    machine_type, domain = np.where(truth % 2, "fan", "valve"), np.where(truth < 2, "source", "target")
    clusterer = StatisticalClusterer(random_state=0).fit(X, machine_type=machine_type, domain=domain)
    for label in np.unique(clusterer.labels_):
        rows = clusterer.labels_ == label
        assert len(np.unique(machine_type[rows])) == len(np.unique(domain[rows])) == 1
        name = clusterer.cluster_names_[label]
        assert name.startswith(f"{machine_type[rows][0]} | {domain[rows][0]} | cluster ")


def test_few_target_clips_keep_clusters_of_their_own():
    X, _ = blobs(0, 8, n_clips=100)
    domain = np.array(["source"] * 200)
    domain[[0, 1, 2, 3, 4, 100, 101, 102, 103, 104]] = "target"
    clusterer = StatisticalClusterer("kmeans_silhouette", random_state=0).fit(X, domain=domain)
    assert [name.split(" | ")[0] for name in clusterer.cluster_names_] == ["source", "source", "target", "target"]


def test_a_domain_of_one_clip_is_a_cluster():
    X, _ = blobs(0, n_clips=20)
    clusterer = StatisticalClusterer(random_state=0).fit(X, domain=["source"] * 19 + ["target"])
    assert clusterer.cluster_names_[-1] == "target | cluster 0"
    assert clusterer.labels_[-1] == len(clusterer.cluster_names_) - 1


@every_method
def test_small_clusters_are_merged_into_the_nearest(method):
    X, _ = blobs(0, 40, n_clips=100)
    X[0] = 60  # a cluster of a single clip, nearer to the second
    loose = StatisticalClusterer(method, min_share=0.02, random_state=0).fit(X)
    assert len(loose.cluster_names_) == 2
    assert loose.labels_[0] == loose.labels_[199]


def test_units_of_statistics_are_of_no_account_where_each_has_its_own():
    X, _ = blobs(0, 10, n_dimensions=3)
    first, second = (StatisticalClusterer(scaling="each", random_state=0) for _ in range(2))
    np.testing.assert_array_equal(first.fit(X).labels_, second.fit(X * [1, 1000, 0.001] + 7).labels_)


@every_method
def test_states_that_differ_in_one_band_of_many_are_found_in_a_common_unit(method):
    X, truth = blobs(0, n_clips=60, n_dimensions=100)
    truth = np.arange(60) % 2
    X[:, 40] += 15 * truth
    assert adjusted_rand_score(truth, StatisticalClusterer(method, max_clusters=2, random_state=0).fit(X).labels_) > 0.9


def test_one_strange_clip_does_not_set_the_scale():
    X, truth = blobs(0, 10, n_clips=50)
    X[0, 1] = 10_000
    found = StatisticalClusterer(max_clusters=3, random_state=0).fit(X).labels_
    assert adjusted_rand_score(truth[1:], found[1:]) > 0.95


@every_method
@pytest.mark.parametrize(
    "X", [np.zeros((30, 3)), np.ones((1, 2)), np.zeros((2, 2)), np.tile(np.eye(2), (10, 1))], ids=str
)
def test_constant_and_equal_clips_can_be_clustered(method, X):
    labels = StatisticalClusterer(method, random_state=0).fit(X).labels_
    assert labels.min() == 0
    assert labels.max() <= 1


@pytest.mark.parametrize("method", ["kmeans_silhouette", "agglomerative"])
def test_more_statistics_than_clips(method):
    X, truth = blobs(0, 10, n_clips=15, n_dimensions=400)
    assert adjusted_rand_score(truth, StatisticalClusterer(method, random_state=0).fit(X).labels_) == 1


def test_a_mixture_of_few_clips_in_many_dimensions_keeps_the_planted_ones_apart():
    X, truth = blobs(0, 10, n_clips=15, n_dimensions=400)
    labels = StatisticalClusterer("gmm_bic", random_state=0).fit(X).labels_
    assert not set(labels[truth == 0]) & set(labels[truth == 1])


def test_unknown_machine_type_is_refused_by_name():
    X, _ = blobs(0, n_clips=10)
    clusterer = StatisticalClusterer().fit(X, machine_type=["fan"] * 10)
    with pytest.raises(ValueError, match=r"fit saw no clips of pump, only of: fan\. Pass machine_type"):
        clusterer.predict(X, machine_type=["pump"] * 10)
    with pytest.raises(ValueError, match=r"fit saw no clips of an unknown machine type and domain, only of: fan\."):
        clusterer.predict(X)


@pytest.mark.parametrize("parameter", ["machine_type", "domain"])
def test_strange_names_are_refused_by_their_parameter(parameter):
    X, _ = blobs(0, n_clips=10)
    with pytest.raises(ValueError, match=f"{parameter} has 9 names for 10 clips"):
        StatisticalClusterer().fit(X, **{parameter: ["fan"] * 9})
    with pytest.raises(TypeError, match=f"{parameter}='fan'; a sequence of 10 names"):
        StatisticalClusterer().fit(X, **{parameter: "fan"})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"method": "dbscan"}, "method='dbscan' is unknown; expected one of 'gmm_bic'"),
        ({"max_clusters": 0}, "max_clusters=0 is too small"),
        ({"min_share": 1.5}, "min_share=1.5 is out of range"),
        ({"max_dimensions": 0}, "max_dimensions=0 is too small"),
        ({"scaling": "std"}, "scaling='std' is unknown; expected one of 'common', 'each'"),
    ],
)
def test_bad_parameters_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        StatisticalClusterer(**settings).fit(blobs(0)[0])


@pytest.mark.parametrize("name", [None, np.nan, 3])
def test_names_are_text(name):
    with pytest.raises(ValueError, match=r"domain contains .*; a string is expected for each clip"):
        StatisticalClusterer().fit(blobs(0, n_clips=4)[0], domain=["source", "source", "source", name])


def test_a_component_that_no_training_clip_is_of_belongs_to_the_nearest_cluster():
    centers = np.array([[0.0], [10.0], [9.0], [1.0]])
    assert _merged(centers, np.array([0, 0, 0, 1, 1, 1]), 2.0).tolist() == [0, 1, 1, 0]
