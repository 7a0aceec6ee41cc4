import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from skasd._threshold import alarm_threshold
from skasd.datasets import make_machine_clips
from skasd.detectors import AutoencoderDetector
from skasd.features import LogMelTransformer
from skasd.scoring._residual_mahalanobis import mahalanobis_score

FRONT_END = LogMelTransformer(n_fft=256, hop_length=128, n_mels=16)


def small(*arguments, **settings):
    usual = {"frontend": FRONT_END, "max_epochs": 3, "device": "cpu", "random_state": 0}
    return AutoencoderDetector(*arguments).set_params(**{**usual, **settings})


@pytest.fixture(scope="module")
def machines():
    return make_machine_clips(("fan", "pump"), n_train=20, target_share=0.3, duration=1.0, random_state=0)


@pytest.fixture(scope="module")
def train(machines):
    return machines.data[machines.data["split"] == "train"]


@pytest.fixture(scope="module")
def test(machines):
    return machines.data[machines.data["split"] == "test"]


@pytest.fixture(scope="module")
def fitted(train):
    return small().fit(train)


def residuals_of(detector, waveform, machine="fan"):
    """Residuals (n_patches, 5, F) of a clip, by hand."""
    import torch

    frames = FRONT_END.fit_transform([waveform])[0].T
    patches = np.stack([frames[start : start + 5] for start in range(len(frames) - 4)])
    with torch.no_grad():
        made = detector.networks_[machine](torch.from_numpy(patches.reshape(len(patches), -1))).numpy()
    return patches - made.reshape(patches.shape)


def test_each_machine_type_has_an_autoencoder(fitted):
    assert sorted(fitted.networks_) == ["fan", "pump"]


def test_published_number_of_parameters():
    noise = np.random.default_rng(0).standard_normal((4, 4096))
    network = AutoencoderDetector(max_epochs=1).fit(noise).networks_[""]
    assert sum(parameter.numel() for parameter in network.parameters()) == 267_928


def test_scores_of_a_machine_do_not_depend_on_the_others(fitted, train, test):
    fans = small().fit(train[train["machine_type"] == "fan"])
    of_fans = test[test["machine_type"] == "fan"]
    np.testing.assert_allclose(fitted.score_samples(of_fans), fans.score_samples(of_fans), rtol=1e-5)


def test_mean_squared_residual_is_the_score(fitted, test):
    clip = test[test["machine_type"] == "fan"].iloc[:1]
    residual = residuals_of(fitted, clip["waveform"].iloc[0])
    assert -fitted.score_samples(clip)[0] == pytest.approx(np.square(residual).mean(), rel=1e-4)


@pytest.mark.parametrize("residual", ["clip_mean", "frame", "frame_minimum"])
def test_mahalanobis_score_is_that_of_the_residual(residual, train, test):
    detector = small("mahalanobis", residual=residual, shrinkage=0.01).fit(train)
    clip = test[test["machine_type"] == "fan"].iloc[:1]
    covariances = detector.covariances_["fan"]
    unit = [0.01 * np.trace(covariance) / 16 * np.eye(16) for covariance in covariances]
    inverses = np.linalg.inv(covariances + unit)
    made = residuals_of(detector, clip["waveform"].iloc[0])
    expected = mahalanobis_score(made, inverses, residual)
    assert -detector.score_samples(clip)[0] == pytest.approx(expected, rel=1e-3)


def test_both_domains_have_a_spread_of_their_own(train):
    covariances = small("mahalanobis").fit(train).covariances_["fan"]
    assert covariances.shape == (2, 16, 16)
    assert not np.allclose(covariances[0], covariances[1])


@pytest.mark.parametrize("domain", ["source", "target"])
def test_one_domain_lends_its_spread_to_the_other(domain, train):
    covariances = small("mahalanobis").fit(train.assign(domain=domain)).covariances_["fan"]
    np.testing.assert_array_equal(covariances[0], covariances[1])


def test_clips_held_out_set_the_threshold(train):
    detector = small(training__validation_fraction=0.25).fit(train)
    rows = judged(detector, train)
    assert len(rows) == 2 * (round(0.25 * 14) + round(0.25 * 6))
    threshold = alarm_threshold(-detector.score_samples(train.iloc[rows]), 0.1, "quantile")
    assert detector.offset_ == pytest.approx(-threshold, rel=1e-5)


def judged(detector, train):
    """Positions of the clips that set the threshold."""
    rows = [np.flatnonzero(train["machine_type"] == name) for name in detector._names]
    return np.concatenate([some[machine.judged] for some, machine in zip(rows, detector._machines, strict=True)])


def test_too_few_clips_hold_none_out(train):
    few = train.groupby("machine_type").head(4)
    assert len(judged(small().fit(few), few)) == len(few)


