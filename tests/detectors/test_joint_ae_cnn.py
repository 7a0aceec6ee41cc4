import numpy as np
import pytest
import torch
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from torch import nn

from skasd.clips import as_clips
from skasd.datasets import make_machine_clips
from skasd.detectors import JointAECNNDetector
from skasd.detectors._patch_outputs import outputs_of_clips
from skasd.features import LogMelTransformer, MedianFilter
from skasd.objectives import JointNetOptions
from skasd.scoring import KNNScorer

FRONT_END = LogMelTransformer(n_fft=256, hop_length=128, n_mels=16)
SMALL = {
    "frontend": FRONT_END,
    "network__width": 0.1,
    "patches__length": 16,
    "patches__step": 16,
    "median_filter": 3,
    "max_epochs": 1,
    "learning_rate": 0.003,
    "device": "cpu",
    "random_state": 0,
}


def small(**settings):
    """A detector of this small size, which learns from all clips unless a setting holds some out."""
    usual = {name: value for name, value in SMALL.items() if "network" not in settings or name != "network__width"}
    usual["training__calibration_fraction"] = "auto" if "training__validation_fraction" in settings else 0
    return JointAECNNDetector().set_params(**{**usual, **settings})


@pytest.fixture(scope="module")
def machines():
    return make_machine_clips(("fan",), n_sections=2, n_train=10, target_share=0.3, duration=1.0, random_state=0)


@pytest.fixture(scope="module")
def train(machines):
    return machines.data[machines.data["split"] == "train"]


@pytest.fixture(scope="module")
def test(machines):
    return machines.data[machines.data["split"] == "test"]


@pytest.fixture(scope="module")
def fitted(train):
    return small().fit(train)


def test_ten_seconds_are_31_patches():
    detector = JointAECNNDetector(max_epochs=1, device="cpu", random_state=0).set_params(network__width=0.1)
    clips = np.random.default_rng(0).standard_normal((3, 160_000)).astype(np.float32)
    detector.fit(clips)
    (spectrogram,) = detector._spectrograms(_as_clips(detector, clips[:1]))
    assert spectrogram.shape == (128, 311)
    assert detector._step * 30 + detector._length == 304
    assert len(list(_patches(detector, spectrogram))) == 31


def _as_clips(detector, X):
    from skasd.clips import check_clips

    return check_clips(detector, X, reset=False)


def _patches(detector, spectrogram):
    from skasd.detectors._patch_outputs import _patches

    return _patches(spectrogram, detector._length, detector._step)


def test_sections_are_the_classes(fitted):
    assert fitted.classes_.tolist() == ["fan/00", "fan/01"]
    assert fitted.label_source_ == "columns"


def test_label_score_is_the_mean_of_the_odds_of_the_patches(fitted, test):
    import torch

    clip = test.iloc[:1]
    (spectrogram,) = fitted._spectrograms(_as_clips(fitted, clip))
    patches = torch.from_numpy(np.array(list(_patches(fitted, spectrogram))))
    network = fitted.network_
    with torch.no_grad():
        z = network.logits(network.features(patches)).double()
    own = fitted.classes_.tolist().index("fan/" + clip["section"].iloc[0])
    expected = (z[:, 1 - own] - z[:, own]).mean().item()
    assert -fitted.score_samples(clip)[0] == pytest.approx(expected, rel=1e-3, abs=1e-4)


def test_predicted_score_is_the_lowest_of_all_labels(train, test):
    predicted = small(score_with="predicted").fit(train).score_samples(test)
    by_label = small(score_with="label").fit(train)
    each = [by_label.score_samples(test.assign(section=section)) for section in ("00", "01")]
    np.testing.assert_allclose(predicted, np.max(each, axis=0), rtol=1e-6)


def test_reconstruction_score_is_the_error_of_the_autoencoder(train, test):
    import torch

    detector = small(score_with="reconstruction").fit(train)
    (spectrogram,) = detector._spectrograms(_as_clips(detector, test.iloc[:1]))
    patches = torch.from_numpy(np.array(list(_patches(detector, spectrogram)))).transpose(1, 2).flatten(1)
    with torch.no_grad():
        error = (detector.network_.autoencoder(patches) - patches).square().mean().item()
    assert -detector.score_samples(test.iloc[:1])[0] == pytest.approx(error, rel=1e-3)


