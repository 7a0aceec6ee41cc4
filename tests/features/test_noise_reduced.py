"""Noise taken away from log-mel spectrograms, as known from clips of noise alone."""

import pickle

import numpy as np
import pandas as pd
import pytest
import soundfile
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

from skasd.clips import Residual, unusable_clips
from skasd.datasets import make_machine_clips
from skasd.detectors import AutoencoderDetector, StatisticsDetector, TWFRDetector
from skasd.features import LogMelTransformer, NoiseReducedLogMel, TWFRTransformer

SAMPLE_RATE, SCALE = 16_000, 0.1
BANDS = LogMelTransformer(n_mels=32)


def white(n_clips, seconds=1.0, seed=0, scale=SCALE):
    return np.random.default_rng(seed).normal(scale=scale, size=(n_clips, int(seconds * SAMPLE_RATE)))


def true_power(front_end):
    """Mean power of white noise in each band."""
    definition = front_end._definition()
    return definition.filterbank().sum(axis=1) * np.sum(np.square(definition.window())) * SCALE**2


def test_more_noise_clips_come_closer_to_the_known_power_of_the_noise():
    truth = true_power(BANDS)
    errors = [
        np.abs(10 * np.log10(NoiseReducedLogMel(white(n), BANDS).fit(white(1)).noise_power_ / truth)).mean()
        for n in (1, 8, 64)
    ]
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 0.25


def test_loud_events_among_the_noise_do_not_raise_it():
    noise = white(8)
    noise[::2, :4000] *= 10
    learnt = NoiseReducedLogMel(noise, BANDS).fit(noise).noise_power_
    assert np.abs(10 * np.log10(learnt / true_power(BANDS))).mean() < 1.5


@pytest.mark.parametrize("louder_db", [0.0, 12.0, -12.0])
def test_noise_alone_goes_towards_the_floor_however_loud_the_day(louder_db):
    front_end = NoiseReducedLogMel(white(20), BANDS, over_subtraction=3.0, floor_db=-15.0)
    day = 10 ** (louder_db / 20) * white(4, seed=1)
    change = front_end.fit_transform(day) - BANDS.fit_transform(day)
    assert np.median(change) == pytest.approx(-15.0)
    assert change.min() == pytest.approx(-15.0)
    assert (change <= 0).all()


def test_a_tone_far_above_the_noise_stays():
    tone = np.sin(2 * np.pi * 1000 * np.arange(SAMPLE_RATE) / SAMPLE_RATE)
    clip = white(1, seed=2) + tone
    change = NoiseReducedLogMel(white(20), BANDS).fit_transform(clip) - BANDS.fit_transform(clip)
    band = int(np.argmax(BANDS.fit_transform(clip)[0].mean(axis=1)))
    assert np.abs(change[0, band]).max() < 0.01


def test_the_mean_power_of_machine_and_noise_becomes_that_of_the_machine():
    few = {"n_train": 4, "n_test_normal": 0, "n_test_anomaly": 0, "duty_cycle": 0.5, "duration": 4.0, "random_state": 0}
    noisy, clean = (make_machine_clips("fan", snr_db=snr, n_noise=20, **few).data for snr in (0.0, np.inf))
    noise, noisy = noisy[noisy["kind"] == "supplemental_noise"], noisy[noisy["kind"] == "clip"]
    front_end = NoiseReducedLogMel(noise, BANDS)
    reduced, raw, truth = (
        np.log10(np.mean(10 ** (np.stack(made["log_mel"]) / 10), axis=2))
        for made in (front_end.fit_transform(noisy), BANDS.fit_transform(noisy), BANDS.fit_transform(clean[:4]))
    )
    assert np.abs(reduced - truth).mean() < 0.6 * np.abs(raw - truth).mean()


def containers(folder):
    noise = white(3).astype(np.float32)
    paths = [folder / f"{number}.wav" for number in range(3)]
    for path, waveform in zip(paths, noise, strict=True):
        soundfile.write(path, waveform, SAMPLE_RATE, subtype="FLOAT")
    table = pd.DataFrame({"waveform": list(noise), "kind": "supplemental_noise"})
    return [noise, list(noise), paths, list(map(str, paths)), table, pd.DataFrame({"path": paths})]


def test_noise_comes_in_every_container(tmp_path):
    X = white(2, seed=1)
    first, *others = (NoiseReducedLogMel(noise, BANDS).fit_transform(X) for noise in containers(tmp_path))
    for other in others:
        assert_allclose(other, first, atol=1e-4)


def test_table_in_table_out_with_all_columns():
    table = pd.DataFrame({"waveform": list(white(2)), "section": ["00", "01"]}, index=[5, 7])
    made = NoiseReducedLogMel(white(3), BANDS).fit_transform(table)
    assert made.columns.to_list() == ["waveform", "section", "log_mel"]
    assert_array_equal(np.stack(made["log_mel"]), NoiseReducedLogMel(white(3), BANDS).fit_transform(white(2)))


