import pytest

from skasd.datasets import make_machine_clips
from skasd.detectors import SelfSupervisedDetector, StatClusterDetector
from skasd.detectors._amount import TrainingAmount
from skasd.features import LogMelTransformer
from skasd.objectives import MobileFaceNetOptions

FRONT_END = LogMelTransformer(n_fft=256, hop_length=128, n_mels=16, pad_mode="constant", short_clips="tile")
PUBLISHED = TrainingAmount(batch_size=64, max_epochs=16, least_steps=320)


@pytest.mark.parametrize(
    ("n_clips", "batch_size", "max_epochs"),
    [
        (2, 8, 320),
        (20, 8, 107),
        (60, 8, 40),
        (100, 13, 40),
        (500, 63, 40),
        (1000, 64, 20),
        (1280, 64, 16),
        (7000, 64, 16),
    ],
)
def test_few_clips_have_small_batches_and_many_epochs(n_clips, batch_size, max_epochs):
    assert PUBLISHED.chosen("auto", "auto", n_clips) == {"batch_size": batch_size, "max_epochs": max_epochs}


@pytest.mark.parametrize("n_clips", [2, 7, 8, 9, 60, 63, 64, 65, 511, 512, 513, 1279, 1280, 5000])
def test_there_are_never_fewer_steps_than_the_least(n_clips):
    chosen = PUBLISHED.chosen("auto", "auto", n_clips)
    assert -(-n_clips // chosen["batch_size"]) * chosen["max_epochs"] >= 320


def test_parameters_that_are_given_are_used_as_they_are():
    assert PUBLISHED.chosen(64, 16, 60) == {"batch_size": 64, "max_epochs": 16}
    assert PUBLISHED.chosen(64, "auto", 60) == {"batch_size": 64, "max_epochs": 320}
    assert PUBLISHED.chosen("auto", 3, 60) == {"batch_size": 8, "max_epochs": 3}


@pytest.mark.parametrize(
    ("batch_size", "max_epochs", "error", "message"),
    [
        ("large", "auto", TypeError, "batch_size='large' is a str; an integer of at least 2 or 'auto' is expected"),
        (1, "auto", ValueError, "batch_size=1 is too small"),
        ("auto", "many", TypeError, "max_epochs='many' is a str; an integer of at least 1 or 'auto' is expected"),
        ("auto", 0, ValueError, "max_epochs=0 is too small"),
    ],
)
def test_other_values_are_refused(batch_size, max_epochs, error, message):
    with pytest.raises(error, match=message):
        PUBLISHED.chosen(batch_size, max_epochs, 60)


@pytest.fixture(scope="module")
def train():
    return make_machine_clips("fan", n_train=20, n_test_normal=0, n_test_anomaly=0, duration=0.2, random_state=0).data


def self_supervised(**settings):
    small = {"network__embedding_dim": 4, "n_subclusters": 2, "device": "cpu", "random_state": 0, "frontend": FRONT_END}
    return SelfSupervisedDetector().set_params(**{**small, **settings})


def stat_cluster(**settings):
    network = MobileFaceNetOptions(bottlenecks=((1, 8, 1, 2),), embedding_dim=4)
    small = {"branches": ("log_mel",), "device": "cpu", "random_state": 0, "frontend": FRONT_END, "network": network}
    return StatClusterDetector(**{**small, **settings})


detectors = pytest.mark.parametrize(
    ("make", "least_steps"), [(self_supervised, 320), (stat_cluster, 128)], ids=["self_supervised", "stat_cluster"]
)


@detectors
@pytest.mark.slow
def test_default_of_a_detector_makes_many_steps_of_few_clips(make, least_steps, train):
    detector = make().fit(train)
    assert (detector.batch_size, detector.max_epochs) == ("auto", "auto")
    assert detector.training_.batch_size == 8
    assert 3 * detector.training_.max_epochs >= least_steps
    assert len(detector.history_) == detector.training_.max_epochs


@detectors
def test_batch_size_of_a_detector_follows_from_the_clips(make, least_steps, train):
    assert make(max_epochs=1).fit(train).training_.batch_size == 8
    assert make(max_epochs=1, batch_size=64).fit(train).training_.batch_size == 64


@detectors
def test_detector_refuses_another_text(make, least_steps, train):
    with pytest.raises(TypeError, match="max_epochs='many'"):
        make(max_epochs="many").fit(train)
