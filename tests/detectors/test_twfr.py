import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.metrics import roc_auc_score
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import KFold
from sklearn.neighbors import LocalOutlierFactor

from skasd.datasets import make_machine_clips
from skasd.detectors import TWFRDetector
from skasd.features import LogMelTransformer, TWFRTransformer
from skasd.scoring import (
    GMMScorer,
    KMeansScorer,
    KNNScorer,
    LocalDensityScorer,
    MahalanobisScorer,
    ScaledKNNScorer,
)


@pytest.fixture(scope="module")
def machines():
    return make_machine_clips(("fan", "valve"), n_sections=2, duration=2.0, random_state=0)


@pytest.fixture(scope="module")
def features():
    rng = np.random.default_rng(0)
    return 10 * rng.standard_normal((30, 6, 40)) - 30


def test_score_is_the_mixture_of_the_pooled_spectra(features):
    spectra = TWFRTransformer(r=0.7).fit_transform(features)
    expected = GaussianMixture(1, reg_covar=0.1, random_state=0).fit(spectra[:20]).score_samples(spectra[20:])
    detector = TWFRDetector(r=0.7).fit(features[:20])
    np.testing.assert_allclose(detector.score_samples(features[20:]), expected, rtol=1e-9)


SCORERS = [
    KNNScorer(2, metric="euclidean"),
    LocalDensityScorer(metric="euclidean"),
    KMeansScorer(4, random_state=0),
    GMMScorer(random_state=0),
    MahalanobisScorer(),
    ScaledKNNScorer(),
    LocalOutlierFactor(5, novelty=True),
]


@pytest.mark.parametrize("scorer", SCORERS, ids=lambda scorer: type(scorer).__name__)
def test_any_scorer_takes_the_place_of_the_mixtures(features, scorer):
    spectra = TWFRTransformer(r=0.7).fit_transform(features)
    expected = clone(scorer).fit(spectra[:20]).score_samples(spectra[20:])
    detector = TWFRDetector(r=0.7, scorer=scorer).fit(features[:20])
    np.testing.assert_allclose(detector.score_samples(features[20:]), expected, rtol=1e-9)


def test_scores_of_a_scorer_are_normalised_by_clips_that_were_held_out(features):
    detector = TWFRDetector(scorer=ScaledKNNScorer(), random_state=0).fit(features)
    for r, model, location, spread in zip(
        detector.r_[""],
        detector.mixtures_[""],
        *(getattr(detector._machines[""], n) for n in ("location", "spread")),
        strict=True,
    ):
        spectra = TWFRTransformer(r=r).fit_transform(features)
        held_out = [
            -ScaledKNNScorer().fit(spectra[rest]).score_samples(spectra[fold])
            for rest, fold in KFold(5, shuffle=True, random_state=1).split(spectra)
        ]
        assert location == pytest.approx(np.concatenate(held_out).mean(), rel=0.1)
        assert 0.5 < spread / np.concatenate(held_out).std() < 2
        assert model.anomaly_score(spectra).mean() < 2 * location


def test_domains_reach_the_scorer():
    rng = np.random.default_rng(0)
    level = np.repeat([-40.0, -20.0], [20, 6])[:, None, None]
    clips = pd.DataFrame(
        {"log_mel": list(rng.normal(level, 1, (26, 8, 30))), "domain": ["source"] * 20 + ["target"] * 6}
    )
    scorer = MahalanobisScorer(shrinkage=0.5)
    told = TWFRDetector(r=1.0, scorer=scorer).fit(clips).score_samples(clips)
    untold = TWFRDetector(r=1.0, scorer=scorer).fit(clips[["log_mel"]]).score_samples(clips[["log_mel"]])
    assert told[20:].mean() > untold[20:].mean()


def test_parameters_of_the_mixtures_are_refused_beside_a_scorer(features):
    for parameter in ({"n_components": 2}, {"reg_covar": 1.0}, {"score_by": "log_likelihood"}):
        with pytest.raises(ValueError, match=f"{next(iter(parameter))}=.* has no effect with a scorer"):
            TWFRDetector(scorer=KNNScorer(), **parameter).fit(features)
    with pytest.raises(TypeError, match="scorer=3 has no fit"):
        TWFRDetector(scorer=3).fit(features)


def test_a_scorer_with_clips_of_one_recording_warns():
    clips = pd.DataFrame({"log_mel": list(np.random.default_rng(0).normal(size=(12, 4, 9))), "group": "one"})
    with pytest.warns(UserWarning, match="Few normal clips: 12 clips of one recording"):
        TWFRDetector(scorer=KNNScorer()).fit(clips)


@pytest.mark.parametrize("container", [lambda y: np.array(y, dtype=object), lambda y: pd.Series(y, dtype="Int64")])
def test_labels_may_be_objects(features, container):
    y = [1] * 20 + [-1] * 10
    detector = TWFRDetector(r=1.0).fit(features, container(y))
    np.testing.assert_array_equal(
        detector.score_samples(features), TWFRDetector(r=1.0).fit(features, y).score_samples(features)
    )
    for wrong in (["1"] * 30, [None] * 30, [True] * 30):
        with pytest.raises(ValueError, match="Unknown label type: y contains labels of type"):
            TWFRDetector().fit(features, np.array(wrong, dtype=object))


