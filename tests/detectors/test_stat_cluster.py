import numpy as np
import pandas as pd
import pytest
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import LocalOutlierFactor

from skasd._threshold import alarm_threshold
from skasd.clustering import StatisticalClusterer
from skasd.datasets import make_machine_clips
from skasd.detectors import StatClusterDetector
from skasd.features import LogMelTransformer
from skasd.metrics import auc_scorer
from skasd.model_selection import NormalOnlySplit
from skasd.networks import OSSCLNet
from skasd.scoring import GMMScorer, KMeansScorer, KNNScorer, LocalDensityScorer

FRONT_END = LogMelTransformer(n_fft=256, hop_length=128, n_mels=16, pad_mode="constant", short_clips="tile")


def small(system="auto", **settings):
    """A detector of this small size, which learns from all clips unless a setting holds some out."""
    sizes = {
        "network__bottlenecks": ((1, 16, 1, 2),),
        "network__embedding_dim": 16,
        "max_epochs": 1,
        "training__calibration_fraction": "auto" if "training__validation_fraction" in settings else 0,
    }
    detector = StatClusterDetector(system, branches=("log_mel",), frontend=FRONT_END, device="cpu", random_state=0)
    return detector.set_params(**{**sizes, **settings})


@pytest.fixture(scope="module")
def machines():
    return make_machine_clips(("fan", "pump"), n_train=20, duration=0.5, target_share=0.3, random_state=0)


@pytest.fixture(scope="module")
def train(machines):
    return machines.data[machines.data["split"] == "train"].reset_index(drop=True)


@pytest.fixture(scope="module")
def test(machines):
    return machines.data[machines.data["split"] == "test"].reset_index(drop=True)


@pytest.fixture(scope="module")
def fitted(train):
    return small().fit(train)


@pytest.fixture
def without_attributes(train):
    """The pumps lost their attributes."""
    return train.assign(attributes=train["attributes"].where(train["machine_type"] == "fan", ""))


@pytest.mark.parametrize(
    ("system", "fan", "pump"),
    [
        ("auto", "attributes", "clusters"),
        ("clusters", "clusters", "clusters"),
        ("metadata", "attributes", "domain"),
    ],
)
def test_where_the_classes_come_from(system, fan, pump, without_attributes):
    detector = small(system, max_epochs=1).fit(without_attributes)
    assert detector.label_source_ == {"fan/00": fan, "pump/00": pump}
    assert detector.classes_[detector.labels_[0]].startswith("fan/00 | ")
    assert isinstance(detector.network_, OSSCLNet)


def test_score_is_the_distance_from_the_clips_of_the_machine(train, test):
    detector = small(scorer=KNNScorer()).fit(train)
    fan, own = train["machine_type"] == "fan", test["machine_type"] == "fan"
    scorer = KNNScorer().fit(detector.transform(train[fan]).astype(np.float64), domain=train["domain"][fan])
    expected = scorer.score_samples(detector.transform(test[own]).astype(np.float64))
    np.testing.assert_allclose(detector.score_samples(test)[own], expected, rtol=1e-4, atol=1e-8)


def test_back_end_is_k_means_with_target_clips_unless_told(fitted, train):
    model = fitted.scorer_["fan/00"].model
    assert isinstance(model, KMeansScorer)
    n_target = ((train["machine_type"] == "fan") & (train["domain"] == "target")).sum()
    assert len(model.centers_) == (20 - n_target) // 5 + n_target
    other = small(scorer=LocalOutlierFactor(3, novelty=True)).fit(train)
    assert isinstance(other.scorer_["fan/00"].model, LocalOutlierFactor)


def test_attributes_of_clips_to_score_are_never_looked_at(fitted, test):
    scores = fitted.score_samples(test)
    for changed in (test.assign(attributes="never heard of"), test.drop(columns="attributes")):
        np.testing.assert_array_equal(fitted.score_samples(changed), scores)
    np.testing.assert_array_equal(fitted.score_samples(test.drop(columns="domain")), scores)


def test_embedding_has_unit_length_and_its_columns_a_name(fitted, train):
    embedding = fitted.transform(train)
    np.testing.assert_allclose(np.linalg.norm(embedding, axis=1), 1, rtol=1e-5)
    assert embedding.shape == (40, 16)
    assert fitted.get_feature_names_out()[-1] == "statclusterdetector15"


def test_planted_states_are_found_and_learnt():
    generator = np.random.default_rng(0)
    time = np.arange(8000) / 16_000
    tones = [np.sin(2 * np.pi * frequency * time) for frequency in (1000, 3000)]
    state = np.repeat([0, 1], 20)
    clips = [0.5 * tones[which] + 0.1 * generator.standard_normal(8000) for which in state]
    table = pd.DataFrame({"waveform": clips, "machine_type": "fan", "section": "00"})
    detector = small("clusters", statistics__r=(1.0,), max_epochs=6, learning_rate=1e-2).fit(table)
    assert adjusted_rand_score(state, detector.labels_) > 0.9
    assert detector.history_[-1]["train_loss"] < detector.history_[0]["train_loss"]


