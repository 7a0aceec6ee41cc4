"""What is loaded gives the scores of what was saved, bit for bit, also in another process."""

import inspect
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import BaseEstimator, clone
from sklearn.covariance import EllipticEnvelope
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.mixture import BayesianGaussianMixture, GaussianMixture
from sklearn.neighbors import KernelDensity, LocalOutlierFactor, NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import QuantileTransformer, StandardScaler
from sklearn.svm import OneClassSVM

import skasd
import skasd.clustering
import skasd.detectors
import skasd.features
import skasd.scoring
from skasd.clustering import StatisticalClusterer
from skasd.datasets import make_machine_clips
from skasd.detectors import OSSCLDetector, TWFRDetector
from skasd.features import (
    LogMelTransformer,
    MedianFilter,
    NoiseReducedLogMel,
    StatisticsTransformer,
    TFgramTransformer,
    TWFRTransformer,
)
from skasd.scoring import (
    GMMScorer,
    KMeansScorer,
    KNNScorer,
    LocalDensityScorer,
    MahalanobisScorer,
    ScaledKNNScorer,
)
from tests.detectors.cases import SMALL, SMALL_FRONT_END, each

NOISE = np.random.default_rng(0).standard_normal((2, 3000))
TRANSFORMERS = [
    LogMelTransformer(n_mels=16),
    MedianFilter(),
    NoiseReducedLogMel(NOISE),
    StatisticsTransformer(frontend=SMALL_FRONT_END),
    TFgramTransformer(OSSCLDetector(**SMALL)),
    TWFRTransformer(frontend=SMALL_FRONT_END),
]
BACK_ENDS = [
    GMMScorer(),
    KMeansScorer(random_state=0),
    KNNScorer(),
    LocalDensityScorer(),
    MahalanobisScorer(),
    ScaledKNNScorer(),
    BayesianGaussianMixture(n_components=2, random_state=0),
    EllipticEnvelope(random_state=0),
    GaussianMixture(2, random_state=np.random.RandomState(3)),
    IsolationForest(n_estimators=20, random_state=0),
    KernelDensity(algorithm="ball_tree"),
    KernelDensity(metric="haversine", algorithm="ball_tree"),
    LocalOutlierFactor(n_neighbors=5, novelty=True),
    LocalOutlierFactor(n_neighbors=5, novelty=True, algorithm="kd_tree", metric="minkowski", p=3),
    OneClassSVM(),
    make_pipeline(
        StandardScaler(), PCA(2), QuantileTransformer(n_quantiles=20), IsolationForest(n_estimators=20, random_state=0)
    ),
]


@pytest.fixture(scope="module")
def train():
    clips = make_machine_clips(("fan", "pump"), n_train=12, duration=0.5, random_state=0).data
    return clips[clips["split"] == "train"].reset_index(drop=True)


@pytest.fixture(scope="module")
def test_clips():
    """Clips of twenty draws."""
    draws = [
        make_machine_clips(
            ("fan", "pump"), n_train=1, n_test_normal=1, n_test_anomaly=1, duration=0.5, random_state=seed
        )
        for seed in range(20)
    ]
    return pd.concat([draw.data for draw in draws], ignore_index=True)


def loaded(estimator, folder):
    skasd.save(estimator, folder / "model.skasd")
    return skasd.load(folder / "model.skasd")


def test_every_public_estimator_is_tested():
    public = {
        value
        for package in (skasd.clustering, skasd.features, skasd.scoring)
        for value in (getattr(package, name) for name in package.__all__)
        if inspect.isclass(value) and issubclass(value, BaseEstimator)
    }
    elsewhere = {skasd.features.PretrainedEmbedding}  # tests/features/test_pretrained.py
    assert {type(thing) for thing in (*TRANSFORMERS, *BACK_ENDS, StatisticalClusterer())} >= public - elsewhere


@each()  # all detectors, as tests/detectors/test_contract.py asserts
def test_a_detector_gives_the_same_scores(case, train, test_clips, tmp_path):
    detector = case.new().fit(train)
    again = loaded(detector, tmp_path)
    np.testing.assert_array_equal(again.score_samples(test_clips), detector.score_samples(test_clips))
    np.testing.assert_array_equal(again.predict(test_clips), detector.predict(test_clips))
    assert repr(again) == repr(detector)


@pytest.mark.parametrize("transformer", TRANSFORMERS, ids=[type(transformer).__name__ for transformer in TRANSFORMERS])
def test_a_transformer_gives_the_same_features(transformer, train, test_clips, tmp_path):
    waveforms = np.stack(train["waveform"])
    X = waveforms[:, :4000] if not isinstance(transformer, MedianFilter) else NOISE.reshape(2, 50, 60)
    fitted = clone(transformer).fit(X)
    np.testing.assert_array_equal(loaded(fitted, tmp_path).transform(X), fitted.transform(X))


