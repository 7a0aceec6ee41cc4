import pytest

from skasd.benchmark import Entry, Suite
from skasd.detectors import AutoencoderDetector, TWFRDetector
from skasd.features import LogMelTransformer


@pytest.fixture(scope="session")
def suite():
    """Two detectors on two data sets of seconds, with two seeds."""
    shared = {
        "kind": "synthetic",
        "n_train": 8,
        "n_test_normal": 5,
        "n_test_anomaly": 5,
        "duration": 1.0,
        "random_state": 0,
    }
    data = {
        "rotating": {**shared, "machine_types": ["fan", "pump"]},
        "valves": {**shared, "machine_types": ["valve"], "n_sections": 2},
    }
    mel = LogMelTransformer(n_mels=32)
    detectors = {
        "TWFR": TWFRDetector(),
        "autoencoder": Entry(AutoencoderDetector(max_epochs=2), features=mel),
    }
    return Suite("tiny", data, detectors, seeds=(0, 1))
