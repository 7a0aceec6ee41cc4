"""What cannot be exported is refused, with the name of the parameter and a way out; a file is never half written."""

import sys

import numpy as np
import pytest
import torch
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, RobustScaler
from sklearn.svm import OneClassSVM

from skasd.base import BaseDetector
from skasd.detectors import EnsembleDetector, OSSCLDetector, StatisticsDetector, TWFRDetector
from skasd.export import to_onnx
from skasd.features import LogMelTransformer, MedianFilter, TWFRTransformer
from skasd.scoring import KNNScorer, ScaledKNNScorer
from tests.detectors.cases import SMALL
from tests.export.files import FAN, TRAIN

FAN_TRAIN = TRAIN[TRAIN["machine_type"] == "fan"]
SHORT = LogMelTransformer(n_mels=16)


class Mine(BaseDetector):
    def __init__(self, contamination=0.1, threshold="quantile"):
        self.contamination, self.threshold = contamination, threshold

    def _fit(self, clips):
        self.fitted_ = True

    def _anomaly_score(self, clips):
        return np.arange(len(clips), dtype=float)


def refuse(estimator, error, match, tmp_path, **options):
    with pytest.raises(error, match=match):
        to_onnx(estimator, tmp_path / "model.onnx", **options)
    assert not list(tmp_path.iterdir())


def test_several_machines_have_to_be_told_apart(tmp_path):
    detector = TWFRDetector(frontend=SHORT).fit(TRAIN)
    refuse(detector, ValueError, r"each of 2 machines.*machine=.*\['fan/00', 'valve/00'\]", tmp_path)
    refuse(detector, ValueError, r"'pump/00': TWFRDetector knows the machines", tmp_path, machine="pump/00")


def test_a_machine_that_clips_did_not_name(tmp_path):
    detector = TWFRDetector(frontend=SHORT).fit(np.stack(FAN["waveform"].tolist()))
    refuse(detector, ValueError, "clips that name no machine; leave it out", tmp_path, machine="fan/00")


def test_what_is_no_fitted_detector(tmp_path):
    refuse(TWFRDetector(), NotFittedError, "not fitted", tmp_path)
    refuse(make_pipeline(SHORT, TWFRDetector()), NotFittedError, "not fitted", tmp_path)
    refuse(TWFRDetector, TypeError, "the class TWFRDetector", tmp_path)
    refuse(OneClassSVM(), TypeError, "a OneClassSVM; a fitted detector", tmp_path)
    refuse(KNNScorer().fit(np.eye(3)), ValueError, "KNNScorer alone.*pipeline", tmp_path)


def test_detectors_and_front_ends_of_users(tmp_path):
    refuse(Mine().fit(FAN_TRAIN), ValueError, "cannot export a Mine; export one of AutoencoderDetector", tmp_path)
    mine = TWFRDetector(frontend=lambda waveform: waveform[:4000].reshape(4, -1)).fit(FAN_TRAIN)
    refuse(mine, ValueError, "parameter frontend of TWFRDetector.*LogMelTransformer", tmp_path)


def test_back_ends_of_scikit_learn(tmp_path):
    detector = TWFRDetector(scorer=OneClassSVM(), frontend=SHORT).fit(FAN_TRAIN)
    refuse(detector, ValueError, r"parameter scorer=OneClassSVM\(\); fit with one of", tmp_path)


@pytest.mark.parametrize(
    "detector",
    [StatisticsDetector(neighbors="approximate"), TWFRDetector(scorer=ScaledKNNScorer(neighbors="approximate"))],
)
def test_a_search_in_some_cells(detector, tmp_path):
    pytest.importorskip("faiss")
    fitted = detector.set_params(frontend=SHORT).fit(FAN_TRAIN)
    refuse(
        fitted, ValueError, "with neighbors='approximate' cannot be exported.*fit it with neighbors='exact'", tmp_path
    )


@pytest.mark.parametrize("channel", ["mean", "residual"])
def test_rules_for_several_channels(channel, tmp_path):
    two = FAN_TRAIN.assign(waveform=[np.stack([waveform, waveform[::-1]]) for waveform in FAN_TRAIN["waveform"]])
    detector = TWFRDetector(frontend=LogMelTransformer(n_mels=16, channel=channel)).fit(two)
    refuse(detector, ValueError, f"channel='?{channel}.*channel=0", tmp_path)