def test_as_the_front_end_of_a_detector_it_does_the_same_as_in_front_of_it():
    X, noise = white(12, seed=1), white(5)
    front_end = NoiseReducedLogMel(noise, BANDS)
    alone = TWFRDetector(r=1.0, frontend=front_end).fit(X).score_samples(X)
    before = TWFRDetector(r=1.0).fit(front_end.fit_transform(X)).score_samples(front_end.transform(X))
    assert_allclose(alone, before)
    assert_array_equal(TWFRDetector(r=1.0, frontend=clone(front_end)).fit(X).score_samples(X), alone)


def test_a_detector_does_not_change_it():
    front_end = NoiseReducedLogMel(white(3), BANDS)
    before = dict(vars(front_end))
    TWFRTransformer(frontend=front_end).fit(white(2))
    assert vars(front_end) == before


@pytest.mark.parametrize(
    "detector",
    [StatisticsDetector(), TWFRDetector(), AutoencoderDetector(max_epochs=1, device="cpu", random_state=0)],
    ids=lambda detector: type(detector).__name__,
)
def test_detectors_fit_and_pickle_with_it(detector):
    X = white(10, seed=1).astype(np.float32)
    detector = clone(detector).set_params(frontend=NoiseReducedLogMel(white(3).astype(np.float32), BANDS))
    scores = detector.fit(X).score_samples(X)
    assert np.isfinite(scores).all()
    assert_array_equal(pickle.loads(pickle.dumps(detector)).score_samples(X), scores)


def test_on_a_device_it_is_the_same():
    X = white(3, seed=1)
    on_torch = clone(BANDS).set_params(device="auto")
    made = NoiseReducedLogMel(white(3), on_torch).fit_transform(X)
    assert_allclose(made, NoiseReducedLogMel(white(3), BANDS).fit_transform(X), atol=1e-3)


@pytest.mark.parametrize("options", [{"power": 1.0}, {"log": "natural"}, {"norm": None, "mel_scale": "htk"}])
def test_units_of_the_spectrogram_do_not_matter(options):
    front_end = NoiseReducedLogMel(white(20), clone(BANDS).set_params(**options), over_subtraction=3.0)
    day = white(2, seed=1)
    change = front_end.fit_transform(day) - front_end.frontend.fit_transform(day)
    unit = 1.0 if "log" not in options else np.log(10) / 10
    assert np.median(change) == pytest.approx(-10.0 * unit, rel=1e-4)


def test_float64_is_kept_and_short_and_silent_clips_are_finite():
    front_end = NoiseReducedLogMel(white(3), BANDS)
    assert front_end.fit_transform(white(2)).dtype == np.float64
    assert front_end.fit_transform(white(2).astype(np.float32)).dtype == np.float32
    for X in (np.zeros((2, 100)), np.full((1, 1), 0.5), white(1, 0.01)):
        assert np.isfinite(front_end.fit_transform(X)).all()


def test_empty_bands_stay_as_they_are():
    fine = LogMelTransformer(n_fft=256, n_mels=128)
    X = white(2, seed=1)
    with pytest.warns(UserWarning, match="mel bands"):
        reduced = NoiseReducedLogMel(white(3), fine).fit_transform(X)
    with pytest.warns(UserWarning, match="mel bands"):
        raw = fine.fit_transform(X)
    empty = fine._definition().empty_bands()
    assert_array_equal(reduced[:, empty], raw[:, empty])
    assert np.isfinite(reduced).all()


def test_clips_are_read_as_the_front_end_says(tmp_path):
    both = np.stack([white(3), np.zeros((3, SAMPLE_RATE))], axis=1)
    front_end = NoiseReducedLogMel(both, clone(BANDS).set_params(channel=Residual()))
    assert_allclose(
        front_end.fit_transform(both), NoiseReducedLogMel(white(3), BANDS).fit_transform(white(3)), atol=1e-6
    )
    with pytest.raises(ValueError, match="a residual needs two microphones"):
        NoiseReducedLogMel(white(3), front_end.frontend).fit(both)
    assert len(unusable_clips(white(1), TWFRDetector(frontend=front_end))) == 1


@pytest.mark.parametrize(
    ("noise", "message"),
    [
        (np.zeros((2, 16000)), "noise is silent"),
        ([np.full(16000, np.nan), np.ones(16000)], "noise: .*clip 0: holds NaN"),
        (["nowhere.wav"], "nowhere.wav"),
        (np.zeros((2, 32, 40)), "noise holds 2 features; waveforms or files are expected"),
        ([], "noise"),
        (None, "noise"),
    ],
)
def test_bad_noise_is_named(noise, message):
    with pytest.raises((ValueError, TypeError), match=f"(?s){message}"):
        NoiseReducedLogMel(noise, BANDS).fit(white(1))


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"frontend": "mel"}, TypeError, "frontend='mel' is a str; a LogMelTransformer or None is expected"),
        ({"over_subtraction": 0.0}, ValueError, "over_subtraction=0.0"),
        ({"floor_db": 1.0}, ValueError, "floor_db=1.0"),
        ({"frontend": LogMelTransformer(flatten=True)}, ValueError, "flatten=True"),
    ],
)
def test_bad_parameters_are_named(parameters, error, message):
    with pytest.raises(error, match=message):
        NoiseReducedLogMel(white(2), **parameters).fit(white(1))
