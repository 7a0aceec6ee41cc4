"""Trains every network, loss and augmentation on the processor and on a second device, and prints how the scores differ.

    python -m tests.devices.trainings [--without-float64]

A process of its own, since a device that torch knows stays until the end.
"""

import json
import logging
import sys
import warnings
from typing import Any

import numpy as np
import pandas as pd
import torch

from skasd.augmentations import SpectrumAugmentation
from skasd.base import BaseDetector
from skasd.datasets import make_machine_clips
from skasd.detectors import (
    AutoencoderDetector,
    ContrastiveSpectrumDetector,
    JointAECNNDetector,
    OSSCLDetector,
    SelfSupervisedDetector,
    StatClusterDetector,
)
from skasd.features import LogMelTransformer, PretrainedEmbedding, TFgramTransformer
from skasd.objectives import (
    DualBranchNetOptions,
    JointNetOptions,
    MobileFaceNetOptions,
    PatchOptions,
    SegmentNetOptions,
)
from skasd.training import TrainingOptions
from tests.detectors.cases import ALL_OF_IT, SMALL_FRONT_END
from tests.devices import second_device

AUTOENCODER = {"frontend": SMALL_FRONT_END, "max_epochs": 2, "batch_size": 10, "random_state": 0, "n_jobs": 1}
TRAINED = {"score_with": "embedding", **AUTOENCODER}
TINY = {"bottlenecks": ((1, 16, 1, 2),), "embedding_dim": 16}
FACE = {"network": MobileFaceNetOptions(**TINY), **TRAINED}
SEGMENT = {"network": SegmentNetOptions(**TINY), **TRAINED}
DUAL = DualBranchNetOptions(n_ffts=(64,), embedding_dim=8)
PATCHES = PatchOptions(length=8, step=32)
JOINT = {"network": JointNetOptions(width=0.1), "patches": PATCHES, "median_filter": 3, **TRAINED}


def osscl(*branches: str, **changes: Any) -> OSSCLDetector:
    """Small one of OS-SCL."""
    return OSSCLDetector(branches or ("log_mel",), **{**FACE, **changes})


def cluster(**changes: Any) -> StatClusterDetector:
    """Small one of the clusters of statistics."""
    return StatClusterDetector(branches=("log_mel",), **{**FACE, **changes})


def contrast(**changes: Any) -> ContrastiveSpectrumDetector:
    """Small one of the contrast of segments."""
    return ContrastiveSpectrumDetector(**{**SEGMENT, **changes})


def _root_mean_square(waveform: torch.Tensor) -> torch.Tensor:
    return waveform.square().mean(dim=1, keepdim=True).sqrt()


def joint(network: JointNetOptions | None = None, **changes: Any) -> JointAECNNDetector:
    """Small one of the autoencoder and classifier."""
    named = {} if network is None else {"network": network}
    return JointAECNNDetector(**{**JOINT, **named, **changes})


def self_supervised(**changes: Any) -> SelfSupervisedDetector:
    """Small one of the self-supervised classifier."""
    return SelfSupervisedDetector(**{**TRAINED, "network": DUAL, **changes})


