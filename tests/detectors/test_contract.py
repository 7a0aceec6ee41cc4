"""What every detector promises, once for all of them.

What the base class does with labels, thresholds and warnings is tested once for each class (`is_first`); what depends on
the settings is tested with all of them.
"""

import inspect
import pickle
import warnings
from collections import Counter

import numpy as np
import pandas as pd
import pytest
import soundfile
from sklearn.metrics import roc_auc_score
from sklearn.utils.estimator_checks import check_estimator

import skasd.detectors
from skasd._threshold import alarm_threshold
from skasd.base import BaseDetector
from skasd.clips import check_clips
from skasd.datasets import make_machine_clips
from skasd.features import LogMelTransformer
from tests.detectors.cases import CASES, each


@pytest.fixture(scope="module")
def machines():
    return make_machine_clips(("fan", "pump"), n_train=20, duration=1.0, random_state=0)


@pytest.fixture(scope="module")
def train(machines):
    return machines.data[machines.data.split == "train"].reset_index(drop=True)


@pytest.fixture(scope="module")
def fitted_by_name():
    return {}


@pytest.fixture
def fitted(case, train, fitted_by_name):
    """The detector of the case fitted on the training clips, once for all tests that do not change it."""
    if case.name not in fitted_by_name:
        fitted_by_name[case.name] = case.new().fit(train)
    return fitted_by_name[case.name]


def test_every_public_detector_is_tested():
    classes = {name for name in skasd.detectors.__all__ if inspect.isclass(getattr(skasd.detectors, name))}
    assert {type(case.detector).__name__ for case in CASES} == classes | {"CalibratedDetector"}


@pytest.mark.filterwarnings("ignore:.* mel bands, such as")  # a frame of 16 samples, as the clips are tiny
@each("is_first", slow_checks=True)
def test_every_common_check_passes(case):
    # one frame of few bands and one epoch of large batches say enough of clips of a few time points
    front_end = LogMelTransformer(n_fft=16, hop_length=8, n_mels=8)
    small = {"frontend": front_end, "max_epochs": 1, "batch_size": 64} if case.trains else {}
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", message="y contains labels other than"
        )  # scikit-learn's checks use 0, 1 and 2
        warnings.filterwarnings("ignore", message=r"\d+ of the \d+ training clips are equal")  # two irises are
        counts = Counter(result["status"] for result in check_estimator(case.new(**small), on_skip=None))
    assert counts["passed"] >= (52 if hasattr(case.detector, "transform") else 45 + case.has_contamination), counts
    assert counts["skipped"] <= 1, counts  # the array API one


@each()
def test_public_verbs_are_those_of_the_base_class(case):
    for verb in ("fit", "score_samples", "decision_function", "predict", "fit_predict"):
        assert getattr(type(case.detector), verb) is getattr(BaseDetector, verb)


@each()
def test_same_seed_gives_the_same_scores(case, train):
    one, other = (case.new(random_state=3).fit(train).score_samples(train) for _ in range(2))
    np.testing.assert_array_equal(one, other)


@each()
def test_global_generators_are_untouched(case, train):
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    case.new(random_state=None).fit(train).score_samples(train)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


@each()
def test_score_does_not_depend_on_mates_or_order(case, fitted, machines):
    together = fitted.score_samples(machines.data)
    order = np.random.default_rng(0).permutation(len(together))
    tolerance = {"rtol": case.tolerance, "atol": case.tolerance * np.ptp(together)}  # scores may be close to 0
    np.testing.assert_allclose(fitted.score_samples(machines.data.iloc[order]), together[order], **tolerance)
    np.testing.assert_allclose(fitted.score_samples(machines.data.iloc[5:6]), together[5:6], **tolerance)


@each()
def test_threads_change_nothing(case, fitted, train, request):
    usual = fitted.score_samples(train)  # of one thread
    request.getfixturevalue("two_cores")
    n_jobs = 2 if fitted.n_jobs is None else -1
    np.testing.assert_array_equal(case.new(n_jobs=n_jobs).fit(train).score_samples(train), usual)