@pytest.mark.parametrize("scorer", [None, IsolationForest(random_state=0)], ids=str)
def test_embedding_score_is_that_of_the_back_end_of_the_machine(scorer, train, test):
    detector = small(score_with="embedding", scorer=scorer).fit(train)
    assert sorted(detector.scorer_) == ["", "fan/00", "fan/01"]
    rows = (train["section"] == "00").to_numpy()
    of_test = test[test["section"] == "00"]
    expected = KNNScorer() if scorer is None else scorer
    options = {"domain": train["domain"][rows]} if scorer is None else {}
    expected.fit(detector.transform(train[rows]).astype(np.float64), **options)
    made = expected.score_samples(detector.transform(of_test).astype(np.float64))
    np.testing.assert_allclose(detector.score_samples(of_test), made, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(("most", "few"), [(3, 1), (3, 1000), (512, 1), (512, 1000)])
def test_how_many_patches_go_together_changes_nothing(fitted, test, monkeypatch, most, few):
    expected = fitted.score_samples(test)
    monkeypatch.setattr("skasd.detectors._patch_outputs._PATCHES_AT_A_TIME", most)
    monkeypatch.setattr("skasd.detectors._patch_outputs._FEW_PATCHES", few)
    np.testing.assert_allclose(fitted.score_samples(test), expected, rtol=1e-4, atol=1e-4)


def test_patches_of_short_clips_run_together_and_stay_in_order():
    network = nn.Conv2d(1, 1, 1, bias=False)  # an output for each patch, from which its clip can be told
    nn.init.ones_(network.weight)
    sizes, calls = [2, 2, 20, 1, 3, 14, 40, 1], []

    class Means(nn.Module):
        def __init__(self):
            super().__init__()
            self.network = network

        def forward(self, patch):
            calls.append(len(patch))
            return self.network(patch[:, None]).mean(dim=(1, 2, 3))

    spectrograms = [np.full((4, size), number, dtype=np.float32) for number, size in enumerate(sizes)]
    networks, numbers = [Means(), Means()], [0, 0, 0, 0, 0, 1, 1, 1]
    made = list(outputs_of_clips(networks, numbers, spectrograms, length=1, step=1, device=torch.device("cpu")))
    assert [len(of_clip) for of_clip in made] == sizes
    assert [set(of_clip.tolist()) for of_clip in made] == [{float(number)} for number in range(len(sizes))]
    assert calls == [4, 20, 4, 14, 40, 1]  # clips of many patches, and those of another network, alone


def test_a_finer_step_when_scoring_sees_more_patches(fitted, train, test):
    fine = small(patches__score_step=1).fit(train)
    scores = fitted.score_samples(test), fine.score_samples(test)
    assert not np.array_equal(*scores)
    assert np.corrcoef(*scores)[0, 1] > 0.5


def test_a_clip_said_twice_scores_the_same(train):
    log_mels = [x[:, :48] for x in FRONT_END.fit_transform(train["waveform"].tolist())]  # three whole patches
    once = train.drop(columns="waveform").assign(log_mel=log_mels)
    twice = once.assign(log_mel=[np.tile(x, 2) for x in log_mels])
    detector = small(patches__step=16, median_filter=None).fit(once)
    scores = [detector._anomaly_score(as_clips(table)) for table in (once, twice)]  # as one window each
    np.testing.assert_allclose(scores[1], scores[0], rtol=1e-4, atol=1e-4)


def test_one_machine_alone_is_clustered_and_scored_by_embedding(train, test):
    alone = train[train["section"] == "00"]
    detector = small().fit(alone)
    assert detector.label_source_ == "clusters"
    assert len(detector.classes_) > 1
    assert "" in detector.scorer_
    assert np.isfinite(detector.score_samples(test[test["section"] == "00"])).all()
    with pytest.raises(ValueError, match="score_with='label' needs clips of several machines to compare"):
        small(score_with="label").fit(alone)


@pytest.mark.filterwarnings("ignore:frontend is not used for the spectrograms:UserWarning")
def test_the_filter_may_be_a_step_of_a_pipeline(fitted, train, test):
    inside = fitted.score_samples(test)
    pipeline = make_pipeline(FRONT_END, MedianFilter(3), small(median_filter=None))
    np.testing.assert_allclose(pipeline.fit(train).score_samples(test), inside, rtol=1e-5)


def test_the_filter_changes_scores(fitted, train, test):
    unfiltered = small(median_filter=None).fit(train).score_samples(test)
    by_patch = small(patches__median_level="patch").fit(train).score_samples(test)
    assert not np.allclose(unfiltered, fitted.score_samples(test))
    assert not np.allclose(by_patch, fitted.score_samples(test))


def test_autoencoder_does_not_change_what_the_classifier_has_learnt(fitted, test):
    import copy

    bare = copy.deepcopy(fitted)
    bare._evaluator.objective.network.autoencoder = None
    np.testing.assert_array_equal(bare.score_samples(test), fitted.score_samples(test))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("paper", {"contrastive_form": "one_way", "contrastive_weight": 1.0, "network__normalise_projection": False}),
        ("code", {"contrastive_weight": 0.0005, "learning_rate": 1e-5, "training__schedule": "halved_steps"}),
        (
            "baseline_2021",
            {"network__width": 0.5, "network__image_channels": 3, "network__autoencoder": False, "median_filter": None},
        ),
    ],
)
def test_documented_settings(name, expected, train, test):
    detector = JointAECNNDetector(**JointAECNNDetector.settings(name))
    assert expected.items() <= detector.get_params().items()
    quick = {key: SMALL[key] for key in SMALL if key not in ("median_filter", "learning_rate")}
    assert np.isfinite(detector.set_params(**quick).fit(train).score_samples(test)).all()


