import copy

import numpy as np
import pytest
import soundfile
from sklearn.base import clone

from skasd.datasets import make_machine_clips
from skasd.detectors import SelfSupervisedDetector
from skasd.features import LogMelTransformer
from skasd.networks import SpectrumNet
from skasd.networks._frequency_attention import FrequencyAttention
from skasd.objectives import DualBranchNetOptions
from skasd.scoring import KMeansScorer, KNNScorer, LocalDensityScorer

FRONT_END = LogMelTransformer(n_fft=256, hop_length=128, n_mels=16, pad_mode="constant", short_clips="tile")


def small(head="sub_cluster_adacos", **settings):
    """A detector of this small size, which learns from all clips unless a setting holds some out."""
    usual = {"frontend": FRONT_END, "max_epochs": 1, "device": "cpu", "random_state": 0, "network__embedding_dim": 4}
    usual["training__calibration_fraction"] = "auto" if "training__validation_fraction" in settings else 0
    return SelfSupervisedDetector(head).set_params(**{**usual, **settings})


@pytest.fixture(scope="module")
def machines():
    return make_machine_clips(("fan", "pump"), n_train=20, duration=0.5, target_share=0.3, random_state=0)


@pytest.fixture(scope="module")
def train(machines):
    return machines.data[machines.data["split"] == "train"].reset_index(drop=True)


@pytest.fixture(scope="module")
def test(machines):
    return machines.data[machines.data["split"] == "test"].reset_index(drop=True)


@pytest.fixture(scope="module")
def report():
    """An unfitted detector with the settings of the report, but small."""
    detector = SelfSupervisedDetector(**SelfSupervisedDetector.settings("report"))
    return detector.set_params(n_subclusters=2, max_epochs=1, random_state=0, network__embedding_dim=4)


@pytest.fixture(scope="module")
def report_scores(report, few):
    return clone(report).fit(few).score_samples(few)


@pytest.fixture(scope="module")
def few(train):
    return train.groupby("machine_type").head(8)


def test_classes_are_attributes_or_clusters_where_there_are_none(train):
    lacking = train.assign(attributes=train["attributes"].where(train["machine_type"] == "fan", ""))
    detector = small().fit(lacking)
    assert detector.label_source_ == {"fan/00": "attributes", "pump/00": "clusters"}
    assert detector.classes_[detector.labels_[0]].startswith("fan/00 | ")
    assert isinstance(detector.network_, SpectrumNet)
    assert isinstance(detector.scorer_["fan/00"].model, KMeansScorer)


def test_each_window_has_a_branch_of_its_own(train):
    detector = small(network=DualBranchNetOptions(n_ffts=(256, 1024), embedding_dim=4)).fit(train)
    embedding = detector.transform(train)
    assert embedding.shape == (40, 12)
    np.testing.assert_allclose(np.linalg.norm(embedding, axis=1), 1, rtol=1e-5)
    assert detector.get_feature_names_out()[-1] == "selfsuperviseddetector11"


def test_score_is_the_distance_from_the_clips_of_the_machine(train, test):
    detector = small(scorer=KNNScorer()).fit(train)
    fan, own = train["machine_type"] == "fan", test["machine_type"] == "fan"
    scorer = KNNScorer().fit(detector.transform(train[fan]).astype(np.float64), domain=train["domain"][fan])
    expected = scorer.score_samples(detector.transform(test[own]).astype(np.float64))
    np.testing.assert_allclose(detector.score_samples(test)[own], expected, rtol=1e-4, atol=1e-8)


def test_attributes_of_clips_to_score_are_never_looked_at(train, test):
    detector = small().fit(train)
    scores = detector.score_samples(test)
    np.testing.assert_array_equal(detector.score_samples(test.assign(attributes="never heard of")), scores)
    np.testing.assert_array_equal(detector.score_samples(test.drop(columns=["attributes", "domain"])), scores)


