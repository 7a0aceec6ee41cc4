"""The modules of the graph against what they stand for, in torch alone."""

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from skasd._extremes import as_of_one_window
from skasd._mel import MelDefinition
from skasd.clips import ClipReader, Clips
from skasd.clips._windows import TrainingLength
from skasd.export._back_ends import scorer_module
from skasd.export._fourier import MagnitudeSpectrum
from skasd.export._log_mel import LogMel, frontend_module
from skasd.export._network_parts import GatheredMaxPool
from skasd.export._reading import Fitted, Interpolated, InWindows, one_window
from skasd.export._running_median import RunningMedian
from skasd.export._sorting import rank_weighted
from skasd.export._statistics import Statistics
from skasd.features import LogMelTransformer, NoiseReducedLogMel
from skasd.features._median_filter import filtered
from skasd.features._mel_cpu import log_mel
from skasd.features._pooled import Pooling
from skasd.scoring import (
    GMMScorer,
    KMeansScorer,
    KNNScorer,
    LocalDensityScorer,
    MahalanobisScorer,
    ScaledKNNScorer,
)

RNG = np.random.default_rng(0)
EMBEDDING = RNG.standard_normal((60, 12)) @ RNG.standard_normal((12, 12))
NEW = np.concatenate([RNG.standard_normal((20, 12)) * 3, EMBEDDING[:5]])  # a known clip is compared with the others
DOMAIN = np.where(np.arange(60) % 6, "source", "target")

SCORERS = [
    KNNScorer(),
    KNNScorer(3, metric="euclidean"),
    KNNScorer(20, metric="chord", smote_ratio=0.5, random_state=0),
    KMeansScorer(4, random_state=0),
    LocalDensityScorer(),
    LocalDensityScorer(metric="cosine"),
    LocalDensityScorer(metric="euclidean"),
    GMMScorer(2, random_state=0),
    GMMScorer(2, covariance_type="tied", density="component", random_state=0),
    GMMScorer(2, covariance_type="diag", random_state=0),
    GMMScorer(2, covariance_type="spherical", random_state=0),
    MahalanobisScorer(),
    ScaledKNNScorer(),
    ScaledKNNScorer("standardize", n_neighbors=3, n_subbands=3),
    GaussianMixture(2, random_state=0),
    make_pipeline(StandardScaler(), PCA(4, whiten=True), GaussianMixture(random_state=0)),
]