def test_parts_that_read_clips_differently(tmp_path):
    parts = [
        (f"at{rate}", TWFRDetector(frontend=LogMelTransformer(rate, n_fft=256, n_mels=16))) for rate in (8000, 16000)
    ]
    detector = EnsembleDetector(parts, random_state=0).fit(FAN_TRAIN)
    refuse(detector, ValueError, "read clips in 2 ways", tmp_path)


def test_features_without_the_pipeline_that_makes_them(tmp_path):
    features = SHORT.fit_transform(FAN_TRAIN)
    refuse(TWFRDetector().fit(features), ValueError, "fitted on features.*give the fitted pipeline", tmp_path)


@pytest.mark.slow
def test_a_network_that_reads_waveforms_beside_features(tmp_path):
    pipeline = make_pipeline(
        LogMelTransformer(n_fft=256, n_mels=16), OSSCLDetector(("log_mel", "tgram"), **SMALL | {"frontend": None})
    )
    pipeline.fit(TRAIN)
    refuse(pipeline, ValueError, "parameter branches=.*reads waveforms beside features", tmp_path, machine="fan/00")


@pytest.mark.parametrize(
    ("pipeline", "match"),
    [
        (
            make_pipeline(SHORT, MedianFilter(3, patch_length=8), TWFRDetector()),
            "patch_length=8 of the step 'medianfilter'",
        ),
        (make_pipeline(TWFRTransformer(), RobustScaler(), KNNScorer()), r"the step RobustScaler\(\); use one of PCA"),
        (make_pipeline(TWFRTransformer(frontend=np.atleast_2d), KNNScorer()), "parameter frontend of the step"),
    ],
    ids=["patches", "scaler", "front end"],
)
def test_steps_of_pipelines(pipeline, match, tmp_path):
    refuse(pipeline.fit(FAN_TRAIN), ValueError, match, tmp_path)


def test_a_step_before_there_is_a_spectrogram(tmp_path):
    pipeline = make_pipeline(FunctionTransformer(), TWFRDetector(frontend=SHORT)).fit(FAN_TRAIN)
    refuse(pipeline, ValueError, "the step 'functiontransformer', a FunctionTransformer, before", tmp_path)


def test_a_part_that_onnx_does_not_have(tmp_path, monkeypatch):
    def forward(self, waveform):
        return torch.fft.fft(waveform).real.sum(dim=1), waveform[:, 0] > 0

    monkeypatch.setattr("skasd.export._graph.Decision.forward", forward)
    detector = TWFRDetector(frontend=SHORT).fit(FAN_TRAIN)
    refuse(detector, ValueError, "a part of this detector: .*fft", tmp_path)


def test_a_folder_that_does_not_exist(tmp_path):
    detector = TWFRDetector(frontend=SHORT).fit(FAN_TRAIN)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        to_onnx(detector, tmp_path / "nowhere" / "model.onnx")


def test_a_missing_package(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    refuse(TWFRDetector(), ImportError, r"pip install 'skasd\[onnx\]'", tmp_path)


@pytest.fixture(scope="module")
def detector():
    return TWFRDetector(frontend=SHORT).fit(FAN_TRAIN)


def test_a_failed_check_leaves_the_old_file(detector, tmp_path, monkeypatch):
    path = tmp_path / "model.onnx"
    to_onnx(detector, path, check_on=FAN)
    before = path.read_bytes()
    monkeypatch.setattr("skasd.export._statistical.rank_weighted", lambda levels, r: levels.double()[:, :, : len(r)])
    with pytest.raises(ValueError, match=r"clip \d+ of check_on has the anomaly score .* in skasd"):
        to_onnx(detector, path, check_on=FAN)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["model.onnx"]


def test_another_decision_is_refused(detector, tmp_path, monkeypatch):
    monkeypatch.setattr("skasd.export._graph.Decision.forward", with_other_threshold)
    refuse(detector, ValueError, "another decision than in skasd", tmp_path, check_on=FAN)


def with_other_threshold(self, waveform):
    score = self.score(waveform)
    return score.float(), score < torch.tensor(self.threshold, dtype=torch.float64)


def test_clips_to_check_on_are_waveforms(detector, tmp_path):
    refuse(detector, ValueError, "check_on holds features", tmp_path, check_on=np.zeros((2, 16, 40)))


def test_no_synthetic_clips_at_a_low_rate(tmp_path):
    slow = TWFRDetector(frontend=LogMelTransformer(1000, n_fft=128, n_mels=16)).fit(FAN_TRAIN)
    refuse(slow, ValueError, "no synthetic clips at 1000 Hz.*check_on", tmp_path)