def test_settings_of_no_publication_are_refused():
    with pytest.raises(ValueError, match="name='repository' is unknown; expected one of 'paper', 'code'"):
        JointAECNNDetector.settings("repository")


def test_published_number_of_parameters():
    clips = np.random.default_rng(0).standard_normal((4, 33_280)).astype(np.float32)
    detector = JointAECNNDetector(n_clusters=2, max_epochs=1, device="cpu", random_state=0).fit(clips)
    n_classes = len(detector.classes_)
    expected = 2_223_296 + 1281 * n_classes + 2_208_792 + 461_824
    assert sum(parameter.numel() for parameter in detector.network_.parameters()) == expected


@pytest.mark.slow
@pytest.mark.parametrize(
    "option",
    [
        {"network": JointNetOptions("efficientnet_b0")},
        {"mixup_alpha": 0.5},
        {"patches__time_mask": 4, "patches__frame_shift": 4},
    ],
)
def test_options_train(option, train, test):
    assert np.isfinite(small(**option).fit(train).score_samples(test)).all()


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"score_with": "section"}, ValueError, "score_with='section' is unknown"),
        ({"score_with": "reconstruction", "network__autoencoder": False}, ValueError, "needs an autoencoder"),
        ({"median_filter": 4}, ValueError, "median_filter=4 is even"),
        ({"patches__median_level": "frame"}, ValueError, "median_level='frame' is unknown"),
        ({"patches__length": 0}, ValueError, "length=0 is too small"),
        ({"patches__step": 1.5}, TypeError, "step=1.5"),
        ({"patches__score_step": 0}, ValueError, "score_step=0 is too small"),
        ({"network__backbone": "resnet"}, ValueError, "backbone='resnet' is unknown"),
        ({"network__width": 0}, ValueError, "width=0"),
        ({"network__pooling": "max"}, ValueError, "pooling='max' is unknown"),
        ({"network__dropout": 1.5}, ValueError, "dropout=1.5"),
        ({"contrastive_form": "both"}, ValueError, "contrastive_form='both' is unknown"),
        ({"temperature": 0}, ValueError, "temperature=0"),
        ({"mixup_alpha": 0}, ValueError, "mixup_alpha=0"),
        ({"patches__time_mask": -1}, ValueError, "time_mask=-1 is too small"),
        ({"scorer": 3}, TypeError, "scorer=3 has no"),
        ({"label_columns": "section"}, TypeError, "label_columns='section' is a str"),
        ({"training__schedule": "linear"}, ValueError, "schedule='linear' is unknown"),
    ],
)
def test_bad_parameters_are_refused(settings, error, message, train):
    with pytest.raises(error, match=message):
        small(**settings).fit(train)


def test_an_unknown_section_is_refused(fitted, test):
    with pytest.raises(ValueError, match="Machine 'fan/07' of clip 0"):
        fitted.score_samples(test.assign(section="07"))


@pytest.mark.slow
def test_faults_are_found():
    sizes = {"n_train": 40, "n_test_normal": 30, "n_test_anomaly": 30, "duration": 2.0}
    clips = make_machine_clips(("gearbox", "fan"), severity=6.0, random_state=0, **sizes)
    is_test = (clips.data["split"] == "test").to_numpy()
    train, test, y = clips.data[~is_test], clips.data[is_test], clips.target[is_test]
    score = small(max_epochs=8, score_with="embedding").fit(train).score_samples(test)
    rows = [(test["machine_type"] == machine_type).to_numpy() for machine_type in ("gearbox", "fan")]
    areas = [roc_auc_score(y[of_machine], score[of_machine]) for of_machine in rows]
    assert np.mean(areas) > 0.7, areas  # about 0.8 for any seed


def test_a_threshold_of_another_kind_of_score_is_warned_about(fitted, test):
    with pytest.warns(UserWarning, match="scored by embedding, but the threshold offset_ was set by label"):
        fitted.predict(test[["waveform"]])


def test_one_patch_is_too_few():
    clips = list(np.random.default_rng(0).standard_normal((2, 4000)))
    detector = small(patches__length=32, n_clusters=1, training__validation_fraction=0.5)
    with pytest.raises(ValueError, match="There is only 1 patch to train on, of class 0"):
        detector.fit(clips)