DETECTORS: dict[str, BaseDetector] = {
    "OS-SCL, three branches": OSSCLDetector(**FACE),
    "OS-SCL, margins of both": osscl(mix_margin="both"),
    "OS-SCL, subcentres and clusters": osscl(network=MobileFaceNetOptions(n_subcenters=2, **TINY), n_clusters=2),
    "OS-SCL, generalised mean": osscl(network=MobileFaceNetOptions(pooling="generalised_mean", **TINY)),
    "OS-SCL, rank": osscl(network=MobileFaceNetOptions(pooling="rank", **TINY)),
    "OS-SCL, attention": osscl(network=MobileFaceNetOptions(pooling="attention", **TINY)),
    "OS-SCL, augmented": osscl(augmentation=SpectrumAugmentation()),
    "OS-SCL, all of the augmentation": osscl(augmentation=ALL_OF_IT),
    "OS-SCL, power mixed": osscl(augmentation=SpectrumAugmentation(mix_space="power", mask_form="blend")),
    "OS-SCL, validation set": osscl(training=TrainingOptions(validation_fraction=0.25)),
    "OS-SCL, balanced": osscl(training=TrainingOptions(sampling="balanced", ema_decay=None, schedule="halved_steps")),
    "OS-SCL, from a file": osscl(training=TrainingOptions(memory_budget=1e3)),
    "clusters": cluster(),
    "clusters, prototypes": cluster(contrast="prototype"),
    "clusters, two stages": cluster(contrast="two_stage"),
    "contrast": contrast(),
    "contrast, pairs": contrast(contrast="pairwise"),
    "contrast, pushed apart": contrast(same_domain="push", classification_weight=1.0),
    "contrast, BYOL-A": contrast(network=SegmentNetOptions("byol_a", embedding_dim=16, projector="three_layers")),
    "contrast, all of the augmentation": contrast(
        augmentation=ALL_OF_IT, network=SegmentNetOptions(segment_length=None, projector="off", **TINY)
    ),
    "self-supervised": self_supervised(),
    "self-supervised, AdaCos": self_supervised(head="adacos", dynamic_scale=True),
    "self-supervised, AdaProj": self_supervised(head="adaproj", subspace_loss=True, label_text="init"),
    "self-supervised, exchange": self_supervised(
        feature_exchange=True, statistics_exchange=True, label_text="align", dynamic_scale=True
    ),
    "self-supervised, attention": self_supervised(
        network=DualBranchNetOptions(n_ffts=(64, 128), embedding_dim=8, frequency_attention="token")
    ),
    "self-supervised, gate": self_supervised(
        network=DualBranchNetOptions(n_ffts=(64,), embedding_dim=8, frequency_attention="gate")
    ),
    "joint": joint(),
    "joint, one way": joint(contrastive_form="one_way", mixup_alpha=0.5, learning_rate=1e-5),
    "joint, EfficientNet": joint(JointNetOptions("efficientnet_b0", pooling="rank")),
    "joint, masked": joint(
        JointNetOptions(width=0.1, pooling="attention", normalise_features=True),
        contrastive_form="one_way_with_positive",
        patches=PatchOptions(length=8, step=32, time_mask=2, frame_shift=2, median_level="patch"),
        augmentation=SpectrumAugmentation(),
    ),
    "joint, without autoencoder": joint(JointNetOptions(width=0.1, autoencoder=False), max_epochs=1),
    "autoencoder": AutoencoderDetector(**AUTOENCODER),
    "autoencoder, Mahalanobis": AutoencoderDetector("mahalanobis", shrinkage=1e-3, **AUTOENCODER),
}


class Doubling(torch.nn.Module):
    """Encoder of waveforms in float64 with a buffer and a weight."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.full((1,), 2.0, dtype=torch.float64))
        self.register_buffer("shift", torch.ones(4, dtype=torch.float64))

    def forward(self, waveform: torch.Tensor) -> torch.Tensor:
        """Four numbers of each clip."""
        return waveform[:, :4000].unflatten(1, (4, 1000)).square().mean(dim=2) * self.scale + self.shift


TRANSFORMERS: dict[str, Any] = {
    "log-mel": LogMelTransformer(n_fft=256, hop_length=128, n_mels=16),
    "Tgram": TFgramTransformer(DETECTORS["OS-SCL, three branches"]),
    "pretrained module": PretrainedEmbedding(Doubling(), sample_rate=16000),
    "pretrained function": PretrainedEmbedding(_root_mean_square, sample_rate=16000),
}


def scores(name: str, device: str, train: pd.DataFrame, test: pd.DataFrame) -> np.ndarray:
    """Scores of new clips, or their features."""
    if name in DETECTORS:
        return DETECTORS[name].set_params(device=device).fit(train).score_samples(test)
    made = TRANSFORMERS[name].set_params(device=device).fit(train).transform(test)
    return np.stack(list(made.iloc[:, -1] if isinstance(made, pd.DataFrame) else made))


def main() -> None:
    """Print a JSON line for each: the largest difference of scores, relative to their spread, or the error."""
    has_float64 = "--without-float64" not in sys.argv
    second_device.register(has_float64=has_float64)
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    logging.disable()
    machines = make_machine_clips(
        ("fan", "pump"), n_train=10, n_test_normal=3, n_test_anomaly=3, duration=1.0, random_state=0
    )
    # in float64, so that rounding does not hide what is different; a device without it has to bear that too
    machines.data["waveform"] = [waveform.astype(np.float64) for waveform in machines.data["waveform"]]
    train, test = (machines.data[machines.data.split == split].reset_index(drop=True) for split in ("train", "test"))
    for name in (*DETECTORS, *TRANSFORMERS):
        line: dict[str, Any] = {"name": name}
        try:
            on_second = scores(name, second_device.NAME, train, test)
            line["is_finite"] = bool(np.isfinite(on_second).all())
            if has_float64:
                on_cpu = scores(name, "cpu", train, test)
                line["difference"] = float(np.abs(on_cpu - on_second).max() / np.ptp(on_cpu))
        except Exception as error:  # the test shows it
            line["error"] = f"{type(error).__name__}: {str(error)[:300]}"
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
