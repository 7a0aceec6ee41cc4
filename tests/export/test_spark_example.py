"""The script of the examples that scores on Spark, where pyspark is there."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from skasd.detectors import TWFRDetector
from skasd.export import to_onnx
from tests.export.files import FAN, TRAIN

SCRIPT = Path(__file__).resolve().parents[2] / "examples" / "score_on_spark.py"
pytestmark = [pytest.mark.slow, pytest.mark.network]


@pytest.fixture
def python():
    """A Python with pyspark: this one, or one that need not have skasd."""
    named = os.environ.get("SKASD_SPARK_PYTHON")
    if named is None and find_spec("pyspark") is None:
        pytest.skip("needs pyspark and Java; set SKASD_SPARK_PYTHON to the Python of an environment with pyspark")
    return named or sys.executable


def test_scores_on_spark_are_those_of_the_detector(python, tmp_path):
    detector = TWFRDetector().fit(TRAIN)
    to_onnx(detector, tmp_path / "fan.onnx", machine="fan/00", check_on=FAN)
    clips = FAN.drop(columns="waveform").assign(path=[str(tmp_path / f"{index} ü.wav") for index in range(len(FAN))])
    for path, waveform in zip(clips["path"], FAN["waveform"], strict=True):
        soundfile.write(path, np.stack([waveform, -waveform], axis=1), 16000, subtype="PCM_16")
    soundfile.write(tmp_path / "slow.wav", np.zeros(8000), 8000)
    (tmp_path / "text.wav").write_text("no sound")
    bad = {str(tmp_path / "slow.wav"): "has 8000 Hz", str(tmp_path / "text.wav"): "Format not recognised"}
    bad[str(tmp_path / "none.wav")] = "System error"
    (tmp_path / "paths.txt").write_text("\n".join([*clips["path"], *bad]) + "\n", encoding="utf-8")
    subprocess.run(
        [python, SCRIPT, tmp_path / "fan.onnx", tmp_path / "paths.txt", tmp_path / "scores"],
        env={**os.environ, "PYSPARK_PYTHON": python, "SPARK_LOCAL_IP": "127.0.0.1", "PYTHONPATH": ""},
        check=True,
        timeout=300,
    )
    table = pd.concat(pd.read_csv(file) for file in (tmp_path / "scores").glob("*.csv")).set_index("path")
    assert len(table) == len(clips) + len(bad)
    found = table.loc[clips["path"]]
    assert np.allclose(found["anomaly_score"], -detector.score_samples(clips), rtol=1e-4)
    assert found["decision"].eq("anomaly").tolist() == (detector.predict(clips) == -1).tolist()
    for path, reason in bad.items():
        assert table.loc[path, "decision"] == "unscored"
        assert reason in table.loc[path, "reason"]
