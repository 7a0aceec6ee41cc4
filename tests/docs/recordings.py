"""What the blocks of the pages find in the folder that they run in: recordings, a data set, suites and small programs."""

import os

import numpy as np
import soundfile

RATE = 16000
_SUITE = """
name = "{name}"
seeds = [0]

[data.fans]
kind = "synthetic"
machine_types = ["fan"]
duration = 1.0
n_train = 20
n_test_normal = 8
n_test_anomaly = 8

[detectors.TWFR]
class = "TWFRDetector"

[detectors.OS-SCL]
class = "TWFRDetector"
r = 1.0
"""
_PROGRAMS = {
    "train.py": "import skasd\n",
    "bin/mail": "#!/bin/sh\ncat > mail.txt\n",
    "quick.toml": _SUITE.format(name="quick"),
    "my_suite.toml": _SUITE.format(name="mine"),
}


def hum(number, pitch=400):
    """A second of a machine."""
    rng = np.random.default_rng(number)
    time = np.arange(RATE) / RATE
    return 0.1 * np.sin(2 * np.pi * pitch * time + rng.uniform(0, 6)) + 0.02 * rng.standard_normal(RATE)


def write(path, number, **options):
    """A stereo recording; later numbers ended later."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.stack([hum(number, **options)] * 2, axis=1), RATE)
    os.utime(path, (1.79e9 + number,) * 2)


def make_place(folder, machine):
    """Fill a folder: normal recordings of a machine, new ones of which the last is odd, and all else."""
    for number in range(30):
        write(folder / "recordings" / "normal" / machine / f"{number:02d}.wav", number)
    for place in ("today", "tuesday", "archive", "recordings/today", "recordings/live", "recordings/new"):
        for number in range(30, 33):
            write(folder / place / machine / f"{number}.wav", number, pitch=400 if number < 32 else 900)
    for number, name in enumerate(("monday.wav", "tuesday.wav", "wednesday.flac"), start=33):
        write(folder / name, number)
    for name, text in _PROGRAMS.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "bin" / "mail").chmod(0o755)
    paths = sorted(file.relative_to(folder / "recordings") for file in (folder / "recordings").rglob("*.wav"))
    (folder / "labels.csv").write_text(
        "\n".join(["path,label", *(f"{path},normal" for path in paths)]), encoding="utf-8"
    )
    for empty in ("onnx_files", "recordings/live/pump"):
        (folder / empty).mkdir(parents=True)
    for year in (2020, 2023, 2025):
        make_dcase(folder / "dcase" / f"dcase{year}", year)
    (folder / "dcase2023").symlink_to(folder / "dcase" / "dcase2023")


def make_dcase(root, year):
    """A data set of Task 2 with one machine type, as it lies on the disk when it is unpacked."""
    for number in range(24):
        domain = "source" if number % 4 else "target"
        for split, label, pitch in (("train", "normal", 400), ("test", "normal", 400), ("test", "anomaly", 900)):
            name = f"section_00_{domain}_{split}_{label}_{number:04d}_load_1.wav"
            if year == 2020:
                name = f"{label}_id_00_{number:08d}.wav"
            write(root / "dev_data" / "fan" / split / name, number, pitch=pitch)
    if year == 2020:
        write(root / "eval_data" / "fan" / "test" / "id_01_00000000.wav", 0)
    if year == 2023:
        for number in range(4):
            write(root / "eval_data" / "fan" / "test" / f"section_00_{number:04d}.wav", number)
        for kind in ("data", "domain"):
            file = root.parent / "truth" / f"ground_truth_{kind}" / "ground_truth_fan_section_00_test.csv"
            file.parent.mkdir(parents=True)
            file.write_text("".join(f"section_00_{number:04d}.wav,{number % 2}\n" for number in range(4)))
    if year == 2025:
        write(root / "dev_data" / "fan" / "supplemental" / "section_00_noise_supplemental_normal_0000.wav", 0)