def test_clusterer_of_the_user_is_used_and_left_as_it_was(train):
    clusterer = StatisticalClusterer("agglomerative", max_clusters=2)
    detector = small("clusters", clusterer=clusterer).fit(train)
    assert not hasattr(clusterer, "labels_")
    assert clusterer.random_state is None
    assert all(name.endswith(("cluster 0", "cluster 1")) for name in detector.classes_)


@pytest.mark.parametrize("contrast", ["supcon", "prototype", "two_stage", "off"])
def test_every_contrast_gives_scores(contrast, train, test):
    assert np.isfinite(small(contrast=contrast).fit(train).score_samples(test)).all()


@pytest.mark.parametrize("system", ["clusters", "metadata", "auto"])
def test_a_machine_type_alone_a_class_of_one_clip_and_a_target_domain_of_one(system, train, test):
    fans = train[train["machine_type"] == "fan"].reset_index(drop=True)
    domain = ["source"] * 19 + ["target"]
    attributes = ["a"] * 10 + ["b"] * 8 + ["c", "a"]
    detector = small(system).fit(fans.assign(domain=domain, attributes=attributes))
    assert np.isfinite(detector.score_samples(test[test["machine_type"] == "fan"])).all()


def test_clips_held_out_set_the_threshold(train):
    detector = small(training__validation_fraction=0.25, score_with="embedding").fit(train)
    held_out = detector._scores.clips.held_out
    assert 0 < len(held_out) < len(train) / 2
    threshold = alarm_threshold(-detector.score_samples(train.iloc[held_out]), 0.1, "quantile")
    assert detector.offset_ == pytest.approx(-threshold, rel=1e-5)


def test_an_unknown_machine_is_refused(fitted, test):
    with pytest.raises(ValueError, match=r"Machine 'slider/00' of clip 0 .* is not among those given to fit"):
        fitted.score_samples(test.assign(machine_type="slider"))


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"system": "3"}, ValueError, "system='3' is unknown; expected one of 'clusters', 'metadata', 'auto'"),
        ({"statistics__r": (2.0,)}, ValueError, "r=2.0 is out of range"),
        ({"statistics__moments": ("mean",)}, ValueError, "moments='mean' is unknown"),
        ({"clusterer": KMeans(2)}, TypeError, r"clusterer=KMeans\(n_clusters=2\) is a KMeans; a StatisticalClusterer"),
        ({"contrast": "triplet"}, ValueError, "contrast='triplet' is unknown"),
        (
            {"network__bottlenecks": ((1, 16, 1),)},
            ValueError,
            r"bottlenecks=\(\(1, 16, 1\),\); one of .* is expected, or stages",
        ),
        ({"scorer": KMeans(2)}, TypeError, "has no score_samples"),
        ({"n_jobs": 1.5}, TypeError, "n_jobs=1.5 is a float"),
        ({"max_epochs": 0}, ValueError, "max_epochs=0 is too small"),
    ],
)
def test_bad_parameters_are_refused(settings, error, message, train):
    with pytest.raises(error, match=message):
        small(**settings).fit(train)


@pytest.mark.slow
@pytest.mark.parametrize("scorer", [None, KNNScorer(), LocalDensityScorer()], ids=str)
def test_training_clips_score_alike_alone_and_among_others(scorer, train):
    """The published network in float32, whose embeddings depend on the batch in their last bits."""
    front_end = LogMelTransformer(n_fft=256, hop_length=128, n_mels=32)
    detector = StatClusterDetector(
        branches=("log_mel",), frontend=front_end, scorer=scorer, max_epochs=2, device="cpu", random_state=0
    )
    clips = train.assign(domain=np.where(np.arange(len(train)) % 3, "source", "target"))
    together = detector.fit(clips).score_samples(clips)
    alone = np.concatenate([detector.score_samples(clips.iloc[row : row + 1]) for row in range(len(clips))])
    np.testing.assert_allclose(alone, together, rtol=1e-2, atol=1e-6)


def test_a_single_class_is_warned_about(train):
    fans = train[train["machine_type"] == "fan"].assign(attributes="", domain="source")
    with pytest.warns(
        UserWarning, match="All clips are of one class, 'fan/00 | source', so there is nothing to classify"
    ):
        small("metadata").fit(fans)


def test_a_domain_of_another_spelling_is_refused(train):
    with pytest.raises(
        ValueError, match=r"Column 'domain' holds 'Target' for clip 0 .*; 'source', 'target' or nothing"
    ):
        small().fit(train.assign(domain="Target"))


def test_grid_search_chooses_scorers_and_what_is_in_them(train):
    grid = [
        {"scorer": [KNNScorer(), GMMScorer(), LocalOutlierFactor(3, novelty=True)]},
        {"scorer": [KNNScorer()], "scorer__n_neighbors": [2], "clusterer__max_clusters": [2]},
    ]
    y = np.where(np.arange(len(train)) % 4, 1, -1)
    detector = small("clusters", clusterer=StatisticalClusterer())
    search = GridSearchCV(detector, grid, scoring=auc_scorer, cv=NormalOnlySplit(2), error_score="raise").fit(train, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).sum() == 4
