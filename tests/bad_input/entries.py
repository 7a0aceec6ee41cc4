"""The public entry points that get bad input, each with settings that are small and right."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone

from skasd import augmentations, benchmark, clustering, datasets, detectors, features, metrics, model_selection, scoring
from skasd.objectives import JointNetOptions, MobileFaceNetOptions, PatchOptions, SegmentNetOptions

FRONT_END = features.LogMelTransformer(n_fft=256, hop_length=64, n_mels=8, short_clips="tile", n_jobs=1)
FACES = MobileFaceNetOptions(bottlenecks=((1, 8, 1, 2),), embedding_dim=8)
TRAINED = {"frontend": FRONT_END, "max_epochs": 1, "batch_size": 8, "random_state": 0, "n_jobs": 1, "device": "cpu"}
SPLIT = {"X": None, "y": None}
NOT_TRIED = {"compile", "callbacks", "archives", "data_home", "download_if_missing", "n_retries", "retry_wait"}
SCORE_DATA = {"y_true": [1, 1, 1, -1, -1, 1, -1], "score_samples": [0.3, 0.1, 0.9, -0.2, 0.05, 0.7, 0.2]}


@dataclass(frozen=True)
class Entry:
    """An entry point: a function of keyword arguments, and values for them with which it works."""

    name: str
    function: Callable[..., Any]
    right: Mapping[str, Any] = field(default_factory=dict)
    parameters: tuple[str, ...] = ()

    def __call__(self, **changed):
        return self.function(**{**self.right, **changed})


@cache
def clips():
    """Training and test clips of two machines, an eighth of a second each."""
    generator = np.random.default_rng(0)
    machines = [("fan", 200.0), ("pump", 900.0)] * 5
    time = np.arange(2000) / 16000
    waves = [np.sin(2 * np.pi * tone * time) + generator.normal(scale=0.3, size=2000) for _, tone in machines]
    table = pd.DataFrame(
        {
            "waveform": [0.1 * wave.astype(np.float32) for wave in waves],
            "machine_type": [name for name, _ in machines],
            "section": ["00"] * 10,
            "domain": (["source"] * 8 + ["target"] * 2),
            "attributes": [f"speed_{number % 2}" for number in range(10)],
        }
    )
    return table.iloc[:8], table.iloc[4:]


def spectrograms():
    return np.random.default_rng(0).normal(size=(6, 8, 20)).astype(np.float32)


def embeddings():
    return np.random.default_rng(0).normal(size=(20, 4))


def _detector(kind, positional=(), **usual):
    def fitted_and_scored(X="usual", y=None, **params):
        train, test = clips()
        detector = clone(kind(*positional)).set_params(**{**usual, **params})
        return detector.fit(train if isinstance(X, str) and X == "usual" else X, y).score_samples(test)

    names = kind(*positional).set_params(**usual).get_params(deep=True)
    nested = ("frontend__", "clusterer__", "augmentation__", "scorer__", "mean__", "loud__")
    tried = [name for name in names if not name.startswith(nested) and name.rpartition("__")[2] not in NOT_TRIED]
    return Entry(kind.__name__, fitted_and_scored, {}, ("X", "y", *(set(tried) - {"mean", "loud"})))


def _estimator(kind, call, right=None, **usual):
    """An estimator, of which `call` says how it is fitted and used, with further arguments in `right`."""

    def used(**arguments):
        own = {name: value for name, value in arguments.items() if name not in right}
        return call(kind(**{**usual, **own}), **{name: arguments[name] for name in right})

    right = right or {}
    tried = [name for name in inspect.signature(kind).parameters if name not in NOT_TRIED]
    given = () if kind is augmentations.SpectrumAugmentation else right
    return Entry(kind.__name__, used, right, (*given, *tried))


def _function(function, name=None, skip=(), **right):
    code = function.__code__
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    tried = tuple(each for each in names if each not in {*NOT_TRIED, *skip})
    return Entry(name or function.__name__, function, right, tried)


def _fit_transform(estimator, X):
    transformed = estimator.fit(X).transform(X)
    return list(transformed) if isinstance(transformed, np.ndarray) else transformed


def _split(splitter, X, y):
    return [len(part) for parts in splitter.split(X, y) for part in parts]


def _augmented(augmentation, X):
    """What an augmentation makes of a batch of spectrograms."""
    from skasd.features._frontend import frontend_of
    from skasd.inputs._augmentation import check_augmentation, prepared

    check_augmentation(augmentation)
    augmenter = prepared(augmentation, iter(X), np.arange(len(X)) % 2, frontend_of(FRONT_END, FRONT_END))
    return None if augmenter is None else np.zeros(0)


def _suite(**arguments):
    return repr(benchmark.Suite(**arguments))


def _proxy_scorer(kinds, X, y, **settings):
    train, _ = clips()
    detector = detectors.TWFRDetector(frontend=FRONT_END, n_jobs=1).fit(train)
    return model_selection.ProxyAnomalyScorer(kinds, **settings)(detector, X, y)


def _proxies(**arguments):
    made = model_selection.make_proxy_anomalies(**arguments)
    return list(made["waveform"] if isinstance(made, pd.DataFrame) else made)


def all_entries(folder):
    """Every entry point; files are read from `folder`."""
    folder = Path("missing") if folder is None else folder
    train, test = clips()
    table = test.head(6).assign(split="test")
    scored = {"y_true": [1, 1, -1, -1, 1, -1], "score_samples": [0.3, 0.1, 0.9, -0.2, 0.05, 0.7], "table": table}
    plain = {"table": None, **SCORE_DATA}
    both = [
        ("mean", detectors.TWFRDetector(1.0, frontend=FRONT_END, n_jobs=1)),
        ("loud", detectors.TWFRDetector(0.5, frontend=FRONT_END, n_jobs=1)),
    ]
    is_scored = {"X": embeddings(), "domain": ["source"] * 16 + ["target"] * 4}

    def score(scorer, X, domain):
        return scorer.fit(X, domain=domain).score_samples(embeddings())

    machine = {"n_train": 2, "n_test_normal": 1, "n_test_anomaly": 1, "duration": 0.1, "random_state": 0}
    split = {"X": train, "y": [1, 1, 1, 1, 1, 1, -1, -1]}
    return [
        _detector(detectors.TWFRDetector, frontend=FRONT_END, n_jobs=1),
        _detector(detectors.OSSCLDetector, branches=("log_mel",), network=FACES, **TRAINED),
        _detector(detectors.StatClusterDetector, branches=("log_mel",), network=FACES, **TRAINED),
        _detector(detectors.SelfSupervisedDetector, network__embedding_dim=8, network__n_ffts=(256,), **TRAINED),
        _detector(
            detectors.ContrastiveSpectrumDetector,
            network=SegmentNetOptions(bottlenecks=((1, 8, 1, 2),), embedding_dim=8, segment_length=8),
            **TRAINED,
        ),
        _detector(
            detectors.JointAECNNDetector,
            network=JointNetOptions(width=0.1),
            patches=PatchOptions(length=8, step=8),
            median_filter=3,
            **TRAINED,
        ),
        _detector(detectors.AutoencoderDetector, **TRAINED),
        _detector(detectors.EnsembleDetector, (both,), random_state=0, n_jobs=1),
        _estimator(features.LogMelTransformer, _fit_transform, {"X": train}, n_fft=256, n_mels=8, n_jobs=1),
        _estimator(features.MedianFilter, _fit_transform, {"X": spectrograms()}, size=3, n_jobs=1),
        _estimator(features.TWFRTransformer, _fit_transform, {"X": spectrograms()}, n_jobs=1),
        *[
            _estimator(kind, score, is_scored)
            for kind in (
                scoring.GMMScorer,
                scoring.KMeansScorer,
                scoring.KNNScorer,
                scoring.LocalDensityScorer,
                scoring.MahalanobisScorer,
            )
        ],
        _estimator(
            clustering.StatisticalClusterer, lambda clusterer, X: list(clusterer.fit_predict(X)), {"X": embeddings()}
        ),
        _estimator(augmentations.SpectrumAugmentation, _augmented, {"X": spectrograms()}),
        _estimator(model_selection.NormalOnlySplit, _split, split, n_splits=2),
        _estimator(model_selection.ProxyAnomalySplit, _split, split, n_splits=2),
        _estimator(
            model_selection.DCASESplit,
            _split,
            {"X": table.assign(split=["train"] * 3 + ["test"] * 3), "y": scored["y_true"]},
        ),
        Entry(
            "make_proxy_anomalies",
            _proxies,
            {"X": train, "kind": "clicks", "random_state": 0},
            ("X", "kind", "severity", "sample_rate", "channel", "random_state"),
        ),
        Entry(
            "ProxyAnomalyScorer",
            _proxy_scorer,
            {"kinds": ("clicks",), "X": test, "y": [1] * len(test)},
            ("kinds", "X", "metric", "severity", "sample_rate", "channel", "random_state"),
        ),
        *[_function(function, **SCORE_DATA) for function in (metrics.auc_score, metrics.partial_auc_score)],
        *[
            _function(function, y_true=SCORE_DATA["y_true"], y_pred=[1, 1, -1, -1, -1, 1, 1])
            for function in (metrics.decision_scores, metrics.decision_table)
        ],
        _function(metrics.aggregate_score, **scored),
        _function(metrics.score_table, **scored),
        *[
            _function(function, year=2020, **scored)
            for function in (metrics.official_score, metrics.official_table, metrics.summary_table)
        ],
        _function(metrics.bootstrap_interval, metric=metrics.auc_score, n_resamples=5, **plain),
        _function(
            metrics.paired_bootstrap,
            metric=metrics.auc_score,
            n_resamples=5,
            other_score_samples=SCORE_DATA["score_samples"][::-1],
            **plain,
        ),
        _function(metrics.make_clip_scorer),
        _function(metrics.official_scorer, year=2021),
        *[_function(function, values=[0.4, 0.7]) for function in (metrics.arithmetic_mean, metrics.harmonic_mean)],
        _function(metrics.parse_result_csv, text="a,b"),
        _function(metrics.format_result_csv, year=2020, **scored),
        _function(datasets.make_machine_clips, skip=("machine_types",), machine_types=("fan",), **machine),
        _function(datasets.load_clip_folder, folder=folder),
        _function(datasets.load_dcase, root=folder / "dcase", year=2021),
        _function(datasets.parse_attributes, text="a_b", year=2021),
        _function(datasets.parse_clip_name, path="a.wav", year=2021),
        Entry(
            "Suite",
            _suite,
            {"name": "a", "data": {"s": {"kind": "synthetic"}}, "detectors": {"t": benchmark.Entry(both[0][1])}},
            ("name", "data", "detectors", "seeds"),
        ),
        _function(benchmark.read_suite, source=str(folder / "suite.toml")),
    ]