@pytest.mark.filterwarnings("ignore:frontend is not used for the spectrograms:UserWarning")
@each()
def test_every_container_gives_the_same_scores(case, tmp_path, machines):
    data = machines.data[machines.data.machine_type == "fan"]
    array = np.stack(data.waveform.tolist())[:12]
    paths = [str(tmp_path / f"{index}.wav") for index in range(len(array))]
    for path, waveform in zip(paths, array, strict=True):
        soundfile.write(path, waveform, 16000, subtype="FLOAT")
    np.save(tmp_path / "map.npy", array)
    log_mel = case.front_end().fit_transform(array)
    containers = {
        "array": array,
        "memory map": np.load(tmp_path / "map.npy", mmap_mode="r"),
        "paths": paths,
        "table of paths": pd.DataFrame({"path": paths}),
        "table of waveforms": data[["waveform"]].iloc[:12],
        "table of waveforms and features": data[["waveform"]].iloc[:12].assign(log_mel=list(log_mel)),
    }
    if case.scores_features_alike:
        containers |= {"features": log_mel, "table of features": pd.DataFrame({"log_mel": list(log_mel)})}
    expected = case.new().fit(array).score_samples(array)
    for name, X in containers.items():
        np.testing.assert_array_equal(case.new().fit(X).score_samples(X), expected, err_msg=name)


@each()
def test_scores_are_float64_of_one_axis(case, fitted, train):
    scores = fitted.score_samples(train)
    assert scores.shape == (len(train),)
    assert scores.dtype == np.float64


@each("has_contamination")
def test_offset_decision_and_prediction_belong_together(case, train):
    fitted = case.new(contamination=0.25).fit(train)
    decision = fitted.decision_function(train)
    np.testing.assert_array_equal(decision, fitted.score_samples(train) - fitted.offset_)
    np.testing.assert_array_equal(fitted.predict(train), np.where(decision >= 0, 1, -1))


@each("is_first", "has_contamination")
def test_fit_predict_flags_the_share_of_the_clips_that_it_learns_from(case, fitted, machines, train):
    score = fitted.score_samples(train)
    is_flagged = case.new(contamination=0.25).fit_predict(train) == -1
    n_tied = (np.isclose(score, np.quantile(score, 0.25), rtol=1e-6)).sum()  # about one k-means centre, for example
    assert abs(is_flagged.sum() - 10) <= n_tied
    assert score[is_flagged].max() <= score[~is_flagged].min()
    among_anomalies = case.new(contamination=0.25).fit_predict(machines.data, machines.target)
    assert abs((among_anomalies[machines.target == 1] == -1).sum() - 0.25 * (machines.target == 1).sum()) <= n_tied + 1


@each("has_contamination")
def test_the_threshold_is_on_clips_that_were_not_learnt_whatever_is_asked(case, fitted, train):
    tenth, half = (case.new(contamination=share).fit(train).offset_ for share in (0.1, 0.5))
    assert tenth == fitted.offset_ <= half


@pytest.mark.filterwarnings("ignore:Constant scores:UserWarning")
@each("is_first", "has_contamination")
@pytest.mark.filterwarnings(r"ignore:\d+ of the \d+ training clips are equal")  # members of an ensemble say it too
def test_copies_are_warned_of_and_held_out_together(case, train):
    twice = pd.concat([train, train], ignore_index=True)
    with pytest.warns(UserWarning, match="40 of the 80 training clips are equal to others"):
        fitted = case.new().fit(twice)
    detector = case.new()
    scores = detector._fit(check_clips(detector, twice, reset=True, feature=detector.feature))
    assert scores.n_copies == 40
    assert scores.n_recordings == len(scores.distinct()) < 41
    assert not scores.is_learnt
    assert fitted.offset_ == pytest.approx(-alarm_threshold(scores.distinct(), 0.1, "quantile"))