def test_held_out_loss_is_in_the_history(train):
    history = small(training__validation_fraction=0.25).fit(train).histories_["pump"]
    assert len(history) == 3
    assert all({"train_loss", "valid_loss"} <= epoch.keys() for epoch in history)
    assert history[-1]["train_loss"] < history[0]["train_loss"]
    assert [epoch["learning_rate"] for epoch in history] == [1e-3] * 3


def test_a_file_of_frames_gives_the_same_scores(fitted, train, test):
    mapped = small(training__memory_budget=1e3).fit(train)
    np.testing.assert_allclose(mapped.score_samples(test), fitted.score_samples(test), rtol=1e-5)


@pytest.mark.filterwarnings("ignore:.*clips are much shorter:UserWarning")
def test_clips_may_be_longer_and_shorter_than_those_of_the_training(fitted, train):
    waveform = train["waveform"].iloc[0]
    odd = train.iloc[[0, 0, 0]].assign(waveform=[waveform[:300], np.tile(waveform, 10), waveform])
    scores = fitted.score_samples(odd)
    assert np.isfinite(scores).all()
    assert scores[1] == pytest.approx(scores[2], rel=0.2)


def test_all_clips_that_cannot_be_read_are_listed(fitted, train):
    waveforms = train["waveform"].tolist()
    waveforms[0], waveforms[-1] = np.full(16000, np.nan), np.full(16000, np.nan)
    broken = train.assign(waveform=waveforms)
    with pytest.raises(ValueError, match=r"2 of 40 clips cannot be used"):
        small().fit(broken)
    with pytest.raises(ValueError, match=r"2 of 40 clips cannot be used"):
        fitted.score_samples(broken)


def test_an_unknown_machine_is_refused(fitted, train):
    with pytest.raises(ValueError, match="Machine 'slider' of clip 0"):
        fitted.score_samples(train.assign(machine_type="slider"))


@pytest.mark.filterwarnings("ignore:Training clips hold a single constant value:UserWarning")
def test_features_of_other_bands_are_refused_by_name():
    features = [np.zeros((16, 20)), np.zeros((12, 20))]
    with pytest.raises(ValueError, match=r"clip 1: has 12 bands where 16 are expected"):
        small().fit(features)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"score_by": "mae"}, ValueError, "score_by='mae' is unknown; expected one of 'mse', 'mahalanobis'"),
        ({"residual": "patch"}, ValueError, "residual='patch' is unknown"),
        ({"centering": "clip"}, ValueError, "centering='clip' is unknown"),
        ({"shrinkage": -1}, ValueError, "shrinkage=-1"),
        ({"n_context": 0}, ValueError, "n_context=0 is too small"),
        ({"group_columns": "machine_type"}, TypeError, "group_columns='machine_type' is a str"),
        ({"frontend": 3}, TypeError, "frontend=3 is a int; a LogMelTransformer, a torch module"),
        ({"max_epochs": 0}, ValueError, "max_epochs=0"),
        ({"n_jobs": 1.5}, TypeError, "n_jobs=1.5"),
    ],
)
def test_bad_parameters_are_refused(settings, error, message, train):
    with pytest.raises(error, match=message):
        small(**settings).fit(train)


@pytest.mark.filterwarnings("ignore:Training clips hold a single constant value:UserWarning")
def test_one_clip_is_refused():
    with pytest.raises(ValueError, match=r"1 sample \(normal clip\)"):
        small().fit(np.zeros((1, 8000)))


@pytest.mark.parametrize(
    "settings", [{}, {"score_by": "mahalanobis"}, {"score_by": "mahalanobis", "residual": "frame"}]
)
def test_faults_of_a_gearbox_are_found(settings):
    clips = make_machine_clips(("gearbox",), n_train=40, severity=3.0, duration=1.0, random_state=0)
    is_test = (clips.data["split"] == "test").to_numpy()
    score = small(max_epochs=10, **settings).fit(clips.data[~is_test]).score_samples(clips.data[is_test])
    assert roc_auc_score(clips.target[is_test], score) > 0.85


@pytest.mark.gpu
def test_scores_do_not_depend_on_the_device(train, test):
    import copy

    detector = small().fit(train)
    moved = copy.copy(detector)
    moved.device = "cuda"
    np.testing.assert_allclose(moved.score_samples(test), detector.score_samples(test), rtol=1e-3)


def test_one_patch_is_too_few():
    rng = np.random.default_rng(0)
    clips = pd.DataFrame(
        {"waveform": [*rng.standard_normal((5, 8000)), rng.standard_normal(500)], "machine_type": [*"aaaaab"]}
    )
    with pytest.raises(ValueError, match="The training clips of b give only one patch of 5 frames"):
        small(max_epochs=1).fit(clips)