@pytest.mark.parametrize("scorer", SCORERS, ids=lambda scorer: " ".join(repr(scorer).split()))
def test_back_end_scores_as_its_estimator(scorer):
    domain = {"domain": DOMAIN} if hasattr(scorer, "smote_ratio") or isinstance(scorer, MahalanobisScorer) else {}
    scorer.fit(EMBEDDING, **domain)
    score = scorer_module(scorer)(torch.from_numpy(NEW)).numpy()
    assert np.allclose(score, -scorer.score_samples(NEW), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("n_known", [1, 2])
def test_back_ends_of_a_single_known_clip_have_finite_scores(n_known):
    for scorer in (KNNScorer(), LocalDensityScorer(), ScaledKNNScorer()):
        scorer.fit(EMBEDDING[:n_known])
        score = scorer_module(scorer)(torch.from_numpy(NEW)).numpy()
        assert np.allclose(score, -scorer.score_samples(NEW), atol=1e-8)


def test_unknown_back_end_is_refused_by_name():
    from sklearn.svm import OneClassSVM

    with pytest.raises(ValueError, match=r"parameter scorer=OneClassSVM.*fit with one of GaussianMixture"):
        scorer_module(OneClassSVM())


DEFINITIONS = [
    MelDefinition(norm=None, mel_scale="htk"),
    MelDefinition(n_fft=1000, hop_length=300, n_mels=40, pad_mode="constant"),
    MelDefinition(n_fft=509, hop_length=700, n_mels=20, center=False),
    MelDefinition(n_fft=256, win_length=200, hop_length=100, n_mels=20, power=1.0, pad_mode="replicate", log="natural"),
    MelDefinition(n_fft=256, hop_length=128, n_mels=20, pad_mode="circular", top_db=30.0),
]


@pytest.mark.parametrize("n_timepoints", [300, 4000])
@pytest.mark.parametrize("definition", DEFINITIONS, ids=lambda definition: f"{definition.n_fft}-{definition.pad_mode}")
def test_log_mel_equals_that_of_the_front_end(definition, n_timepoints):
    waveform = 0.1 * RNG.standard_normal((2, n_timepoints))
    levels = LogMel(definition)(torch.from_numpy(waveform.astype(np.float32))).numpy()
    expected = np.array([log_mel(one, definition) for one in waveform])
    assert levels.shape == expected.shape
    assert np.abs(levels - expected).max() < 1e-3


def test_noise_reduction_equals_that_of_the_front_end():
    noise, clips = (0.1 * RNG.standard_normal((3, 8000)).astype(np.float32) for _ in range(2))
    frontend = NoiseReducedLogMel(noise, LogMelTransformer(n_mels=40))._as_frontend()
    levels = frontend_module(frontend, "test")(torch.from_numpy(clips)).numpy()
    assert np.abs(levels - np.array([frontend.spectrogram(clip) for clip in clips])).max() < 1e-3


@pytest.mark.parametrize("n_timepoints", [360, 1001, 16000])
def test_magnitudes_of_a_whole_clip(n_timepoints):
    waveform = RNG.standard_normal((2, n_timepoints))
    magnitude = MagnitudeSpectrum(n_timepoints)(torch.from_numpy(waveform).float()).numpy()
    assert np.abs(magnitude - np.abs(np.fft.rfft(waveform))).max() < 1e-3


def test_a_prime_number_of_time_points_has_no_spectrum():
    with pytest.raises(ValueError, match=r"160001 is no product.*duration=10"):
        MagnitudeSpectrum(160001)


NAMES = ("r1", "r0.95", "r0", "q0.25", "q0.98", "dynamics", "modulation", "level", "spread")


@pytest.mark.parametrize("n_frames", [1, 2, 7, 63, 313])
@pytest.mark.parametrize("n_bands", [3, 40])
def test_statistics_equal_those_of_the_transformer(n_bands, n_frames):
    levels = RNG.normal(-50, 10, (2, n_bands, n_frames)).astype(np.float32)
    found = Statistics(NAMES, n_bands, np.log(10) / 10, 400)(torch.from_numpy(levels))
    for name, values in found.items():
        expected = np.array([Pooling((name,))(clip)[name] for clip in levels])
        assert np.allclose(values.numpy(), expected, atol=2e-4), name


def test_rank_weighted_means_of_descending_values():
    pooled = rank_weighted(torch.tensor([[4.0, 2.0, 1.0]]), (0.0, 0.5, 1.0))
    assert np.allclose(pooled.numpy(), [[4.0, 3.0, 7 / 3]])


@pytest.mark.parametrize("n_frames", [1, 4, 30])
@pytest.mark.parametrize("axis", ["time", "frequency"])
def test_running_median_equals_that_of_scipy(axis, n_frames):
    levels = RNG.standard_normal((2, 6, n_frames))
    found = RunningMedian(5, axis)(torch.from_numpy(levels)).numpy()
    assert np.array_equal(found, [filtered(clip, size=5, axis=axis) for clip in levels])


@pytest.mark.parametrize("short_clips", ["zero", "tile"])
def test_clips_are_cut_and_filled(short_clips):
    fitted = Fitted(7, short_clips)
    assert fitted(torch.arange(9.0)[None]).tolist() == [[0, 1, 2, 3, 4, 5, 6]]
    filled = [0, 1, 2, 0, 0, 0, 0] if short_clips == "zero" else [0, 1, 2, 0, 1, 2, 0]
    assert fitted(torch.arange(3.0)[None]).tolist() == [filled]


@pytest.mark.parametrize("n_timepoints", [80, 110, 111, 200, 257, 1000])
def test_long_clips_are_heard_in_the_windows_of_the_detectors(n_timepoints):
    class Last(nn.Module):
        def forward(self, clip):
            return clip[:, -1].double()

    clips, normal = Clips("waveform", RNG.standard_normal((3, n_timepoints))), np.sort(RNG.standard_normal(50))
    windows = TrainingLength(100, 100, ClipReader()).windows(clips)
    expected = clips.items[:, -1]
    if windows is not None:
        largest = windows.largest(np.array([window[-1] for window in windows.clips.items]))
        expected = as_of_one_window(largest, windows.share, normal)
    assert np.allclose(InWindows(Last(), 100, normal)(torch.from_numpy(clips.items)).numpy(), expected)


def test_score_of_one_window_far_above_and_below_all_others():
    normal = np.sort(np.r_[RNG.standard_normal(40), 0.5, 0.5])
    score, share = np.r_[-9.0, normal, np.linspace(0, 80, 100)], 3.0
    found = one_window(normal)(torch.from_numpy(score), torch.tensor(share)).numpy()
    assert np.allclose(found, as_of_one_window(score, np.full(len(score), share), normal), atol=1e-6)


def test_interpolation_with_equal_places():
    places, values = np.array([0.0, 1.0, 1.0, 3.0, 3.0]), np.arange(5.0)
    x = np.array([-1.0, 0.0, 0.3, 1.0, 2.0, 3.0, 4.0])
    assert np.array_equal(Interpolated(places, values)(torch.from_numpy(x)).numpy(), np.interp(x, places, values))


@pytest.mark.parametrize(("n_in", "n_out"), [(20, 10), (23, 7), (5, 8)])
def test_adaptive_pool_of_known_length(n_in, n_out):
    x = torch.randn(2, 3, 1, n_in, generator=torch.Generator().manual_seed(0))
    assert torch.equal(GatheredMaxPool(n_in, n_out)(x), nn.AdaptiveMaxPool2d((1, n_out))(x))
