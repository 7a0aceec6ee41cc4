"""Every parameter of every detector changes its decisions, or is refused, or is one of computation only."""

import inspect
import warnings
from copy import deepcopy
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone

import skasd.detectors
from skasd.augmentations import SpectrumAugmentation
from skasd.clustering import StatisticalClusterer
from skasd.datasets import make_machine_clips
from skasd.detectors import (
    AutoencoderDetector,
    ContrastiveSpectrumDetector,
    EnsembleDetector,
    JointAECNNDetector,
    OSSCLDetector,
    SelfSupervisedDetector,
    StatClusterDetector,
    StatisticsDetector,
    TWFRDetector,
)
from skasd.features import LogMelTransformer
from skasd.objectives import JointNetOptions, SegmentNetOptions
from skasd.scoring import GMMScorer, KNNScorer
from skasd.training._precision import autocast_dtype

# what changes time and memory, but no score beyond rounding
COMPUTATION = {"device", "n_jobs", "verbose", "neighbors"} | {
    f"training__{name}" for name in ("channels_last", "compile", "memory_budget", "callbacks", "accelerate")
}
ELSEWHERE = {"feature"}  # test_the_feature_column_is_read
FRONT_END = LogMelTransformer(n_fft=256, hop_length=128, n_mels=16, short_clips="tile")
CPU = torch.device("cpu")
OTHER_FRONT_END = clone(FRONT_END).set_params(n_mels=12)
USUAL = {"frontend": FRONT_END, "max_epochs": 2, "batch_size": 16, "random_state": 0, "n_jobs": 1}
NARROW = ((1, 16, 1, 2),)
SMALL_FACES = {"network__bottlenecks": NARROW, "network__embedding_dim": 16}
HELD_OUT = {"training__validation_fraction": 0.25}