def test_log_likelihood_weighs_the_components(features):
    spectra = TWFRTransformer(r=1.0).fit_transform(features)
    detector = TWFRDetector(r=1.0, n_components=3, score_by="log_likelihood", random_state=0).fit(features)
    (mixture,) = detector.mixtures_[""]
    np.testing.assert_allclose(detector.score_samples(features), mixture.score_samples(spectra), rtol=1e-9)
    by_component = detector.set_params(score_by="component").fit(features).score_samples(features)
    assert not np.allclose(by_component, mixture.score_samples(spectra))


def test_several_r_score_by_the_largest_normalised_distance(features):
    by_r = []
    for r in (1.0, 0.5):
        spectra = TWFRTransformer(r=r).fit_transform(features)
        left_out = [
            -TWFRDetector(r=r).fit(np.delete(features, clip, axis=0)).score_samples(features[clip : clip + 1])[0]
            for clip in range(len(features))
        ]
        distance = -GaussianMixture(1, reg_covar=0.1).fit(spectra).score_samples(spectra)
        by_r.append((distance - np.mean(left_out)) / np.std(left_out))
    detector = TWFRDetector(r=(1.0, 0.5)).fit(features)
    np.testing.assert_allclose(detector.score_samples(features), -np.max(by_r, axis=0), rtol=1e-6)


def test_auto_leaves_the_mean_out_for_impulsive_machines_only(machines):
    detector = TWFRDetector().fit(machines.data[machines.data.split == "train"])
    assert detector.r_["fan/00"] == (1.0, 0.95, 0.8, 0.5)
    assert detector.skewness_["fan/00"] < 0 < detector.skewness_["valve/00"]
    clicks = np.full((10, 8, 100), -60.0) + np.random.default_rng(0).standard_normal((10, 8, 100))
    clicks[:, :, ::20] = -10.0
    assert TWFRDetector().fit(clicks).r_ == {"": (0.95, 0.8, 0.5)}


def test_explicit_mean_is_kept_for_impulsive_machines():
    clicks = np.zeros((10, 2, 50))
    clicks[:, :, 7] = 1.0 + np.arange(10)[:, None]
    assert TWFRDetector(r=(1.0, 0.5)).fit(clicks).r_ == {"": (1.0, 0.5)}


def test_each_machine_and_section_has_its_own_mixture(machines):
    train = machines.data[machines.data.split == "train"]
    detector = TWFRDetector(r=1.0).fit(train)
    assert sorted(detector.mixtures_) == ["fan/00", "fan/01", "valve/00", "valve/01"]
    fan = train[(train.machine_type == "fan") & (train.section == "01")]
    alone = TWFRDetector(r=1.0).fit(fan)
    np.testing.assert_allclose(detector.score_samples(fan), alone.score_samples(fan), rtol=1e-12)


def test_group_columns_can_put_machines_together(machines):
    train = machines.data[machines.data.split == "train"]
    assert sorted(TWFRDetector(group_columns=("machine_type",)).fit(train).r_) == ["fan", "valve"]
    assert sorted(TWFRDetector(group_columns=()).fit(train).r_) == [""]


def test_unknown_machine_is_refused_by_name(machines):
    fans = machines.data[(machines.data.machine_type == "fan") & (machines.data.split == "train")]
    detector = TWFRDetector().fit(fans)
    with pytest.raises(ValueError, match=r"Machine 'valve/00' of clip 0 .*is not among those given to fit: \['fan/00'"):
        detector.score_samples(machines.data[machines.data.machine_type == "valve"])


def test_x_without_machines_is_refused_after_a_table_with_several(machines):
    detector = TWFRDetector().fit(machines.data)
    with pytest.raises(ValueError, match="X names no machine, but fit was given clips of"):
        detector.score_samples(np.stack(machines.data.waveform))


def test_columns_without_any_known_cell_are_passed_over(machines):
    fans = machines.data[machines.data.machine_type == "fan"]
    assert list(TWFRDetector().fit(fans.assign(machine_type=None, section=None)).r_) == [""]


def test_sections_read_as_numbers_get_a_hint(machines):
    numbered = machines.data.assign(section=machines.data.section.astype(int))
    with pytest.raises(ValueError, match=r"is not among.*read tables with dtype=str"):
        TWFRDetector().fit(numbered).score_samples(machines.data)


def test_misspelt_group_column_is_refused(machines):
    with pytest.raises(ValueError, match="no column 'sectoin'"):
        TWFRDetector(group_columns=("machine_type", "sectoin")).fit(machines.data)


def test_parameters_changed_after_fit_wait_for_the_next_fit(machines):
    detector = TWFRDetector(r=(1.0, 0.5)).fit(machines.data)
    before = detector.score_samples(machines.data)
    detector.set_params(r=(0.5, 1.0), group_columns=(), score_by="log_likelihood")
    np.testing.assert_array_equal(detector.score_samples(machines.data), before)


