"""Scores and decisions of a report."""

import numpy as np
from sklearn.ensemble import IsolationForest
from sklearn.pipeline import make_pipeline

from skasd.datasets import make_machine_clips
from skasd.decisions import CalibratedDetector
from skasd.features import LogMelTransformer, TWFRTransformer
from skasd.report._groups import scored


def test_a_pipeline_that_ends_in_a_calibrated_detector_has_p_values_and_is_scored_once():
    made = make_machine_clips(("fan", "valve"), n_train=24, n_test_normal=3, duration=0.5, random_state=0).data
    train, new = made[made["split"] == "train"], made[made["split"] == "test"]
    front_end = LogMelTransformer(n_fft=256, hop_length=128, n_mels=16)
    forest = IsolationForest(n_estimators=20, random_state=0)
    pipeline = make_pipeline(TWFRTransformer(frontend=front_end), CalibratedDetector(forest)).fit(train)
    calls, transform = [], pipeline[0].transform
    pipeline[0].transform = lambda X: calls.append(len(X)) or transform(X)
    scores = scored(pipeline, new)
    assert calls == [len(new)]
    np.testing.assert_array_equal(scores.is_anomaly, pipeline.predict(new) == -1)
    np.testing.assert_array_equal(scores.is_anomaly, scores.p_value <= 0.05)