@pytest.mark.parametrize(
    "number", range(len(BACK_ENDS)), ids=lambda number: f"{number} {type(BACK_ENDS[number]).__name__}"
)
def test_a_back_end_gives_the_same_scores(number, tmp_path):
    X = np.random.default_rng(0).uniform(-1, 1, (40, 2))
    fitted = clone(BACK_ENDS[number]).fit(X)
    again = loaded(fitted, tmp_path)
    np.testing.assert_array_equal(again.score_samples(X[::-1] * 0.7), fitted.score_samples(X[::-1] * 0.7))


def test_neighbours_and_clusters_are_the_same(tmp_path):
    X = np.random.default_rng(0).standard_normal((60, 3)).astype(np.float32)
    index = NearestNeighbors(algorithm="kd_tree").fit(X)
    for one, other in zip(loaded(index, tmp_path).kneighbors(X + 1), index.kneighbors(X + 1), strict=True):
        np.testing.assert_array_equal(one, other)
    clusterer = StatisticalClusterer(n_clusters=3, random_state=0).fit(X)
    np.testing.assert_array_equal(loaded(clusterer, tmp_path).predict(X), clusterer.predict(X))


def test_a_pipeline_and_a_dict_of_machines_are_kept(train, tmp_path):
    pipeline = make_pipeline(LogMelTransformer(n_mels=16), TWFRDetector(1.0)).fit(train)
    np.testing.assert_array_equal(loaded(pipeline, tmp_path).score_samples(train), pipeline.score_samples(train))
    machines = {"fan": TWFRDetector(1.0).fit(train[:12]), "pump 7/b": TWFRDetector(0.5).fit(train[12:])}
    again = loaded(machines, tmp_path)
    assert list(again) == list(machines)
    np.testing.assert_array_equal(again["fan"].score_samples(train[:12]), machines["fan"].score_samples(train[:12]))


def test_another_process_computes_the_same(train, test_clips, tmp_path):
    waveforms = np.stack(test_clips["waveform"])
    np.save(tmp_path / "waveforms.npy", waveforms)
    detector = TWFRDetector(frontend=SMALL_FRONT_END).fit(train["waveform"].tolist())
    network = OSSCLDetector(("log_mel",), score_with="embedding", **SMALL).fit(train)
    for name, fitted in {"twfr": detector, "osscl": network}.items():
        skasd.save(fitted, tmp_path / f"{name}.skasd")
        np.save(tmp_path / f"{name}.npy", fitted.score_samples(waveforms))
    script = """
import sys
import numpy as np
import skasd
folder = sys.argv[1]
waveforms = np.load(f"{folder}/waveforms.npy")
for name in ("twfr", "osscl"):
    detector = skasd.load(f"{folder}/{name}.skasd")
    if name == "osscl":
        import torch
        torch.set_num_threads(1)
    assert (detector.score_samples(waveforms) == np.load(f"{folder}/{name}.npy")).all(), name
    if name == "twfr":
        assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True)


def test_a_loaded_detector_can_be_changed_and_fitted_again(train, tmp_path):
    detector = OSSCLDetector(("log_mel",), **SMALL).fit(train)
    again = loaded(detector, tmp_path)
    again.set_params(score_with="embedding")
    detector.set_params(score_with="embedding")
    np.testing.assert_array_equal(again.score_samples(train), detector.score_samples(train))
    np.testing.assert_array_equal(again.fit(train).score_samples(train), detector.fit(train).score_samples(train))


def test_a_device_that_is_missing_becomes_the_cpu(train, tmp_path):
    detector = OSSCLDetector(("log_mel",), **SMALL).fit(train)
    expected = detector.score_samples(train)
    skasd.save(detector.set_params(device="cuda:7"), tmp_path / "model.skasd")
    with pytest.warns(UserWarning, match="device='cuda:7' became 'cpu'"):
        again = skasd.load(tmp_path / "model.skasd")
    np.testing.assert_array_equal(again.score_samples(train), expected)


@pytest.mark.gpu
def test_a_fit_on_an_accelerator_scores_on_the_cpu(train, tmp_path):
    detector = OSSCLDetector(("log_mel",), **{**SMALL, "device": "cuda"}).fit(train)
    again = loaded(detector, tmp_path).set_params(device="cpu")
    assert all(parameter.device.type == "cpu" for parameter in again.network_.parameters())
    np.testing.assert_array_equal(again.score_samples(train), detector.set_params(device="cpu").score_samples(train))


@pytest.mark.slow
@each("is_first")
def test_scores_of_real_valves_are_the_same(case, real_data, tmp_path):
    clips = pd.read_csv(real_data / "clips.csv", dtype=str)
    clips = clips[clips["dataset"] == "valve2023"].assign(path=lambda table: f"{real_data}/" + table["path"])
    train, test = (clips[clips["split"] == split].iloc[::8] for split in ("train", "test"))
    detector = case.new().fit(train)
    np.testing.assert_array_equal(loaded(detector, tmp_path).score_samples(test), detector.score_samples(test))


def test_weights_in_other_memory_orders_are_kept(train, tmp_path):
    detector = OSSCLDetector(("log_mel",), **SMALL).fit(train)
    again = loaded(detector, tmp_path)
    for one, other in zip(again.network_.parameters(), detector.network_.parameters(), strict=True):
        assert one.stride() == other.stride()
        assert torch.equal(one, other)
