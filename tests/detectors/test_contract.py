"""What every detector promises, once for all of them."""

import pickle
import warnings
from collections import Counter

import numpy as np
import pandas as pd
import pytest
import soundfile
from sklearn.base import clone
from sklearn.metrics import roc_auc_score
from sklearn.utils.estimator_checks import check_estimator

import skasd.detectors
from skasd._threshold import alarm_threshold
from skasd.augmentations import SpectrumAugmentation
from skasd.base import BaseDetector
from skasd.clips import check_clips
from skasd.datasets import make_machine_clips
from skasd.detectors import (
    AutoencoderDetector,
    ContrastiveSpectrumDetector,
    EnsembleDetector,
    JointAECNNDetector,
    OSSCLDetector,
    StatClusterDetector,
    TWFRDetector,
)
from skasd.features import LogMelTransformer

SMALL_FRONT_END = LogMelTransformer(n_fft=256, hop_length=128, n_mels=16, pad_mode="constant", short_clips="tile")
SMALL = {
    "bottlenecks": ((1, 16, 1, 2),),
    "embedding_dim": 16,
    "frontend": SMALL_FRONT_END,
    "max_epochs": 2,
    "device": "cpu",
    "random_state": 0,
}
OF_PATCHES = {"frontend": SMALL_FRONT_END, "max_epochs": 2, "device": "cpu", "random_state": 0}
TINY_JOINT = {
    **OF_PATCHES,
    "learning_rate": 0.01,
    "width": 0.1,
    "max_epochs": 1,
    "patch_length": 8,
    "patch_step": 64,
    "median_filter": 3,
    "batch_size": 64,
}
DETECTORS = [
    pytest.param(TWFRDetector(), id="TWFR, auto"),
    pytest.param(TWFRDetector(r=1.0), id="TWFR, mean"),
    pytest.param(TWFRDetector(n_components=2, random_state=0), id="TWFR, two components", marks=pytest.mark.slow),
    pytest.param(OSSCLDetector(("log_mel",), **SMALL), id="OS-SCL, log-mel"),
    pytest.param(OSSCLDetector(**SMALL), id="OS-SCL, three branches", marks=pytest.mark.slow),
    pytest.param(
        OSSCLDetector(("log_mel",), score_with="embedding", n_clusters=2, **SMALL),
        id="OS-SCL, clusters",
        marks=pytest.mark.slow,
    ),
    pytest.param(StatClusterDetector(branches=("log_mel",), **SMALL), id="clusters where attributes lack"),
    pytest.param(
        StatClusterDetector("ssl", n_ffts=(64,), **{**SMALL, "embedding_dim": 8, "max_epochs": 1}),
        id="spectrum classifier",
        marks=pytest.mark.slow,
    ),
    pytest.param(AutoencoderDetector(**OF_PATCHES), id="autoencoder"),
    pytest.param(
        AutoencoderDetector("mahalanobis", shrinkage=1e-3, **OF_PATCHES),
        id="autoencoder, Mahalanobis",
        marks=pytest.mark.slow,
    ),
    pytest.param(JointAECNNDetector(**TINY_JOINT), id="autoencoder and classifier"),
    pytest.param(ContrastiveSpectrumDetector(**SMALL), id="contrast of spectra"),
    pytest.param(
        ContrastiveSpectrumDetector(
            SpectrumAugmentation(
                pre_norm="running", resize_crop=True, fader=True, bank_scope="same_class", split_frequency="auto"
            ),
            segment_length=None,
            classification_weight=1.0,
            **SMALL,
        ),
        id="contrast of whole spectra, and a classifier",
        marks=pytest.mark.slow,
    ),
    pytest.param(
        OSSCLDetector(("log_mel",), augmentation=SpectrumAugmentation(), **SMALL),
        id="OS-SCL, augmented",
        marks=pytest.mark.slow,
    ),
    pytest.param(
        EnsembleDetector([("mean", TWFRDetector(r=1.0)), ("loud", TWFRDetector(r=0.5))], random_state=0), id="ensemble"
    ),
]
HOLDS_OUT = [  # sets its threshold on clips that it did not learn from
    *DETECTORS[:3],
    pytest.param(OSSCLDetector(("log_mel",), validation_fraction=0.25, **SMALL), id="OS-SCL, log-mel"),
]
CHANGES_SCORES = {
    TWFRDetector: ("reg_covar", 5.0),
    AutoencoderDetector: ("learning_rate", 0.01),
    JointAECNNDetector: ("learning_rate", 0.001),
    ContrastiveSpectrumDetector: ("learning_rate", 0.01),
    OSSCLDetector: ("learning_rate", 0.01),
    StatClusterDetector: ("learning_rate", 0.01),
    EnsembleDetector: ("mean__reg_covar", 5.0),
}
each_detector = pytest.mark.parametrize("detector", DETECTORS)