@each("is_first")
def test_clips_of_a_group_are_held_out_together(case, train):
    windows = train.assign(group=np.arange(len(train)) // 2)
    detector = case.new()
    scores = detector._fit(check_clips(detector, windows, reset=True, feature=detector.feature))
    assert scores.n_recordings * 2 == len(scores.held_out)


@each("is_first", "has_contamination")
@pytest.mark.filterwarnings("ignore:No gamma distribution fits")  # forty scores of a small network may lean to the left
def test_threshold_may_be_that_of_a_gamma_distribution(case, fitted, train):
    by_gamma = case.new(threshold="gamma").fit(train)
    np.testing.assert_array_equal(by_gamma.score_samples(train), fitted.score_samples(train))
    detector = case.new()
    held_out = detector._fit(check_clips(detector, train, reset=True, feature=detector.feature)).held_out
    assert by_gamma.offset_ == pytest.approx(-alarm_threshold(held_out, 0.1, "gamma"))
    with pytest.raises(ValueError, match="threshold='beta' is unknown; expected one of 'quantile', 'gamma'"):
        case.new(threshold="beta").fit(train)


@each("holds_out")
def test_one_in_ten_new_normal_clips_is_a_false_alarm(case):
    shares = []
    for seed in range(3):
        clips = make_machine_clips(("fan",), n_train=40, n_test_normal=60, n_test_anomaly=0, random_state=seed)
        train = clips.data["split"] == "train"
        shares.append((case.new().fit(clips.data[train]).predict(clips.data[~train]) == -1).mean())
    assert 0.02 < np.mean(shares) < 0.25


@each("is_first")
def test_anomalies_given_to_fit_are_left_out(case, machines):
    few = machines.data.groupby(["machine_type", machines.target], sort=False).head(12)
    labels = machines.target[few.index]
    normal = case.new().fit(few[labels == 1])
    expected = normal.predict(few)
    np.testing.assert_array_equal(case.new().fit(few, labels).score_samples(few), normal.score_samples(few))
    np.testing.assert_array_equal(case.new().fit_predict(few, labels), expected)


@each("is_first", "has_contamination")
def test_fewer_clips_than_the_threshold_takes_are_warned_of(case, train):
    with pytest.warns(UserWarning, match="Few normal clips: fit was given 4.*, from which few faults"):
        case.new().fit(train.iloc[[0, 1, 2, 3, -1, -2, -3, -4]])
    with pytest.warns(UserWarning, match="a false alarm rate of 0.5 % takes at least 199 normal clips"):
        case.new(contamination=0.005).fit(train)


@each("is_first")
@pytest.mark.parametrize("labels", [["normal", "anomaly"], [True, False], [1.0, np.nan]], ids=str)
def test_labels_that_are_no_numbers_are_refused(case, train, labels):
    with pytest.raises(ValueError, match=r"y contains .*use \+1"):
        case.new().fit(train, labels * 20)


@pytest.mark.filterwarnings("ignore:frontend is not used for the spectrograms:UserWarning")
@each("is_first")
def test_features_after_waveforms_are_refused(case, fitted, train):
    log_mel = LogMelTransformer().fit_transform(train)
    name = r"\w+Detector"  # the detector, or one inside of it
    alone = log_mel.drop(columns="waveform")
    if not case.takes_features:
        with pytest.raises(ValueError, match="X is a DataFrame without a feature, waveform or path column"):
            fitted.score_samples(alone)
        return
    with pytest.raises(ValueError, match=f"X contains features, but {name} was fitted on waveforms"):
        fitted.score_samples(alone)
    with pytest.raises(ValueError, match=f"X contains waveforms, but {name} was fitted on features"):
        case.new().fit(log_mel).score_samples(train)


@each("is_first")
def test_nothing_but_anomalies_is_refused(case, train):
    with pytest.raises(ValueError, match="All 40 clips given to fit are anomalies"):
        case.new().fit(train, np.full(len(train), -1))


@each("is_first")
def test_labels_zero_and_one_are_warned_about(case, train):
    with pytest.warns(UserWarning, match="labels other than"):
        case.new().fit(train, np.arange(len(train)) % 2)


@each()
def test_clone_pickle_and_set_params(case, fitted, train):
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).score_samples(train), fitted.score_samples(train))
    name, changed = case.change
    other = case.new(**{name: changed}).fit(train)
    assert not np.allclose(other.score_samples(train), fitted.score_samples(train))
    refitted = other.set_params(**{name: case.detector.get_params()[name]}).fit(train)
    np.testing.assert_array_equal(refitted.score_samples(train), fitted.score_samples(train))


