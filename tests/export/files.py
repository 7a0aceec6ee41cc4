"""What tests of exported files share: synthetic machines, and a file in ONNX Runtime."""

import numpy as np
import pytest

from skasd.datasets import make_machine_clips

onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: pip install 'skasd[onnx]'")
pytest.importorskip("onnx", reason="onnx is not installed: pip install 'skasd[onnx]'")

COUNTS = {"n_train": 16, "n_test_normal": 3, "n_test_anomaly": 3, "random_state": 0}
CLIPS = make_machine_clips(("fan", "valve"), duration=1.0, **COUNTS).data
TRAIN, TEST = CLIPS[CLIPS["split"] == "train"], CLIPS[CLIPS["split"] == "test"]
FAN = TEST[TEST["machine_type"] == "fan"]


def run(path, waveforms):
    """Anomaly scores and decisions of waveforms (n_clips, n_timepoints) by a file."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    assert (given.name, given.type, given.shape) == ("waveform", "tensor(float)", ["n_clips", "n_timepoints"])
    assert [(out.name, out.type) for out in session.get_outputs()] == [
        ("anomaly_score", "tensor(float)"),
        ("is_anomaly", "tensor(bool)"),
    ]
    return session.run(None, {"waveform": np.asarray(waveforms, dtype=np.float32)})


def properties(path):
    """Metadata of a file."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.get_modelmeta().custom_metadata_map