def takes_features(detector):
    """Whether the detector gives the same scores from features as from waveforms."""
    return set(getattr(detector, "branches", ("log_mel",))) == {"log_mel"} and not is_of_spectra(detector)


def is_of_spectra(detector):
    """Whether the detector takes no features at all."""
    return getattr(detector, "system", None) == "ssl"


def front_end(detector):
    """What makes the features that the detector would make itself."""
    if isinstance(detector, EnsembleDetector):
        return front_end(detector.estimators[0][1])
    return LogMelTransformer(norm=None, mel_scale="htk") if detector.frontend is None else clone(detector.frontend)


def tolerance(detector):
    """Relative difference that rounding may make: a network in float32 sums in another order for another batch."""
    return 1e-4 if hasattr(detector, "learning_rate") else 1e-10


@pytest.fixture(scope="module")
def machines():
    return make_machine_clips(("fan", "pump"), n_train=20, random_state=0)


@pytest.fixture(scope="module")
def train(machines):
    return machines.data[machines.data.split == "train"].reset_index(drop=True)


def test_every_public_detector_is_tested():
    tested = {type(getattr(detector, "values", [detector])[0]).__name__ for detector in DETECTORS}
    assert tested == set(skasd.detectors.__all__)


def is_slow_to_check(case):
    """Whether it takes minutes: fifty layers, for each of hundreds of clips in dozens of checks."""
    return isinstance(case.values[0], JointAECNNDetector)


@pytest.mark.parametrize(
    "detector",
    [
        pytest.param(*case.values, id=case.id, marks=pytest.mark.slow if is_slow_to_check(case) else case.marks)
        for case in DETECTORS
    ],
)
def test_every_common_check_passes(detector):
    if hasattr(detector, "learning_rate"):  # one frame of few bands says enough of clips of a few time points
        detector = clone(detector).set_params(frontend=LogMelTransformer(n_fft=16, hop_length=8, n_mels=8))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="y holds labels other than")  # scikit-learn's checks use 0, 1 and 2
        counts = Counter(result["status"] for result in check_estimator(detector, on_skip=None))
    assert counts["passed"] >= (52 if hasattr(detector, "transform") else 46), counts
    assert counts["skipped"] <= 1, counts  # the array API one


@each_detector
def test_public_verbs_are_those_of_the_base_class(detector):
    for verb in ("fit", "score_samples", "decision_function", "predict", "fit_predict"):
        assert getattr(type(detector), verb) is getattr(BaseDetector, verb)


@each_detector
def test_same_seed_gives_the_same_scores(detector, train):
    detector = clone(detector).set_params(random_state=3)
    np.testing.assert_array_equal(
        detector.fit(train).score_samples(train), clone(detector).fit(train).score_samples(train)
    )


@each_detector
def test_global_generators_are_untouched(detector, train):
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    clone(detector).set_params(random_state=None).fit(train).score_samples(train)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


@each_detector
def test_score_does_not_depend_on_mates_or_order(detector, machines, train):
    fitted = clone(detector).fit(train)
    together = fitted.score_samples(machines.data)
    order = np.random.default_rng(0).permutation(len(together))
    rtol = tolerance(detector)
    np.testing.assert_allclose(fitted.score_samples(machines.data.iloc[order]), together[order], rtol=rtol)
    np.testing.assert_allclose(fitted.score_samples(machines.data.iloc[5:6]), together[5:6], rtol=rtol)


@each_detector
def test_threads_change_nothing(detector, train):
    one = clone(detector).set_params(n_jobs=1).fit(train).score_samples(train)
    np.testing.assert_array_equal(clone(detector).set_params(n_jobs=2).fit(train).score_samples(train), one)