THRESHOLDS = {"contamination": 0.3, "threshold": "gamma"}
TRAINING = {
    "frontend": OTHER_FRONT_END,
    "max_epochs": 3,
    "batch_size": 8,
    "learning_rate": 0.02,
    "random_state": 1,
    "training__schedule": "constant",
    "training__min_learning_rate": 5e-5,
    "training__schedule_start": (1, {"max_epochs": 4}),
    "training__weight_decay": 0.5,
    "training__ema_decay": 0.05,
    "training__sampling": "balanced",
    "training__validation_fraction": 0.25,
    "training__calibration_fraction": 0.25,
    "training__batch_norm_warmup": False,
    "training__patience": 3,
    "training__precision": "bfloat16" if autocast_dtype("auto", CPU, torch.float32) is None else "float32",
    **THRESHOLDS,
}
CLUSTERS = StatisticalClusterer(n_clusters=3)
FACES = {
    "network__bottlenecks": ((1, 8, 1, 2),),
    "network__embedding_dim": 8,
    "network__n_subcenters": 2,
    "network__scale": 10.0,
    "network__pooling": "rank",
}
# a value for each parameter; or a pair of a value and the settings that it is tried with. Networks are without statistics
# beside them, which take long to fit and follow the front end by themselves; score_with="auto" is tried once for each.
SWEEPS: dict[Any, tuple[dict[str, Any], dict[str, Any]]] = {
    OSSCLDetector: (
        {"branches": ("log_mel",), "score_with": "label", **USUAL, **SMALL_FACES},
        {
            **TRAINING,
            **FACES,
            "branches": ("log_mel", "tagram"),
            "label_columns": ("machine_type",),
            "n_clusters": 2,
            "score_with": "auto",
            "score_margin": False,
            "scorer": (KNNScorer(), {"score_with": "embedding"}),
            "margin": 0.2,
            "mixup_alpha": None,
            "mix_margin": "both",
            "contrastive_weight": 0.5,
            "temperature": 0.1,
            "network__perturbation_head": False,
            "augmentation": SpectrumAugmentation(bank_size=4),
        },
    ),
    StatClusterDetector: (
        {"system": "clusters", "branches": ("log_mel",), "score_with": "embedding", **USUAL, **SMALL_FACES},
        {
            **TRAINING,
            **FACES,
            "statistics__r": ((0.5,), {"contrast": "prototype"}),
            "statistics__moments": (("std",), {"contrast": "prototype"}),
            "clusterer": StatisticalClusterer(n_clusters=2),
            "system": "metadata",
            "branches": ("log_mel", "tagram"),
            "contrast": "prototype",
            "contrastive_weight": 0.5,
            "temperature": 0.5,
            "margin": 0.2,
            "network__perturbation_head": True,
            "score_with": "auto",
            "scorer": GMMScorer(),
            "augmentation": SpectrumAugmentation(bank_size=4),
        },
    ),
    SelfSupervisedDetector: (
        {"score_with": "embedding", **USUAL, "network__embedding_dim": 8},
        {
            **TRAINING,
            "frontend": (OTHER_FRONT_END, {"clusterer": CLUSTERS}),
            "head": "adaproj",
            "n_subclusters": 2,
            "trainable_centers": False,
            "dynamic_scale": True,
            "mixup_probability": 0.0,
            "feature_exchange": True,
            "statistics_exchange": True,
            "subspace_loss": True,
            "label_text": "align",
            "network__n_ffts": (256,),
            "network__frequency_attention": "gate",
            "network__embedding_dim": 16,
            "statistics__r": ((0.0,), {"clusterer": CLUSTERS}),
            "statistics__moments": (("kurtosis",), {"clusterer": CLUSTERS}),
            "clusterer": StatisticalClusterer(n_clusters=2),
            "score_with": "auto",
            "scorer": KNNScorer(),
        },
    ),
    ContrastiveSpectrumDetector: (
        {
            "score_with": "embedding",
            **USUAL,
            "network": SegmentNetOptions(bottlenecks=NARROW, embedding_dim=16, segment_length=16),
        },
        {
            **TRAINING,
            "augmentation": SpectrumAugmentation(mix_ratio=0.8),
            "label_columns": ("machine_type",),
            "n_clusters": 2,
            "score_with": "auto",
            "scorer": KNNScorer(),
            "contrast": "pairwise",
            "temperature": 0.5,
            "same_domain": "push",
            "contrastive_weight": (0.5, {"classification_weight": 1.0}),
            "classification_weight": 1.0,
            "margin": (0.1, {"classification_weight": 1.0}),
            "scale": (10.0, {"classification_weight": 1.0}),
            "network__encoder": ("byol_a", {"network": SegmentNetOptions(embedding_dim=16, segment_length=16)}),
            "network__bottlenecks": ((1, 8, 1, 2),),
            "network__embedding_dim": 8,
            "network__projector": "off",
            "network__segment_length": 24,
            "network__n_segments": 2,
        },
    ),
    JointAECNNDetector: (
        {
            "score_with": "label",
            **USUAL,
            "max_epochs": 1,
            "batch_size": 64,
            "learning_rate": 0.003,
            "network": JointNetOptions(width=0.1),
            "patches__length": 16,
            "patches__step": 24,
            "median_filter": 3,
        },
        {
            **TRAINING,
            "training__schedule": ("halved_steps", {"batch_size": 8, "max_epochs": 8}),
            "training__min_learning_rate": (1e-5, {"training__schedule": "cosine", "max_epochs": 2}),
            "training__schedule_start": (1, {"training__schedule": "cosine", "max_epochs": 4}),
            "batch_size": 32,
            "label_columns": ("machine_type",),
            "n_clusters": 2,
            "score_with": "auto",
            "scorer": (GMMScorer(), {"score_with": "embedding"}),
            "median_filter": 5,
            "patches__length": 12,
            "patches__step": 12,
            "patches__score_step": 4,
            "patches__median_level": "patch",
            "patches__time_mask": 4,
            "patches__frame_shift": 4,
            "network__backbone": ("efficientnet_b0", {"network": JointNetOptions()}),
            "network__width": 0.2,
            "network__image_channels": 3,
            "network__pooling": "mean",
            "network__dropout": 0.0,
            "network__autoencoder": False,
            "network__normalise_features": True,
            "network__normalise_projection": (False, {"score_with": "reconstruction"}),
            "reconstruction_weight": (0.1, {"score_with": "reconstruction"}),
            "contrastive_weight": 0.1,
            "contrastive_form": "one_way",
            "temperature": 0.5,
            "mixup_alpha": 0.5,
            "augmentation": SpectrumAugmentation(bank_size=4),
        },
    ),
    AutoencoderDetector: (
        {**USUAL, "max_epochs": 4, "batch_size": 256},
        {
            **TRAINING,
            "training__precision": "bfloat16",
            "max_epochs": 2,
            "batch_size": 128,
            "training__schedule": ("halved_steps", {"batch_size": 16}),
            "training__min_learning_rate": (1e-5, {"training__schedule": "cosine"}),
            "training__schedule_start": (1, {"training__schedule": "cosine"}),
            "training__validation_fraction": 0.0,
            "training__patience": (1, {"max_epochs": 20, "learning_rate": 0.1, "batch_size": 64}),
            "score_by": "mahalanobis",
            "residual": ("frame", {"score_by": "mahalanobis"}),
            "centering": ("global", {"score_by": "mahalanobis"}),
            "shrinkage": (0.1, {"score_by": "mahalanobis"}),
            "n_context": 3,
            "group_columns": ("machine_type", "section"),
        },
    ),
    TWFRDetector: (
        {"frontend": FRONT_END, "n_jobs": 1},
        {
            **THRESHOLDS,
            "frontend": OTHER_FRONT_END,
            "r": 0.7,
            "n_components": (2, {"random_state": 0}),
            "reg_covar": 1.0,
            "score_by": ("log_likelihood", {"n_components": 2, "random_state": 0}),
            "scorer": KNNScorer(),
            "group_columns": ("machine_type",),
            "random_state": (4, {"n_components": 4, "random_state": 0}),
        },
    ),
    StatisticsDetector: (
        {"frontend": FRONT_END, "n_jobs": 1},
        {
            **THRESHOLDS,
            "frontend": OTHER_FRONT_END,
            "experts": [[("q0.25", "whiten")]],
            "level": False,
            "group_columns": ("machine_type",),
            "random_state": 4,
        },
    ),
    EnsembleDetector: (
        {
            "estimators": [
                ("mean", TWFRDetector(1.0, frontend=FRONT_END)),
                ("loud", TWFRDetector(0.5, frontend=FRONT_END)),
            ],
            "random_state": 0,
        },
        {
            **THRESHOLDS,
            "estimators": [("mean", TWFRDetector(1.0, frontend=FRONT_END))],
            "weights": (1.0, 3.0),
            "combine": "rank",
            "group_columns": (),
            "held_out": 0.5,
            "random_state": 1,
        },
    ),
}
OF_CLUSTERS = {"frontend", "clusterer", "statistics__r", "statistics__moments"}  # where there are no attributes
EACH = [(kind, name) for kind, (_, values) in SWEEPS.items() for name in values]


