"""Files of fitted detectors: the scores and decisions of the detectors, in ONNX Runtime."""

import warnings

import numpy as np
import pytest
import sklearn
import torch
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skasd
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
from skasd.export import to_onnx
from skasd.features import LogMelTransformer, MedianFilter, StatisticsTransformer, TWFRTransformer
from skasd.objectives import (
    DualBranchNetOptions,
    JointNetOptions,
    MobileFaceNetOptions,
    PatchOptions,
    SegmentNetOptions,
)
from skasd.scoring import LocalDensityScorer, MahalanobisScorer, ScaledKNNScorer
from tests.detectors.cases import ALL_OF_IT, SEGMENTS, SMALL, SMALL_FRONT_END, TINY_JOINT, TRAINED
from tests.export.files import FAN, TEST, TRAIN, properties, run

ONE_EPOCH = {"max_epochs": 1}
JOINT = TINY_JOINT | {"learning_rate": 1e-3}  # with the larger one a change of 1e-6 dB changes scores by 0.001
POOLED = {"bottlenecks": ((1, 16, 1, 2),), "embedding_dim": 16}
FEATURES_IN = {name: value for name, value in SMALL.items() if name != "frontend"}
DETECTORS = {
    "TWFR": TWFRDetector(),
    "TWFR, mean, local density": TWFRDetector(r=1.0, scorer=LocalDensityScorer(), contamination=0.2),
    "statistics": StatisticsDetector(),
    "ensemble": EnsembleDetector(
        [("a", TWFRDetector(r=1.0)), ("b", TWFRDetector(r=0.0))], combine="rank", random_state=0
    ),
    "median": make_pipeline(LogMelTransformer(n_mels=32), MedianFilter(5), TWFRDetector()),
    "spectra": make_pipeline(TWFRTransformer((1.0, 0.5)), MahalanobisScorer()),
    "OS-SCL with statistics": OSSCLDetector(("log_mel",), **SMALL),
    "joint": JointAECNNDetector(score_with="label", **JOINT),
    "autoencoder": AutoencoderDetector(group_columns=("machine_type", "section"), **TRAINED | ONE_EPOCH),
}
SLOW = (
    {
        "TWFR, components": TWFRDetector(r=0.9, n_components=2, score_by="log_likelihood", random_state=0),
        "statistics, all of them": StatisticsDetector(
            [(("spread", "standardize"), ("modulation", "whiten")), (("dynamics", "whiten"), ("r0", "distance"))]
        ),
        "statistics, gamma": StatisticsDetector(threshold="gamma", contamination=0.05),
        "OS-SCL, best class": OSSCLDetector(score_with="predicted", score_margin=False, **SMALL),
        "OS-SCL, all branches": OSSCLDetector(
            ("log_mel", "tgram", "tfgram", "tagram", "frequency_attention"), score_with="embedding", **SMALL
        ),
        "OS-SCL, normalised": OSSCLDetector(("log_mel",), augmentation=ALL_OF_IT, score_with="label", **SMALL),
        "clusters with statistics": StatClusterDetector(branches=("log_mel", "tgram"), **SMALL),
        "spectrum network with statistics": SelfSupervisedDetector(
            network=DualBranchNetOptions(n_ffts=(256, 1024), embedding_dim=8, frequency_attention="gate"), **TRAINED
        ),
        "joint with statistics": JointAECNNDetector(**JOINT),
        "joint, reconstruction": JointAECNNDetector(score_with="reconstruction", **JOINT),
        "joint, best class": JointAECNNDetector(score_with="predicted", **JOINT),
        "joint, median of patches": JointAECNNDetector(
            score_with="label", **JOINT | {"patches": PatchOptions(length=8, step=64, median_level="patch")}
        ),
        "joint, EfficientNet": JointAECNNDetector(
            score_with="label", **JOINT | {"network": JointNetOptions(backbone="efficientnet_b0")}
        ),
        "segments with statistics": ContrastiveSpectrumDetector(network=SegmentNetOptions(**SEGMENTS), **TRAINED),
        "segments by label": ContrastiveSpectrumDetector(
            network=SegmentNetOptions(**SEGMENTS), classification_weight=1.0, score_with="label", **TRAINED
        ),
        "segments, BYOL-A": ContrastiveSpectrumDetector(
            network=SegmentNetOptions(encoder="byol_a", embedding_dim=16), score_with="embedding", **TRAINED
        ),
        "ensemble of all kinds": EnsembleDetector(
            [
                ("statistics", StatisticsDetector()),
                ("clusters", StatClusterDetector(branches=("log_mel",), score_with="embedding", **SMALL)),
                ("autoencoder", AutoencoderDetector(**TRAINED)),
            ],
            weights=(1, 2, 3),
            random_state=0,
        ),
        "OS-SCL on features": make_pipeline(
            clone(SMALL_FRONT_END), OSSCLDetector(("log_mel",), score_with="label", **FEATURES_IN)
        ),
        "scaled statistics": make_pipeline(
            StatisticsTransformer(("r1", "q0.25", "dynamics", "level")), StandardScaler(), ScaledKNNScorer()
        ),
    }
    | {
        f"autoencoder, {form}": AutoencoderDetector("mahalanobis", residual=form, shrinkage=1e-3, **TRAINED)
        for form in ("clip_mean", "frame", "frame_minimum")
    }
    | {
        f"OS-SCL, {pooling}": OSSCLDetector(
            ("log_mel",), score_with="embedding", **SMALL | {"network": MobileFaceNetOptions(pooling=pooling, **POOLED)}
        )
        for pooling in ("generalised_mean", "rank", "attention")
    }
)