@each_detector
def test_every_container_gives_the_same_scores(detector, tmp_path, machines):
    data = machines.data[machines.data.machine_type == "fan"]
    array = np.stack(data.waveform.tolist())
    paths = [str(tmp_path / f"{index}.wav") for index in range(len(array))]
    for path, waveform in zip(paths, array, strict=True):
        soundfile.write(path, waveform, 16000, subtype="FLOAT")
    np.save(tmp_path / "map.npy", array)
    log_mel = front_end(detector).fit_transform(array)
    containers = {
        "array": array,
        "memory map": np.load(tmp_path / "map.npy", mmap_mode="r"),
        "paths": paths,
        "table of paths": pd.DataFrame({"path": paths}),
        "table of waveforms": data[["waveform"]],
        "table of waveforms and features": data[["waveform"]].assign(log_mel=list(log_mel)),
    }
    if takes_features(detector):
        containers |= {"features": log_mel, "table of features": pd.DataFrame({"log_mel": list(log_mel)})}
    expected = clone(detector).fit(array).score_samples(array)
    for name, X in containers.items():
        np.testing.assert_array_equal(clone(detector).fit(X).score_samples(X), expected, err_msg=name)


@each_detector
def test_scores_are_float64_of_one_axis(detector, train):
    scores = clone(detector).fit(train).score_samples(train)
    assert scores.shape == (len(train),)
    assert scores.dtype == np.float64


@each_detector
def test_offset_decision_and_prediction_belong_together(detector, train):
    fitted = clone(detector).set_params(contamination=0.25).fit(train)
    decision = fitted.decision_function(train)
    np.testing.assert_array_equal(decision, fitted.score_samples(train) - fitted.offset_)
    np.testing.assert_array_equal(fitted.predict(train), np.where(decision >= 0, 1, -1))
    is_alarm, is_at_offset = decision < 0, np.isclose(decision, 0, atol=1e-6 * abs(fitted.offset_))
    assert (
        is_alarm.mean() <= 0.25 <= (is_alarm | is_at_offset).mean()
    )  # two clips about one k-means centre score the same


@each_detector
@pytest.mark.filterwarnings("ignore:No gamma distribution fits")  # forty scores of a small network may lean to the left
def test_threshold_may_be_that_of_a_gamma_distribution(detector, train):
    by_quantile, by_gamma = clone(detector).fit(train), clone(detector).set_params(threshold="gamma").fit(train)
    np.testing.assert_array_equal(by_gamma.score_samples(train), by_quantile.score_samples(train))
    expected = alarm_threshold(by_gamma._held_out_score(check_clips(by_gamma, train, reset=False)), 0.1, "gamma")
    assert by_gamma.offset_ == pytest.approx(-expected)
    with pytest.raises(ValueError, match="threshold='beta' is unknown; expected one of 'quantile', 'gamma'"):
        clone(detector).set_params(threshold="beta").fit(train)


@pytest.mark.parametrize("detector", HOLDS_OUT)
def test_one_in_ten_new_normal_clips_is_a_false_alarm(detector):
    shares = []
    for seed in range(3):
        clips = make_machine_clips(("fan",), n_train=40, n_test_normal=60, n_test_anomaly=0, random_state=seed)
        train = clips.data["split"] == "train"
        shares.append((clone(detector).fit(clips.data[train]).predict(clips.data[~train]) == -1).mean())
    assert 0.02 < np.mean(shares) < 0.25


@each_detector
def test_anomalies_given_to_fit_are_left_out(detector, machines, train):
    everything = clone(detector).fit(machines.data, machines.target)
    normals = clone(detector).fit(machines.data[machines.target == 1])
    np.testing.assert_array_equal(everything.score_samples(train), normals.score_samples(train))


@each_detector
def test_fit_predict_leaves_anomalies_out_too(detector, machines):
    fitted = clone(detector).fit(machines.data, machines.target)
    np.testing.assert_array_equal(
        clone(detector).fit_predict(machines.data, machines.target), fitted.predict(machines.data)
    )


