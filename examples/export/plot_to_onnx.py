r"""
Does a detector score alike without Python?
===========================================

:func:`~skasd.export.to_onnx` writes a fitted detector as one file, from the waveform to the decision. This example compares
its scores in ONNX Runtime with those of the detector.
"""

# %%
# A file of a detector
# --------------------
#
# The detector learns the normal clips of a synthetic valve; the file is checked on the clips of the test, and is not written
# if a score differs.

import tempfile
from importlib.util import find_spec
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from skasd.datasets import make_machine_clips
from skasd.detectors import StatisticsDetector

clips = make_machine_clips("valve", n_train=40, n_test_normal=30, n_test_anomaly=30, random_state=0)
is_train = (clips.data["split"] == "train").to_numpy()
test, is_fault = clips.data[~is_train], clips.target[~is_train] == -1
detector = StatisticsDetector().fit(clips.data[is_train])
expected = -detector.score_samples(test)


def scores_of_file():
    """Scores and decisions in ONNX Runtime; those of the detector where it is not installed."""
    if find_spec("onnx") is None or find_spec("onnxruntime") is None:
        print("onnx and onnxruntime are not installed: pip install 'skasd[onnx]'")
        return expected, expected > -detector.offset_
    import onnxruntime

    from skasd.export import to_onnx

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "valve.onnx"
        print(to_onnx(detector, path, check_on=test))
        print(f"{path.stat().st_size / 1e6:.1f} MB")
        session = onnxruntime.InferenceSession(path)
    print(session.get_modelmeta().custom_metadata_map)
    waveform = np.stack(test["waveform"].tolist()).astype(np.float32)
    return session.run(None, {"waveform": waveform})


score, is_anomaly = scores_of_file()

# %%
# The same scores
# ---------------
#
# All points lie on the diagonal. Clips above the dashed line, the threshold, are anomalies for both.

figure, axis = plt.subplots(figsize=(4.5, 4.5), layout="constrained")
for fault, color, name in ((False, "#1f6f8b", "normal"), (True, "#d1495b", "fault")):
    axis.scatter(expected[is_fault == fault], score[is_fault == fault], s=18, color=color, label=name)
axis.axline((0, 0), slope=1, color="black", linewidth=0.8)
axis.axhline(-detector.offset_, color="black", linewidth=0.8, linestyle="--")
axis.set(xlabel="anomaly score in skasd", ylabel="anomaly score in ONNX Runtime")
axis.legend()

print(f"largest difference: {np.abs(score - expected).max():.1e}")
print(f"decisions that differ: {(is_anomaly != (detector.predict(test) == -1)).sum()}")

# %%
# The C program ``examples/score_wav.c`` scores a wav file with such a file. The user guide has the sizes and times of all
# detectors: :ref:`onnx_measured`.