@pytest.mark.parametrize(
    "settings",
    [
        {"head": "adaproj"},
        {"head": "adacos", "dynamic_scale": True},
        {"feature_exchange": True, "subspace_loss": True, "label_text": "align", "n_subclusters": 2},
        {"trainable_centers": False, "label_text": "init", "mixup_probability": 0.0, "n_subclusters": 2},
    ],
    ids=str,
)
def test_every_option_gives_scores(settings, train, test):
    assert np.isfinite(small(**settings).fit(train).score_samples(test)).all()


def test_spectra_need_waveforms(train):
    log_mel = LogMelTransformer().fit_transform(train["waveform"].tolist())
    with pytest.raises(
        ValueError, match=r"X contains features of shape .*SelfSupervisedDetector takes waveforms or files"
    ):
        small().fit(log_mel)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"head": "arcface"}, ValueError, "head='arcface' is unknown"),
        ({"network__n_ffts": 1024}, TypeError, "n_ffts=1024"),
        ({"statistics__r": "loud"}, ValueError, "r='loud' is unknown"),
        (
            {"head": "adaproj", "dynamic_scale": True},
            ValueError,
            "dynamic_scale=True has no effect with head='adaproj'",
        ),
        ({"head": "adacos", "n_subclusters": 2}, ValueError, "n_subclusters=2 has no effect with head='adacos'"),
        (
            {"training__channels_last": False},
            ValueError,
            "channels_last=False has no effect with SelfSupervisedDetector",
        ),
        ({"scorer": 3}, TypeError, "scorer=3 has no"),
    ],
)
def test_bad_parameters_are_refused(settings, error, message, train):
    with pytest.raises(error, match=message):
        small(**settings).fit(train)


REPORT = SelfSupervisedDetector.settings("report")


def test_report_hears_files_at_its_own_sample_rate(train, tmp_path):
    for row, waveform in enumerate(train["waveform"][:8]):
        soundfile.write(tmp_path / f"{row}.wav", waveform, 16_000)
    paths = sorted(map(str, tmp_path.glob("*.wav")))
    detector = SelfSupervisedDetector(**{**REPORT, "n_subclusters": 2, "max_epochs": 1, "random_state": 0}).fit(paths)
    assert detector.network_.n_timepoints == 1.2 * len(train["waveform"][0])
    _, spectrogram = detector.network_.branches
    assert spectrogram.first_bin == 11  # the first above 200 Hz, of bins of 18.75 Hz
    assert isinstance(spectrogram.second_image, FrequencyAttention)
    assert np.isfinite(detector.score_samples(paths)).all()


@pytest.mark.parametrize(
    "without",
    [{"network__frequency_attention": "off"}, {"label_text": "off"}, {"frontend__sample_rate": 16_000}],
    ids=lambda without: next(iter(without)),
)
def test_each_part_of_the_report_changes_scores(without, report, report_scores, few):
    scores = clone(report).set_params(**without).fit(few).score_samples(few)
    assert np.abs(scores - report_scores).max() > 1e-6


def test_toolkit_trains_as_published():
    plan = SelfSupervisedDetector(**SelfSupervisedDetector.settings("toolkit"))._plan()
    assert (plan.batch_size, plan.max_epochs, plan.learning_rate, plan.schedule) == (64, 16, 1e-3, "constant")


def test_the_setting_of_several_resolutions_has_a_branch_for_each(train):
    detector = SelfSupervisedDetector(**SelfSupervisedDetector.settings("multi_resolution"))
    detector.set_params(n_subclusters=2, max_epochs=1, batch_size=64, random_state=0, network__embedding_dim=4).fit(
        train
    )
    assert len(detector.network_.branches) == 4  # the spectrum of the clip, and three spectrograms
    assert isinstance(detector.scorer_[""].model, LocalDensityScorer)
    assert detector.score_with_ == "embedding"
    assert np.isfinite(detector.score_samples(train)).all()


def test_unknown_settings_are_refused():
    with pytest.raises(ValueError, match="name='paper' is unknown"):
        SelfSupervisedDetector.settings("paper")


@pytest.mark.gpu
def test_scores_do_not_depend_on_the_device(train, test):
    detector = small().fit(train)
    moved = copy.copy(detector)
    moved.device = "cuda"
    np.testing.assert_allclose(moved.score_samples(test), detector.score_samples(test), rtol=1e-3, atol=1e-3)