def test_two_training_clips_give_scores_of_sane_size(features):
    assert np.abs(TWFRDetector().fit(features[:2]).score_samples(features)).max() < 1e5


def test_machine_of_one_clip_is_refused_by_name(machines):
    fans = machines.data[(machines.data.machine_type == "fan") & (machines.data.split == "train")]
    one_valve = machines.data[machines.data.machine_type == "valve"].iloc[:1]
    with pytest.raises(ValueError, match=r"1 sample\(s\) of valve/00.*at least 2"):
        TWFRDetector().fit(pd.concat([fans, one_valve]))


def test_order_of_training_clips_does_not_matter(machines):
    train = machines.data[machines.data.split == "train"]
    shuffled = train.sample(frac=1, random_state=0)
    one, other = (TWFRDetector().fit(table).score_samples(machines.data) for table in (train, shuffled))
    np.testing.assert_allclose(one, other, rtol=1e-7)


def test_another_front_end_changes_the_bands(machines):
    detector = TWFRDetector(frontend=LogMelTransformer(n_mels=32)).fit(machines.data)
    assert detector.mixtures_["fan/00"][0].means_.shape == (1, 32)


@pytest.mark.filterwarnings("ignore:Training clips hold a single constant value:UserWarning")
def test_features_of_unequal_bands_are_named():
    table = pd.DataFrame({"log_mel": [np.ones((4, 9)), np.ones((4, 9)), np.ones((5, 9))]})
    with pytest.raises(ValueError, match=r"clip 2 .*has 5 bands where 4 are expected"):
        TWFRDetector().fit(table)


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"r": "mean"}, ValueError, "r='mean' is unknown; expected one of 'auto'"),
        ({"r": 2.0}, ValueError, "r=2.0 is out of range"),
        ({"r": []}, ValueError, "r is empty"),
        ({"n_components": 0}, ValueError, "n_components=0"),
        ({"reg_covar": 0.0}, ValueError, "reg_covar=0.0"),
        ({"group_columns": None}, TypeError, "group_columns=None"),
        ({"score_by": "gmm"}, ValueError, "score_by='gmm'"),
        ({"group_columns": "section"}, TypeError, "group_columns='section' is a str"),
        ({"frontend": 3}, TypeError, "frontend=3 is a int"),
        ({"contamination": "most"}, ValueError, "contamination='most' is unknown; expected one of 'auto'"),
        ({"contamination": 0.0}, ValueError, "contamination=0.0"),
        ({"contamination": 0.7}, ValueError, "contamination=0.7"),
        ({"random_state": "seed"}, TypeError, "random_state='seed'"),
    ],
)
def test_parameters_out_of_range_are_named(features, parameters, error, message):
    with pytest.raises(error, match=message):
        TWFRDetector(**parameters).fit(features)


def auc(y_true, scores):
    anomalous = np.asarray(y_true) == "anomaly"
    return roc_auc_score(anomalous, -scores), roc_auc_score(anomalous, -scores, max_fpr=0.1)


@pytest.fixture(scope="module")
def valve(real_data):
    clips = pd.read_csv(real_data / "clips.csv", dtype={"section": str})
    valve = clips[clips.dataset == "valve2023"]
    return valve.assign(path=[str(real_data / path) for path in valve.path])


@pytest.fixture(scope="module")
def toy_car(real_data):
    folder = real_data / "toycar2020_logmel"
    return pd.read_csv(folder / "clips.csv", dtype=str).assign(log_mel=list(np.load(folder / "log_mel.npy")))


def scores_of(detector, clips):
    test = clips[clips.split == "test"]
    return test, detector.fit(clips[clips.split == "train"]).score_samples(test)


@pytest.mark.parametrize(("r", "least_auc", "least_pauc"), [(0.46, 0.97, 0.88), ("auto", 0.95, 0.8)])
def test_real_valve_is_told_apart(valve, r, least_auc, least_pauc):
    test, scores = scores_of(TWFRDetector(r=r, n_components=1), valve)
    roc_area, partial_area = auc(test.label, scores)
    assert roc_area >= least_auc
    assert partial_area >= least_pauc


def test_real_valve_is_lost_in_the_time_mean(valve):
    test, scores = scores_of(TWFRDetector(r=1.0), valve)
    assert auc(test.label, scores)[0] < 0.60


@pytest.mark.parametrize(("r", "least_auc", "least_pauc"), [(1.0, 0.93, 0.78), ("auto", 0.92, 0.75)])
def test_real_toy_cars_are_told_apart(toy_car, r, least_auc, least_pauc):
    test, scores = scores_of(TWFRDetector(r=r), toy_car)
    areas = [
        auc(test.label[test.section == section], scores[test.section == section]) for section in test.section.unique()
    ]
    assert len(areas) == 4
    mean_auc, mean_pauc = np.mean(areas, axis=0)
    assert mean_auc >= least_auc
    assert mean_pauc >= least_pauc
