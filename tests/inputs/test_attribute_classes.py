import numpy as np
import pandas as pd
import pytest

from skasd.clips import as_clips
from skasd.clustering import StatisticalClusterer
from skasd.inputs._attribute_classes import attributes_of, labels_of


def of(machines, domains, attributes, statistics=None, clusters_for="missing"):
    machines, domains, attributes = (np.array(values, dtype=object) for values in (machines, domains, attributes))
    statistics = np.zeros((len(machines), 2)) if statistics is None else statistics
    return labels_of(
        machines,
        domains,
        attributes,
        statistics,
        clusters_for=clusters_for,
        clusterer=StatisticalClusterer(),
        seed=0,
    )


def test_attributes_are_text_and_what_says_that_there_are_none_is_none():
    cells = [" speed_1 ", "noAttribute", "noAttributes", None, np.nan, "", "NaN", 3]
    clips = as_clips(pd.DataFrame({"path": list("abcdefgh"), "attributes": pd.Series(cells, dtype=object)}))
    assert attributes_of(clips).tolist() == ["speed_1", "", "", "", "", "", "", "3"]
    assert attributes_of(as_clips(["a.wav", "b.wav"])).tolist() == ["", ""]
    assert attributes_of(as_clips(pd.DataFrame({"path": ["a.wav"]}))).tolist() == [""]


def test_attributes_and_domain_make_a_class():
    labels = of(["fan"] * 3, ["source", "source", "target"], ["a", "b", "a"])
    assert labels.names.tolist() == ["fan | source | a", "fan | source | b", "fan | target | a"]
    assert labels.label.tolist() == [0, 1, 2]
    assert labels.source == {"fan": "attributes"}


def test_a_clip_without_attributes_of_a_machine_that_has_some_is_of_its_domain():
    labels = of(["fan"] * 2, ["source"] * 2, ["a", ""])
    assert labels.names.tolist() == ["fan | source", "fan | source | a"]


@pytest.fixture
def two_sounds():
    """Twenty clips of each of two machines; those of the second machine have two sounds and no attributes."""
    machines = ["fan"] * 20 + ["valve"] * 20
    attributes = ["a", "b"] * 10 + [""] * 20
    statistics = np.random.default_rng(0).standard_normal((40, 6))
    statistics[30:] += 12
    return machines, ["source"] * 40, attributes, statistics


def test_machines_without_attributes_are_clustered(two_sounds):
    labels = of(*two_sounds)
    assert labels.source == {"fan": "attributes", "valve": "clusters"}
    assert labels.names.tolist()[:2] == ["fan | source | a", "fan | source | b"]
    assert labels.names.tolist()[2:] == ["valve | source | cluster 0", "valve | source | cluster 1"]
    assert len(set(labels.label[20:30])) == len(set(labels.label[30:])) == 1


def test_all_or_no_machines_may_be_clustered(two_sounds):
    assert of(*two_sounds, clusters_for="all").source == {"fan": "clusters", "valve": "clusters"}
    labels = of(*two_sounds, clusters_for="none")
    assert labels.source == {"fan": "attributes", "valve": "domain"}
    assert labels.names.tolist()[-1] == "valve | source"


def test_clusters_of_the_domains_are_counted_apart(two_sounds):
    machines, _, _, statistics = two_sounds
    labels = of(machines[20:], ["source", "target"] * 10, [""] * 20, statistics[20:])
    assert labels.names.tolist() == [
        "valve | source | cluster 0",
        "valve | source | cluster 1",
        "valve | target | cluster 0",
        "valve | target | cluster 1",
    ]


def test_one_machine_of_no_name_with_one_sound_is_one_class():
    labels = of([""] * 4, ["source"] * 4, [""] * 4)
    assert labels.names.tolist() == ["source | cluster 0"]


def test_order_of_the_clips_changes_no_partition(two_sounds):
    order = np.random.default_rng(1).permutation(40)
    machines, domains, attributes = (np.asarray(values, dtype=object) for values in two_sounds[:3])
    statistics = two_sounds[3]
    first = of(machines, domains, attributes, statistics)
    second = of(machines[order], domains[order], attributes[order], statistics[order])
    np.testing.assert_array_equal(second.names[second.label], first.names[first.label][order])
