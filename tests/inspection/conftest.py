import warnings

import pytest

from skasd.datasets import make_machine_clips
from skasd.detectors import StatisticsDetector, TWFRDetector
from tests.detectors.cases import SMALL_FRONT_END


@pytest.fixture(scope="session")
def clips():
    """Clips of a pump and a fan of half a second with their masks; half of the test clips have a clear fault."""
    counts = {"n_train": 16, "n_test_normal": 2, "n_test_anomaly": 4}
    return make_machine_clips(("pump", "fan"), **counts, duration=0.5, severity=3.0, return_masks=True, random_state=0)


@pytest.fixture(scope="session")
def train(clips):
    return clips.data[clips.data["split"] == "train"].reset_index(drop=True)


@pytest.fixture(scope="session")
def new(clips):
    """Two normal clips and four faulty ones of each machine."""
    return clips.data[clips.data["split"] == "test"].reset_index(drop=True)


@pytest.fixture(scope="session")
def twfr(train):
    return TWFRDetector(frontend=SMALL_FRONT_END).fit(train)


@pytest.fixture(scope="session")
def statistics(train):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return StatisticsDetector(frontend=SMALL_FRONT_END).fit(train)
