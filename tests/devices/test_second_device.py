"""Every network, loss, augmentation and front end on a device that is not the CPU, with and without float64."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from torch.utils import backend_registration

from tests.devices.trainings import DETECTORS, TRANSFORMERS

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not hasattr(backend_registration, "_setup_privateuseone_for_python_backend"),
        reason="this version of torch has no devices that are written in Python",
    ),
]
ROOT = Path(__file__).resolve().parents[2]


def trained(*options):
    """What the trainings of a process of their own tell, by name."""
    command = [sys.executable, "-m", "tests.devices.trainings", *options]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1200, check=False)
    assert run.returncode == 0, run.stderr[-2000:]
    return {line["name"]: line for line in map(json.loads, run.stdout.splitlines())}


def test_scores_are_those_of_the_cpu():
    found = trained()
    assert list(found) == [*DETECTORS, *TRANSFORMERS]
    assert {name: line for name, line in found.items() if not line.get("difference", 1.0) < 1e-4} == {}


def test_device_without_float64_trains_and_scores_clips_in_float64():
    found = trained("--without-float64")
    assert list(found) == [*DETECTORS, *TRANSFORMERS]
    assert {name: line for name, line in found.items() if not line.get("is_finite")} == {}