def fitted(detector):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # one epoch on a few clips gives poor thresholds
        return clone(detector).fit(TRAIN)


def machine_of(detector):
    return "fan" if isinstance(detector, AutoencoderDetector) and len(detector.group_columns) == 1 else "fan/00"


@pytest.mark.parametrize(
    "detector",
    [
        *(pytest.param(detector, id=name) for name, detector in DETECTORS.items()),
        *(pytest.param(detector, id=name, marks=pytest.mark.slow) for name, detector in SLOW.items()),
    ],
)
def test_file_scores_and_decides_as_the_detector(detector, tmp_path):
    detector, path = fitted(detector), tmp_path / "model.onnx"
    last = detector.steps[-1][1] if hasattr(detector, "steps") else detector
    names_machines = hasattr(last, "interrupted_")  # back ends know none
    parity = to_onnx(detector, path, machine=machine_of(detector) if names_machines else None, check_on=FAN)
    assert parity.n_clips == len(FAN)
    score, is_anomaly = run(path, np.stack(FAN["waveform"].tolist()))
    expected = -detector.score_samples(FAN)
    assert np.abs(score - expected).max() <= 1e-3 * expected.std()
    assert np.array_equal(is_anomaly, expected > -last.offset_)
    for length in (7000, 25000):  # a part of a clip, and one that is heard in windows
        clips = FAN.assign(waveform=[np.resize(waveform, length) for waveform in FAN["waveform"]])[:2]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = -detector.score_samples(clips)
        score, _ = run(path, np.stack(clips["waveform"].tolist()))
        assert np.allclose(score, expected, rtol=1e-3, atol=1e-2)


@pytest.fixture(scope="module")
def twfr():
    return TWFRDetector().fit(TRAIN)


def test_file_says_what_it_expects(twfr, tmp_path):
    to_onnx(twfr, tmp_path / "valve.onnx", machine="valve/00", check_on=TEST)
    assert properties(tmp_path / "valve.onnx") == {
        "sample_rate": "16000",
        "channel": "0",
        "n_timepoints": "16000",
        "dynamic_axes": "n_clips, n_timepoints",
        "machine": "valve/00",
        "threshold": repr(-twfr.offset_),
        "detector": "TWFRDetector",
        "skasd": skasd.__version__,
        "torch": torch.__version__,
        "scikit_learn": sklearn.__version__,
    }


def test_files_of_two_machines_differ(twfr, tmp_path):
    waveforms = np.stack(FAN["waveform"].tolist())
    for machine in ("fan/00", "valve/00"):
        to_onnx(twfr, tmp_path / "model.onnx", machine=machine, check_on=FAN)
        claimed = FAN.assign(machine_type=machine.partition("/")[0])
        assert np.allclose(run(tmp_path / "model.onnx", waveforms)[0], -twfr.score_samples(claimed), rtol=1e-4)


def test_score_does_not_depend_on_the_other_clips_of_a_batch(twfr, tmp_path):
    to_onnx(twfr, tmp_path / "model.onnx", machine="fan/00", check_on=FAN)
    waveforms = np.stack(FAN["waveform"].tolist())
    together = run(tmp_path / "model.onnx", waveforms)[0]
    alone = np.concatenate([run(tmp_path / "model.onnx", waveform[None])[0] for waveform in waveforms])
    assert np.allclose(together, alone, rtol=1e-5)


def test_synthetic_clips_check_the_file_by_default(twfr, tmp_path):
    parity = to_onnx(twfr, tmp_path / "model.onnx", machine="fan/00")
    assert parity.n_clips >= 20
    assert parity.n_decisions == 0
    assert parity.largest_difference < 1e-4 * parity.spread


def test_clips_of_one_machine_need_no_name(tmp_path):
    waveforms = np.stack(FAN["waveform"].tolist())
    detector = TWFRDetector(n_jobs=1).fit(waveforms.astype(np.float64))
    to_onnx(detector, tmp_path / "model.onnx", check_on=waveforms)
    assert properties(tmp_path / "model.onnx")["machine"] == ""


def test_another_channel_of_recordings(tmp_path):
    two = TRAIN.assign(waveform=[np.stack([waveform[::-1], waveform]) for waveform in TRAIN["waveform"]])
    detector = TWFRDetector(frontend=LogMelTransformer(n_mels=32, channel=1)).fit(two)
    to_onnx(detector, tmp_path / "model.onnx", machine="fan/00", check_on=two[:4])
    assert properties(tmp_path / "model.onnx")["channel"] == "1"