@cache
def clips():
    sizes = {"n_sections": 2, "n_train": 12, "n_test_normal": 3, "n_test_anomaly": 3, "duration": 0.5}
    data = make_machine_clips(("fan", "pump"), target_share=0.3, random_state=0, **sizes).data
    is_train = data["split"] == "train"
    return data[is_train], data[~is_train]


def decisions(kind, settings, *, attributes=True):
    """Decisions of a detector with these settings; or the message with which they are refused, or said to have no effect."""
    train, test = clips()
    detector = kind(settings["estimators"]) if kind is EnsembleDetector else kind()
    detector.set_params(**deepcopy(settings))  # groups inside would be changed
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message="No gamma distribution fits")
            warnings.filterwarnings("ignore", message="Number of distinct clusters|Constant scores")
            detector.fit(train if attributes else train.drop(columns="attributes"))
    except (ValueError, UserWarning) as error:
        return str(error)
    return detector.decision_function(test)


@cache
def usual_decisions(kind, attributes):
    """Decisions with the usual settings."""
    return decisions(kind, SWEEPS[kind][0], attributes=attributes)


def is_pair(value):
    return isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], dict)


def test_every_parameter_of_every_detector_is_swept():
    public = {getattr(skasd.detectors, name) for name in skasd.detectors.__all__}
    assert set(SWEEPS) == {detector for detector in public if inspect.isclass(detector)}
    for kind, (usual, values) in SWEEPS.items():
        detector = kind(usual["estimators"]) if kind is EnsembleDetector else kind()
        inside = {name for name, _ in usual.get("estimators", ())}
        groups = set(getattr(detector, "_parameter_groups", ()))
        known = {name for name in detector.get_params() if name.partition("__")[0] not in inside} - groups
        assert known - COMPUTATION - ELSEWHERE == set(values), kind.__name__


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "name"), EACH, ids=[f"{kind.__name__}, {name}" for kind, name in EACH])
def test_a_parameter_changes_decisions_or_is_refused_by_name(kind, name):
    usual, values = SWEEPS[kind]
    value, given = values[name] if is_pair(values[name]) else (values[name], {})
    attributes = not (kind is SelfSupervisedDetector and name in OF_CLUSTERS)
    without = decisions(kind, {**usual, **given}, attributes=attributes) if given else usual_decisions(kind, attributes)
    changed = decisions(kind, {**usual, **given, name: value}, attributes=attributes)
    assert not isinstance(without, str), without
    if isinstance(changed, str):
        assert name.rpartition("__")[2] in changed
    else:
        assert not np.array_equal(changed, without)


@pytest.mark.parametrize("kind", [kind for kind in SWEEPS if kind not in (SelfSupervisedDetector, EnsembleDetector)])
def test_the_feature_column_is_read(kind):
    usual, _ = SWEEPS[kind]
    train, test = (table.drop(columns="waveform") for table in clips())
    features = [FRONT_END.fit_transform(table)["log_mel"] for table in clips()]
    tables = [
        table.assign(soft=list(column), loud=[10 * cell for cell in column])
        for table, column in zip((train, test), features, strict=True)
    ]
    scores = [
        kind().set_params(**usual, feature=name).fit(tables[0]).score_samples(tables[1]) for name in ("soft", "loud")
    ]
    alone = kind().set_params(**usual).fit(tables[0].drop(columns="soft")).score_samples(tables[1])
    assert not np.allclose(scores[0], scores[1])
    np.testing.assert_array_equal(scores[1], alone)
    with pytest.raises(ValueError, match=r"several feature columns: \['soft', 'loud'\]. Set feature='loud'"):
        kind().set_params(**usual).fit(tables[0])
