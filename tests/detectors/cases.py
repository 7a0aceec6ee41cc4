"""The detectors that every contract is tested on, by name: a new detector adds a line to CASES."""

from dataclasses import dataclass
from typing import Any

import pytest
from sklearn.base import clone

from skasd.augmentations import SpectrumAugmentation
from skasd.decisions import CalibratedDetector
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
from skasd.objectives import (
    DualBranchNetOptions,
    JointNetOptions,
    MobileFaceNetOptions,
    PatchOptions,
    SegmentNetOptions,
)
from skasd.training import TrainingOptions

SMALL_FRONT_END = LogMelTransformer(n_fft=256, hop_length=128, n_mels=16, pad_mode="constant", short_clips="tile")
TRAINED = {"frontend": SMALL_FRONT_END, "max_epochs": 2, "device": "cpu", "random_state": 0}
SMALL = {"network": MobileFaceNetOptions(bottlenecks=((1, 16, 1, 2),), embedding_dim=16), **TRAINED}
SEGMENTS = {"bottlenecks": ((1, 16, 1, 2),), "embedding_dim": 16}
TINY_JOINT = {
    **TRAINED,
    "learning_rate": 0.01,
    "network": JointNetOptions(width=0.1),
    "max_epochs": 1,
    "patches": PatchOptions(length=8, step=64),
    "median_filter": 3,
    "batch_size": 64,
}
ALL_OF_IT = SpectrumAugmentation(
    pre_norm="running", resize_crop=True, fader=True, bank_scope="same_class", split_frequency="auto"
)


@dataclass(frozen=True)
class Case:
    """A detector to test.

    Parameters
    ----------
    name : str
        Name in the test run.
    detector : estimator
        Small, on the CPU and seeded; tests clone it.
    change : tuple of str and value
        A parameter, and a value of it that changes scores.
    holds_out : bool, default=False
        Whether the threshold follows from clips that the detector did not learn from.
    finds_faults : bool, default=False
        Whether it finds faults of synthetic machines as it is, without a training of minutes.
    slow : bool, default=False
        Whether only continuous integration runs it.
    slow_checks : bool, default=False
        Whether scikit-learn's common checks take minutes.
    """

    name: str
    detector: Any
    change: tuple[str, Any]
    holds_out: bool = False
    finds_faults: bool = False
    slow: bool = False
    slow_checks: bool = False

    @property
    def takes_features(self) -> bool:
        """Whether it takes features instead of waveforms."""
        return self.detector.feature is not None

    @property
    def scores_features_alike(self) -> bool:
        """Whether it gives the same scores from features as from waveforms."""
        return self.takes_features and set(getattr(self.detector, "branches", ("log_mel",))) == {"log_mel"}

    @property
    def has_contamination(self) -> bool:
        """Whether `contamination` and `threshold` set its threshold."""
        return hasattr(self.detector, "contamination")

    @property
    def is_first(self) -> bool:
        """Whether no case before it has the same class."""
        return next(case for case in CASES if type(case.detector) is type(self.detector)) is self

    @property
    def trains(self) -> bool:
        """Whether it trains a network."""
        return hasattr(self.detector, "learning_rate")

    @property
    def tolerance(self) -> float:
        """Relative difference that rounding may make: a network in float32 sums in another order for another batch."""
        return 1e-4 if self.trains else 1e-10

    def new(self, **params: Any) -> Any:
        """An unfitted copy of the detector, with some parameters changed."""
        return clone(self.detector).set_params(**params)

    def front_end(self) -> LogMelTransformer:
        """What makes the features that the detector would make itself."""
        inner = self.detector
        if isinstance(inner, EnsembleDetector):
            inner = inner.estimators[0][1]
        if isinstance(inner, CalibratedDetector):
            inner = inner.detector
        return LogMelTransformer(norm=None, mel_scale="htk") if inner.frontend is None else clone(inner.frontend)


LEARNS = ("learning_rate", 0.02)
CASES = [
    Case("TWFR, auto", TWFRDetector(), ("reg_covar", 5.0), holds_out=True, finds_faults=True),
    Case("statistics", StatisticsDetector(), ("level", False), holds_out=True, finds_faults=True),
    Case("TWFR, mean", TWFRDetector(r=1.0), ("reg_covar", 5.0), holds_out=True, finds_faults=True),
    Case(
        "TWFR, two components",
        TWFRDetector(n_components=2, random_state=0),
        ("reg_covar", 5.0),
        holds_out=True,
        finds_faults=True,
        slow=True,
    ),
    Case("OS-SCL, log-mel", OSSCLDetector(("log_mel",), **SMALL), LEARNS),
    Case("OS-SCL, three branches", OSSCLDetector(**SMALL), LEARNS, slow=True),
    Case(
        "OS-SCL, clusters",
        OSSCLDetector(("log_mel",), score_with="embedding", n_clusters=2, **SMALL),
        LEARNS,
        slow=True,
    ),
    Case(
        "OS-SCL, augmented",
        OSSCLDetector(("log_mel",), augmentation=SpectrumAugmentation(), **SMALL),
        LEARNS,
        slow=True,
    ),
    Case(
        "OS-SCL, validation set",
        OSSCLDetector(("log_mel",), training=TrainingOptions(validation_fraction=0.25), **SMALL),
        LEARNS,
        holds_out=True,
        slow=True,
    ),
    Case("clusters where attributes lack", StatClusterDetector(branches=("log_mel",), **SMALL), LEARNS),
    Case(
        "self-supervised",
        SelfSupervisedDetector(
            network=DualBranchNetOptions(n_ffts=(64,), embedding_dim=8), **{**TRAINED, "max_epochs": 1}
        ),
        LEARNS,
        slow=True,
    ),
    Case("autoencoder", AutoencoderDetector(**TRAINED), LEARNS),
    Case("autoencoder, Mahalanobis", AutoencoderDetector("mahalanobis", shrinkage=1e-3, **TRAINED), LEARNS, slow=True),
    Case("autoencoder and classifier", JointAECNNDetector(**TINY_JOINT), ("learning_rate", 0.001), slow_checks=True),
    Case("contrast of segments", ContrastiveSpectrumDetector(network=SegmentNetOptions(**SEGMENTS), **TRAINED), LEARNS),
    Case(
        "contrast of whole clips, and a classifier",
        ContrastiveSpectrumDetector(
            ALL_OF_IT,
            network=SegmentNetOptions(segment_length=None, **SEGMENTS),
            classification_weight=1.0,
            **TRAINED,
        ),
        LEARNS,
        slow=True,
    ),
    Case(
        "ensemble",
        EnsembleDetector([("mean", TWFRDetector(r=1.0)), ("loud", TWFRDetector(r=0.5))], random_state=0),
        ("mean__reg_covar", 5.0),
        holds_out=True,
    ),
    Case("calibrated", CalibratedDetector(TWFRDetector()), ("detector__reg_covar", 5.0), finds_faults=True),
]


def each(*conditions: str, slow_checks: bool = False) -> pytest.MarkDecorator:
    """Parametrize a test by `case`, over the cases for which all these properties are true."""
    chosen = [case for case in CASES if all(getattr(case, condition) for condition in conditions)]
    marks = {
        case.name: [pytest.mark.slow] if case.slow or (slow_checks and case.slow_checks) else [] for case in chosen
    }
    return pytest.mark.parametrize(
        "case", [pytest.param(case, id=case.name, marks=marks[case.name]) for case in chosen]
    )
