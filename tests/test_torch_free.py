"""Detectors without a network work where torch cannot be imported."""

import subprocess
import sys

import pytest

import skasd.datasets
import skasd.detectors
import skasd.features

HIDDEN = """
import sys

class Hidden:
    def find_spec(name, path=None, target=None):
        if name.split(".")[0] == "torch":
            raise ModuleNotFoundError(f"No module named {name!r}")

sys.meta_path.insert(0, Hidden)
"""

DETECTORS = """
import pickle
import sys
import numpy as np
import skasd.export
from skasd.detectors import EnsembleDetector, StatisticsDetector, TWFRDetector
waveforms = np.random.default_rng(0).normal(size=(40, 4000)).astype(np.float32)
ensemble = EnsembleDetector([("statistics", StatisticsDetector()), ("twfr", TWFRDetector())], random_state=0)
for detector in (StatisticsDetector(), TWFRDetector(), ensemble):
    scores = detector.fit(waveforms).score_samples(waveforms)
    assert np.array_equal(pickle.loads(pickle.dumps(detector)).score_samples(waveforms), scores)
    skasd.save(detector, sys.argv[1] + "/model.skasd")
    assert np.array_equal(skasd.load(sys.argv[1] + "/model.skasd").score_samples(waveforms), scores)
"""

SUITE = """
import sys
from skasd.benchmark import Suite, run_suite
from skasd.detectors import TWFRDetector
data = {"fans": {"kind": "synthetic", "machine_types": "fan", "n_train": 8, "duration": 1.0, "random_state": 0}}
assert len(run_suite(Suite("small", data, {"TWFR": TWFRDetector()}, seeds=(0,)), sys.argv[1])) == 1
"""


def test_statistical_detectors_and_suites_of_them_work_without_torch(tmp_path):
    subprocess.run([sys.executable, "-c", HIDDEN + DETECTORS + SUITE, str(tmp_path)], check=True)


@pytest.mark.parametrize("package", [skasd.datasets, skasd.detectors, skasd.features])
def test_all_public_names_can_be_imported_and_listed(package):
    assert dir(package) == package.__all__
    assert [getattr(package, name).__name__ for name in package.__all__] == package.__all__
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        package.Nothing  # noqa: B018