@each()
def test_odd_clips_get_finite_scores(case, train):
    odd = {
        "silence": np.zeros(16000),
        "constant": np.full(16000, 0.5),
        "one frame": np.ones(1),
        "odd length": np.random.default_rng(0).standard_normal(6789),
        "full scale": np.resize([1.0, -1.0], 16000),
    }
    table = pd.DataFrame({"waveform": [wave.astype(np.float32) for wave in odd.values()]})
    fitted = case.new().fit(train[["waveform"]])
    with pytest.warns(UserWarning, match=r"2 of 5 clips are much shorter \(6.25e-05 s to 0.424 s\)"):
        scores = fitted.score_samples(table)
    assert np.isfinite(scores).all()


@pytest.mark.filterwarnings("ignore:10 clips, and fewer than 3 different ones:UserWarning")
@each()
@pytest.mark.filterwarnings("ignore:Number of distinct clusters")  # two components of clips that are all alike
@pytest.mark.filterwarnings(r"ignore:\d+ of the \d+ training clips are equal")
def test_training_on_silence_or_mixed_lengths_works(case):
    with pytest.warns(UserWarning, match="dead channel: clip 0, clip 1, clip 2|Constant scores"):
        silence = case.new().fit(np.zeros((10, 4000)))
    assert np.isfinite(silence.score_samples(np.ones((2, 4000)))).all()
    rng = np.random.default_rng(0)
    mixed = [rng.standard_normal(length) for length in range(3000, 9000, 500)]
    assert np.isfinite(case.new().fit(mixed).score_samples(mixed)).all()


@each()
def test_a_fault_counts_wherever_it_is_in_a_long_clip(case, fitted, train):
    some = train.iloc[[0, -1]]
    noise = np.random.default_rng(0).standard_normal(16000).astype(np.float32)
    scores = []
    for start in (0, 32000):
        fault = np.zeros(48000, dtype=np.float32)
        fault[start : start + 16000] = noise
        scores.append(fitted.score_samples(some.assign(waveform=[np.tile(clip, 3) + fault for clip in some.waveform])))
    np.testing.assert_allclose(scores[1], scores[0], rtol=case.tolerance, atol=1e-6)


@each()
def test_windows_of_one_clip_repeated_score_as_one_or_better(case, fitted, train):
    some = train.iloc[[0, 20]]
    longer = some.assign(waveform=[np.tile(waveform, 3) for waveform in some.waveform])
    expected = fitted.score_samples(some)
    assert (fitted.score_samples(longer) >= expected - case.tolerance * np.abs(expected)).all()


@each()
def test_nan_names_the_clip(case, train):
    waveforms = train.waveform.tolist()
    waveforms[7] = np.full(16000, np.nan, dtype=np.float32)
    broken = train.assign(waveform=waveforms)
    with pytest.raises(ValueError, match=r"1 of 40 clips cannot be used:\n  clip 7 .*holds NaN"):
        case.new().fit(broken)


@each("is_first")
def test_progress_shows_only_when_asked(case, train, capsys):
    case.new().fit(train)
    assert capsys.readouterr() == ("", "")
    case.new(verbose=1).fit(train)
    assert "100%" in capsys.readouterr().err


@each("finds_faults")
def test_anomalies_of_machines_are_found(case):
    clips = make_machine_clips(("fan", "gearbox"), n_train=40, duration=3.0, severity=1.5, random_state=0)
    test = clips.data.split == "test"
    fitted = case.new().fit(clips.data[~test])
    areas = []
    for machine_type in ("fan", "gearbox"):
        chosen = (test & (clips.data.machine_type == machine_type)).to_numpy()
        areas.append(roc_auc_score(clips.target[chosen], fitted.score_samples(clips.data[chosen])))
    assert np.mean(areas) > 0.9
