import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import make_blobs
from sklearn.metrics import adjusted_rand_score

from skasd.clips import as_clips
from skasd.inputs._clip_classes import ClipClasses, check_class_parameters, machine_names, pseudo_labels


def planted(n_clusters=4, n_clips=80, n_statistics=30, seed=0):
    """Statistics of clips far apart, and the cluster of each."""
    return make_blobs(n_clips, n_statistics, centers=n_clusters, cluster_std=0.5, random_state=seed)


def no_machine(n):
    return np.full(n, "")


def classes_of(machine, statistics, n_clusters=None, seed=0):
    return ClipClasses.of(np.asarray(machine), statistics, n_clusters, seed=seed)


def clusters(statistics, n_clusters, seed=0):
    return pseudo_labels(statistics, no_machine(len(statistics)), n_clusters, seed=seed)


def test_labels_of_columns_are_the_classes():
    made = classes_of(["pump/01", "fan/00", "pump/01"], np.zeros((3, 2)))
    assert made.names.tolist() == ["fan/00", "pump/01"]
    assert made.names[made.label].tolist() == ["pump/01", "fan/00", "pump/01"]
    assert made.machine.tolist() == ["fan/00", "pump/01"]
    assert not made.is_clustered


def test_labels_are_64_bit_integers():
    assert classes_of(["a", "b"], np.zeros((2, 1))).label.dtype == np.int64


@pytest.mark.parametrize("machine", ["", "fan/00"])
def test_clips_of_fewer_than_two_labels_are_clustered(machine):
    statistics, _ = planted()
    made = classes_of([machine] * 80, statistics)
    assert made.is_clustered
    assert 12 <= len(made.names) <= 16  # of those asked for, single clips are not left alone
    assert set(made.machine) == {machine}


def test_names_of_clusters_begin_with_their_machine():
    statistics, _ = planted()
    assert classes_of(["fan/00"] * 80, statistics, 2).names.tolist() == ["fan/00 | cluster 0", "fan/00 | cluster 1"]
    assert classes_of(no_machine(80), statistics, 2).names.tolist() == ["cluster 0", "cluster 1"]


def test_clusters_are_found_within_machines():
    statistics, _ = planted()
    machine = np.array(["fan/00", "pump/01"])[np.arange(80) % 2]
    made = classes_of(machine, statistics, 3)
    assert made.is_clustered
    assert len(made.names) == 6
    np.testing.assert_array_equal(made.machine[made.label], machine)


def test_clusters_are_found_within_domains():
    statistics, _ = planted()
    domain = np.where(np.arange(80) % 8, "source", "target")
    names = pseudo_labels(statistics, np.full(80, "fan/00"), 2, domain=domain, seed=0)
    expected = [f"fan/00 | {name} | cluster {number}" for name in ("source", "target") for number in (0, 1)]
    assert sorted(set(names)) == expected
    assert all(domain[row] in name for row, name in enumerate(names))
    one = pseudo_labels(statistics, np.full(80, "fan/00"), 2, domain=np.full(80, "source"), seed=0)
    assert sorted(set(one)) == ["fan/00 | cluster 0", "fan/00 | cluster 1"]


def test_clusters_of_a_machine_do_not_depend_on_other_machines():
    statistics, _ = planted()
    machine = np.array(["fan/00", "pump/01"])[np.arange(80) % 2]
    together = pseudo_labels(statistics, machine, 3, seed=0)[machine == "fan/00"]
    np.testing.assert_array_equal(together, pseudo_labels(statistics[::2], machine[::2], 3, seed=0))


def test_one_cluster_a_machine_is_the_machine():
    statistics, _ = planted()
    machine = np.array(["fan/00", "pump/01"])[np.arange(80) % 2]
    made = classes_of(machine, statistics, 1)
    np.testing.assert_array_equal(made.machine[made.label], machine)
    assert len(made.names) == 2


def test_planted_clusters_are_recovered():
    statistics, truth = planted()
    assert adjusted_rand_score(truth, clusters(statistics, 4)) == 1


def test_same_seed_same_clusters():
    statistics = np.random.default_rng(0).standard_normal((60, 20))
    np.testing.assert_array_equal(clusters(statistics, 8, seed=3), clusters(statistics, 8, seed=3))


def test_the_global_generator_stays_as_it_was():
    before = np.random.get_state()[1].tolist()  # noqa: NPY002
    clusters(planted()[0], 4)
    assert np.random.get_state()[1].tolist() == before  # noqa: NPY002


def test_order_of_clips_does_not_matter_for_the_partition():
    statistics, _ = planted()
    order = np.random.default_rng(0).permutation(len(statistics))
    assert adjusted_rand_score(clusters(statistics, 4)[order], clusters(statistics[order], 4)) == 1


@pytest.mark.parametrize("value", [0.0, 0.1, -37.123456789, 1e6 / 3])
@pytest.mark.parametrize("n_clips", [2, 3, 7, 50])
def test_identical_clips_are_one_cluster(n_clips, value):
    assert set(clusters(np.full((n_clips, 3), value), 4)) == {"cluster 0"}


def test_no_more_clusters_than_distinct_clips():
    statistics = np.repeat([[0.0, 1.0], [5.0, -3.0]], 10, axis=0)
    names = clusters(statistics, 8)
    assert len(set(names)) == 2
    assert len(set(names[:10])) == len(set(names[10:])) == 1


@pytest.mark.parametrize("n_clips, n_clusters", [(1, 1), (2, 1), (3, 1), (4, 2), (9, 4)])
def test_a_cluster_has_two_clips_on_average_at_least(n_clips, n_clusters):
    statistics = np.random.default_rng(0).standard_normal((n_clips, 6))
    assert len(set(clusters(statistics, 100))) <= n_clusters


def test_two_clips_are_one_class():
    made = classes_of(no_machine(2), np.array([[0.0], [1.0]]))
    assert made.label.tolist() == [0, 0]
    assert made.is_clustered


def test_machines_of_one_clip_are_classes_of_their_own():
    made = classes_of(["a", "b", "c"], np.eye(3), 2)
    assert made.names.tolist() == ["a | cluster 0", "b | cluster 0", "c | cluster 0"]


@pytest.mark.parametrize("shape", [(5, 1), (5, 40), (40, 1)])
def test_any_number_of_statistics(shape):
    statistics = np.random.default_rng(0).standard_normal(shape)
    assert len(set(clusters(statistics, 2))) == 2


def test_machine_names_are_cells_of_the_label_columns():
    table = pd.DataFrame({"waveform": list(np.ones((2, 4))), "machine_type": ["fan", "pump"], "section": ["00", "01"]})
    clips = as_clips(table)
    assert machine_names(clips, ("machine_type", "section")).tolist() == ["fan/00", "pump/01"]
    assert machine_names(clips, None).tolist() == ["", ""]


@pytest.mark.parametrize("given", ["machine_type", 3])
def test_label_columns_of_another_type_are_refused_by_name(given):
    with pytest.raises(TypeError, match=r"^label_columns="):
        check_class_parameters(given, None)


@pytest.mark.parametrize("given, error", [(0, ValueError), (2.5, TypeError)])
def test_a_bad_number_of_clusters_is_refused_by_name(given, error):
    with pytest.raises(error, match=r"^n_clusters="):
        check_class_parameters(None, given)