@each_detector
@pytest.mark.parametrize("labels", [["normal", "anomaly"], [True, False], [1.0, np.nan]], ids=str)
def test_labels_that_are_no_numbers_are_refused(detector, train, labels):
    with pytest.raises(ValueError, match=r"y holds .*labels are \+1"):
        clone(detector).fit(train, labels * 20)


@each_detector
def test_features_after_waveforms_are_refused(detector, train):
    log_mel = LogMelTransformer().fit_transform(train)
    name = type(detector).__name__
    with pytest.raises(ValueError, match=f"X holds features, but {name} was fitted on waveforms"):
        clone(detector).fit(train).score_samples(log_mel)
    if is_of_spectra(detector):
        return
    with pytest.raises(ValueError, match=f"X holds waveforms, but {name} was fitted on features"):
        clone(detector).fit(log_mel).score_samples(train)


@each_detector
def test_nothing_but_anomalies_is_refused(detector, train):
    with pytest.raises(ValueError, match="All 40 clips given to fit are anomalies"):
        clone(detector).fit(train, np.full(len(train), -1))


@each_detector
def test_labels_zero_and_one_are_warned_about(detector, train):
    with pytest.warns(UserWarning, match="labels other than"):
        clone(detector).fit(train, np.arange(len(train)) % 2)


@each_detector
def test_clone_pickle_and_set_params(detector, train):
    fitted = clone(detector).fit(train)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).score_samples(train), fitted.score_samples(train))
    name, changed = CHANGES_SCORES[type(detector)]
    other = clone(detector).set_params(**{name: changed}).fit(train)
    assert not np.allclose(other.score_samples(train), fitted.score_samples(train))
    refitted = other.set_params(**{name: detector.get_params()[name]}).fit(train)
    np.testing.assert_array_equal(refitted.score_samples(train), fitted.score_samples(train))


@each_detector
def test_odd_clips_get_finite_scores(detector, train):
    odd = {
        "silence": np.zeros(32000),
        "constant": np.full(32000, 0.5),
        "one frame": np.ones(1),
        "odd length": np.random.default_rng(0).standard_normal(12345),
        "full scale": np.resize([1.0, -1.0], 32000),
    }
    table = pd.DataFrame({"waveform": [wave.astype(np.float32) for wave in odd.values()]})
    fitted = clone(detector).fit(train[["waveform"]])
    assert np.isfinite(fitted.score_samples(table)).all()


@each_detector
@pytest.mark.filterwarnings("ignore:Number of distinct clusters")  # two components of clips that are all alike
def test_training_on_silence_or_mixed_lengths_works(detector):
    silence = clone(detector).fit(np.zeros((10, 4000)))
    assert np.isfinite(silence.score_samples(np.ones((2, 4000)))).all()
    rng = np.random.default_rng(0)
    mixed = [rng.standard_normal(length) for length in range(3000, 9000, 500)]
    assert np.isfinite(clone(detector).fit(mixed).score_samples(mixed)).all()


@each_detector
def test_nan_names_the_clip(detector, train):
    waveforms = train.waveform.tolist()
    waveforms[7] = np.full(32000, np.nan, dtype=np.float32)
    broken = train.assign(waveform=waveforms)
    with pytest.raises(ValueError, match=r"1 of 40 clips cannot be used:\n  clip 7 .*holds NaN"):
        clone(detector).fit(broken)


@each_detector
def test_progress_shows_only_when_asked(detector, train, capsys):
    clone(detector).fit(train)
    assert capsys.readouterr() == ("", "")
    clone(detector).set_params(verbose=1).fit(train)
    assert "100%" in capsys.readouterr().err


@pytest.mark.parametrize("detector", DETECTORS[:3])  # that of OS-SCL has more machines, in a file of its own
def test_anomalies_of_machines_are_found(detector):
    clips = make_machine_clips(("fan", "gearbox"), n_train=40, duration=3.0, severity=1.5, random_state=0)
    test = clips.data.split == "test"
    fitted = clone(detector).fit(clips.data[~test])
    areas = []
    for machine_type in ("fan", "gearbox"):
        chosen = (test & (clips.data.machine_type == machine_type)).to_numpy()
        areas.append(roc_auc_score(clips.target[chosen], fitted.score_samples(clips.data[chosen])))
    assert np.mean(areas) > 0.9
