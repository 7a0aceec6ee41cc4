"""Files of calibrated detectors: thresholds of machines, and p-values."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline

from skasd.decisions import CalibratedDetector
from skasd.detectors import OSSCLDetector, TWFRDetector
from skasd.export import to_onnx
from skasd.features import TWFRTransformer
from skasd.scoring import KNNScorer
from tests.detectors.cases import SMALL, SMALL_FRONT_END
from tests.export.files import FAN, TRAIN, onnxruntime, properties

TWFR = TWFRDetector(frontend=SMALL_FRONT_END)
CALIBRATED = {
    "TWFR": CalibratedDetector(TWFR, alpha=0.1, learning_period=10),
    "pipeline inside": CalibratedDetector(
        make_pipeline(TWFRTransformer(frontend=SMALL_FRONT_END), KNNScorer()),
        alpha=0.2,
        group_columns=(),
        learning_period=4,
    ),
    "network": CalibratedDetector(OSSCLDetector(("log_mel",), **SMALL), alpha=0.2, learning_period=4),
}


def outputs(path, waveforms):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    values = session.run(None, {"waveform": np.asarray(waveforms, dtype=np.float32)})
    return dict(zip([out.name for out in session.get_outputs()], values, strict=True))


@pytest.mark.parametrize("name", CALIBRATED)
def test_scores_decisions_and_p_values_are_those_of_the_detector(name, tmp_path):
    path, blind = tmp_path / "fan.onnx", name == "pipeline inside"  # its back end knows no machines
    fitted = clone(CALIBRATED[name]).fit(TRAIN)
    to_onnx(fitted, path, machine=None if blind else "fan/00")
    found = outputs(path, np.stack(FAN["waveform"]))
    np.testing.assert_allclose(found["anomaly_score"], -fitted.score_samples(FAN), rtol=1e-3, atol=1e-3)
    np.testing.assert_array_equal(found["is_anomaly"], fitted.predict(FAN) == -1)
    np.testing.assert_allclose(found["p_value"], fitted.p_values(FAN), rtol=1e-6)
    said = properties(path)
    assert float(said["alpha"]) == fitted.alpha
    assert said["calibration"] == fitted.method_
    assert int(said["n_calibration"]) == next(iter(fitted.n_calibration_.values()))


def test_each_machine_has_its_threshold(tmp_path):
    fitted = clone(CALIBRATED["TWFR"]).fit(TRAIN)
    for machine in ("fan", "valve"):
        to_onnx(fitted, tmp_path / f"{machine}.onnx", machine=f"{machine}/00")
    thresholds = {name: float(properties(tmp_path / f"{name}.onnx")["threshold"]) for name in ("fan", "valve")}
    assert thresholds == {name: -fitted.offsets_[f"{name}/00"] for name in ("fan", "valve")}
    with pytest.raises(ValueError, match="name the one to export"):
        to_onnx(fitted, tmp_path / "both.onnx")
    blind = CalibratedDetector(clone(TWFR).set_params(group_columns=()), alpha=0.1, learning_period=10).fit(TRAIN)
    with pytest.raises(ValueError, match=r"calibrated for \['fan/00', 'valve/00'\]; name one of them"):
        to_onnx(blind, tmp_path / "both.onnx")


def test_provisional_decisions_have_no_p_values(tmp_path):
    fan = TRAIN[TRAIN["machine_type"] == "fan"]
    with pytest.warns(UserWarning, match="provisional"):
        fitted = CalibratedDetector(TWFR).fit(fan)
    to_onnx(fitted, tmp_path / "fan.onnx")
    found = outputs(tmp_path / "fan.onnx", np.stack(FAN["waveform"]))
    assert set(found) == {"anomaly_score", "is_anomaly"}
    assert properties(tmp_path / "fan.onnx")["is_provisional"] == "True"
    with pytest.warns(UserWarning, match="provisional"):
        np.testing.assert_array_equal(found["is_anomaly"], fitted.predict(FAN) == -1)


def test_a_frozen_detector_may_be_inside(tmp_path):
    fan = TRAIN[TRAIN["machine_type"] == "fan"]
    frozen = FrozenEstimator(clone(TWFR).fit(fan[:8]))
    fitted = CalibratedDetector(frozen, alpha=0.2, learning_period=4).fit(fan[8:])
    assert to_onnx(fitted, tmp_path / "fan.onnx").n_decisions == 0
    p_value = outputs(tmp_path / "fan.onnx", np.stack(FAN["waveform"]))["p_value"]
    np.testing.assert_allclose(p_value, fitted.p_values(FAN), rtol=1e-6)
