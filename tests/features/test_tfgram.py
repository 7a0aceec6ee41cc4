from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline

from skasd.datasets import make_machine_clips
from skasd.detectors import OSSCLDetector
from skasd.features import LogMelTransformer, TFgramTransformer, _tfgram
from skasd.objectives import MobileFaceNetOptions
from skasd.training import TrainingPlan

FRONT_END = LogMelTransformer(n_fft=256, hop_length=128, n_mels=16, pad_mode="constant", short_clips="tile")
SMALL = {
    "network": MobileFaceNetOptions(bottlenecks=((1, 16, 1, 2),), embedding_dim=16),
    "frontend": FRONT_END,
    "max_epochs": 1,
    "device": "cpu",
    "random_state": 0,
}
UNFITTED = OSSCLDetector(("log_mel", "tfgram"), **SMALL)


@pytest.fixture(scope="module")
def clips():
    return make_machine_clips(("fan", "pump"), n_train=10, duration=0.25, random_state=0)


@pytest.fixture(scope="module")
def detector(clips):
    return OSSCLDetector(**SMALL).fit(clips.data, clips.target)


@pytest.fixture(scope="module")
def fitted(clips):
    return TFgramTransformer(UNFITTED).fit(clips.data, clips.target)


def test_image_has_the_size_of_the_log_mel(fitted, clips):
    table = fitted.transform(clips.data)
    log_mel = FRONT_END.fit_transform(clips.data)["log_mel"].iloc[0]
    assert table["tfgram"].iloc[0].shape == log_mel.shape
    assert list(table.columns[:-1]) == list(clips.data.columns)
    assert min(image.min() for image in table["tfgram"]) >= 0


def test_array_in_gives_an_array(fitted, clips):
    array = np.stack(clips.data["waveform"])
    assert clone(fitted).fit(array).transform(array).shape == (len(array), 16, 32)


def test_image_does_not_depend_on_the_order_of_the_clips(fitted, clips):
    images = fitted.transform(clips.data)["tfgram"]
    np.testing.assert_array_equal(
        np.stack(images), fitted.transform(clips.data.iloc[::-1])["tfgram"].iloc[::-1].tolist()
    )


def test_same_seed_gives_the_same_images(fitted, clips):
    again = clone(fitted).fit(clips.data, clips.target).transform(clips.data)["tfgram"]
    np.testing.assert_array_equal(np.stack(again), np.stack(fitted.transform(clips.data)["tfgram"]))


def test_image_of_a_fitted_detector_is_taken(detector, clips):
    images = np.stack(TFgramTransformer(detector).fit(clips.data).transform(clips.data)["tfgram"])
    waveforms = torch.from_numpy(np.stack(clips.data["waveform"]))
    with torch.no_grad():
        expected = detector.network_.branches["tfgram"](waveforms).numpy()
    np.testing.assert_allclose(images, expected, rtol=1e-4, atol=1e-5)


def test_frozen_detector_survives_a_clone(detector, clips):
    transformer = TFgramTransformer(FrozenEstimator(detector))
    first = transformer.fit(clips.data).transform(clips.data)["tfgram"]
    second = clone(transformer).fit(clips.data).transform(clips.data)["tfgram"]
    np.testing.assert_array_equal(np.stack(first), np.stack(second))


def test_detector_that_is_not_fitted_is_cloned_and_fitted(fitted, clips):
    assert not hasattr(UNFITTED, "network_")
    detector = clone(UNFITTED).fit(clips.data, clips.target)
    expected = TFgramTransformer(detector).fit(clips.data).transform(clips.data)["tfgram"]
    np.testing.assert_array_equal(np.stack(fitted.transform(clips.data)["tfgram"]), np.stack(expected))
    without_seconds = [{**epoch, "dur": 0} for epoch in fitted.history_]
    assert without_seconds == [{**epoch, "dur": 0} for epoch in detector.history_]


def test_clone_of_a_fitted_detector_is_fitted_anew(detector, clips):
    again = clone(TFgramTransformer(detector)).fit(clips.data)
    assert again.network_ is not detector.network_.branches["tfgram"]
    assert again.transform(clips.data)["tfgram"].iloc[0].shape == (16, 32)


def test_no_detector_is_os_scl_with_its_default_parameters(clips, monkeypatch):
    def small_plan(**given):
        plan = TrainingPlan(**given)
        assert (plan.max_epochs, plan.batch_size, plan.learning_rate) == (300, 64, 1e-4)  # of the paper
        return replace(plan, max_epochs=1, precision="float32")

    monkeypatch.setattr(_tfgram, "TrainingPlan", small_plan)
    few = clips.data[clips.target == 1].groupby(["machine_type", "section"]).head(2)
    transformer = TFgramTransformer(device="cpu").fit(few)
    assert len(transformer.history_) == 1
    assert transformer.transform(few)["tfgram"].iloc[0].shape == (128, 8)


def test_detector_without_the_image_is_refused(clips):
    other = OSSCLDetector(("log_mel",), **SMALL).fit(clips.data)
    with pytest.raises(ValueError, match="lack 'tfgram'"):
        TFgramTransformer(other).fit(clips.data)


def test_branches_without_the_image_are_refused_before_they_learn(clips, monkeypatch):
    monkeypatch.setattr(OSSCLDetector, "_fit", None)
    with pytest.raises(ValueError, match=r"has the branches \('log_mel',\), which lack 'tfgram'"):
        TFgramTransformer(OSSCLDetector(("log_mel",), **SMALL)).fit(clips.data)


def test_stacks_with_the_log_mel_on_a_table(clips):
    table = make_pipeline(clone(FRONT_END), TFgramTransformer(UNFITTED)).fit_transform(clips.data)
    assert table["log_mel"].iloc[0].shape == table["tfgram"].iloc[0].shape


def test_anomalies_given_to_fit_are_left_out(clips, fitted):
    normal = clone(fitted).fit(clips.data[clips.target == 1]).transform(clips.data)["tfgram"]
    np.testing.assert_array_equal(np.stack(normal), np.stack(fitted.transform(clips.data)["tfgram"]))


def test_clip_that_cannot_be_read_is_named(fitted, clips):
    broken = clips.data[["waveform"]].copy()
    broken["waveform"] = [np.full(4000, np.nan, dtype=np.float32), *broken["waveform"].iloc[1:]]
    with pytest.raises(ValueError, match=r"1 of 60 clips cannot be used:\n  clip 0 .*holds NaN"):
        fitted.transform(broken)


def test_clips_of_other_lengths_get_images_of_the_same_size(fitted, clips):
    odd = pd.DataFrame({"waveform": [np.ones(1, dtype=np.float32), np.zeros(9000, dtype=np.float32)]})
    assert {image.shape for image in fitted.transform(odd)["tfgram"]} == {(16, 32)}
