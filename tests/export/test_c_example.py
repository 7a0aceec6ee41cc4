"""The C program of the examples, where a compiler, the headers and the library of ONNX Runtime are there."""

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

from skasd.detectors import TWFRDetector
from skasd.export import to_onnx
from tests.export.files import FAN, TRAIN, onnxruntime

SOURCE = Path(__file__).resolve().parents[2] / "examples" / "score_wav.c"
FOLDERS = [os.environ.get("ONNXRUNTIME_INCLUDE", ""), "/usr/include/onnxruntime", "/usr/include", "/usr/local/include"]


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """The compiled program."""
    compiler = shutil.which("cc")
    header = next(
        (Path(folder) for folder in FOLDERS if folder and (Path(folder) / "onnxruntime_c_api.h").is_file()), None
    )
    library = next(Path(onnxruntime.__file__).parent.glob("capi/libonnxruntime.so*"), None)
    if compiler is None or header is None or library is None:
        pytest.skip(
            "needs cc, libonnxruntime and onnxruntime_c_api.h; set ONNXRUNTIME_INCLUDE to the folder of the header"
        )
    folder = tmp_path_factory.mktemp("program")
    for name in ("libonnxruntime.so", "libonnxruntime.so.1"):  # the package of pip has neither of these names
        (folder / name).symlink_to(library)
    path = folder / "score_wav"
    command = [compiler, "-Wall", "-Werror", str(SOURCE), f"-I{header}", f"-L{folder}", "-lonnxruntime"]
    subprocess.run([*command, f"-Wl,-rpath,{folder}", "-o", str(path)], check=True)
    return path


def test_program_scores_as_the_detector(program, tmp_path):
    detector = TWFRDetector().fit(TRAIN)
    to_onnx(detector, tmp_path / "fan.onnx", machine="fan/00", check_on=FAN)
    for position, waveform in enumerate(FAN["waveform"]):
        path = tmp_path / f"{position}.wav"
        soundfile.write(path, np.stack([waveform, -waveform], axis=1), 16000, subtype="PCM_16")
        clip = FAN[position : position + 1].drop(columns="waveform").assign(path=str(path))
        done = subprocess.run([str(program), str(tmp_path / "fan.onnx"), str(path)], capture_output=True, text=True)
        score, decision = done.stdout.split()
        assert np.isclose(float(score), -detector.score_samples(clip)[0], rtol=1e-4)
        assert decision == ("normal" if detector.predict(clip)[0] == 1 else "anomaly")
        assert done.returncode == (decision == "anomaly")


def test_program_says_what_is_wrong(program, tmp_path):
    to_onnx(TWFRDetector().fit(TRAIN), tmp_path / "fan.onnx", machine="fan/00", check_on=FAN)
    soundfile.write(tmp_path / "slow.wav", np.zeros(8000), 8000)
    (tmp_path / "text.wav").write_text("no sound")
    for name, reason in (("slow.wav", "another sample rate"), ("text.wav", "no wav file"), ("none.wav", "no wav file")):
        done = subprocess.run(
            [str(program), str(tmp_path / "fan.onnx"), str(tmp_path / name)], capture_output=True, text=True
        )
        assert done.returncode == 2
        assert reason in done.stderr
