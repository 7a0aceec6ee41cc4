"""The near one of two microphones without what the far one hears too."""

import re

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.fft import rfft
from sklearn.base import clone

from skasd.clips import ClipReader, Residual
from skasd.clips import _residual as residual_module
from skasd.datasets import make_machine_clips
from skasd.detectors import TWFRDetector
from skasd.features import LogMelTransformer

SAMPLE_RATE = 16_000
RESIDUAL = ClipReader(channel="residual")


@pytest.fixture
def noise():
    return np.random.default_rng(0).normal(scale=0.1, size=(2, SAMPLE_RATE))


def level(waveform):
    return 10 * np.log10(np.mean(np.square(waveform)))


def tone(frequency, n_timepoints=4 * SAMPLE_RATE):
    return 0.1 * np.sin(2 * np.pi * frequency * np.arange(n_timepoints) / SAMPLE_RATE)


def tone_level(waveform, frequency):
    """Level in dB of a line, which lies on a frequency of the transform."""
    return 20 * np.log10(np.abs(rfft(waveform)[frequency * len(waveform) // SAMPLE_RATE]))


@pytest.mark.parametrize("n_timepoints", [1, 2, 10, 511, 512, 513, 1024, 15_999, 16_000, 16_001])
def test_a_machine_that_only_the_near_microphone_hears_stays_as_it_is(n_timepoints):
    near = np.random.default_rng(0).normal(size=n_timepoints)
    heard = Residual()(near, np.zeros_like(near), SAMPLE_RATE)
    assert_allclose(heard, near, rtol=0, atol=1e-14)


@pytest.mark.parametrize(("floor_db", "n_timepoints"), [(-10.0, 64_000), (-20.0, 64_001), (-20.0, 4000)])
def test_what_both_microphones_hear_alike_is_left_at_the_floor(floor_db, n_timepoints):
    sound = tone(1000, n_timepoints)
    heard = Residual(floor_db=floor_db)(sound, sound, SAMPLE_RATE)
    assert level(heard) - level(sound) == pytest.approx(floor_db, abs=0.5)


def test_of_two_tones_the_one_of_both_microphones_goes_and_the_one_of_the_near_stays():
    own, of_both = tone(1000), tone(3000)
    heard = RESIDUAL(np.stack([own + of_both, of_both]))
    assert tone_level(heard, 1000) == pytest.approx(tone_level(own, 1000), abs=0.01)
    assert tone_level(heard, 3000) == pytest.approx(tone_level(of_both, 3000) - 10.0, abs=0.1)


def test_a_machine_that_is_weaker_at_the_far_microphone_loses_what_the_formula_says():
    machine = tone(1000)
    heard = Residual(alpha=3.0)(machine, 10 ** (-10 / 20) * machine, SAMPLE_RATE)
    assert level(heard) - level(machine) == pytest.approx(10 * np.log10(1 - 3 * 0.1), abs=0.01)


def test_an_event_is_brought_towards_the_level_that_lasting_noise_is_left_at(noise):
    event = np.where(np.abs(np.arange(SAMPLE_RATE) - 8000) < 2000, 10.0, 1.0)
    both = noise * event  # no common waveform, only common powers

    def rise(waveform):
        """Mean level of the middle above that of the beginning, in dB: a mean over bands and frames of a log-mel."""
        levels = LogMelTransformer(n_mels=32).fit_transform([waveform])[0].mean(axis=0)
        return levels[14:18].mean() - levels[3:10].mean()

    assert rise(both[0]) == pytest.approx(20, abs=0.5)
    assert rise(RESIDUAL(both)) < 8  # where the near one is louder by chance, some of it stays


def test_the_echo_and_delay_of_the_far_microphone_do_not_matter():
    clips = make_machine_clips(
        "fan", n_train=0, n_test_normal=0, n_test_anomaly=0, n_noise=6, far_db=-10.0, event_db=15.0, random_state=0
    )
    quieter = [level(RESIDUAL(noise)) - level(noise[0]) for noise in clips.data["waveform"]]
    assert np.mean(quieter) < -8


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_timepoints", [2, 17, 16_001])
def test_length_and_precision_are_kept(dtype, n_timepoints):
    both = np.random.default_rng(0).normal(size=(2, n_timepoints)).astype(dtype)
    heard = RESIDUAL(both)
    assert heard.shape == (n_timepoints,)
    assert heard.dtype == dtype
    assert np.isfinite(heard).all()


@pytest.mark.parametrize("near", [0.0, 1e-20, 1e9])
@pytest.mark.parametrize("far", [0.0, 1e-20, 1e9])
def test_silence_and_extreme_levels_give_finite_samples(noise, near, far):
    heard = Residual()(*(noise * [[near], [far]]).astype(np.float32), SAMPLE_RATE)
    assert np.isfinite(heard).all()
    assert np.abs(heard).max() <= 1.01 * near


def test_one_channel_is_refused_with_what_to_do(write, noise):
    message = r"has 1 channel\(s\), and a residual needs two microphones, near=0 and far=1; channel=0 uses"
    for clip in (noise[0], write("mono.wav", noise[0])):
        with pytest.raises(ValueError, match=message):
            RESIDUAL(clip)


def test_of_more_than_two_channels_the_microphones_must_be_named(noise):
    three = np.stack([noise[1], np.zeros(SAMPLE_RATE), noise[0]])
    with pytest.raises(ValueError, match=r"has 3 channels, .* takes two, .* channel=Residual\(near=0, far=1\)"):
        RESIDUAL(three)
    assert_allclose(ClipReader(channel=Residual(near=2, far=1))(three), noise[0], atol=1e-14)
    with pytest.raises(ValueError, match=r"has 3 channel\(s\), .* near=0 and far=3"):
        ClipReader(channel=Residual(far=3))(three)


@pytest.mark.parametrize("channel", [0, 1])
def test_a_clip_with_nan_is_named_with_its_channel(noise, channel):
    noise[channel, 123] = np.nan
    with pytest.raises(
        ValueError, match=re.escape(f"clip 1: holds NaN (1 of 32000 values, the first at ({channel}, 123))")
    ):
        LogMelTransformer(channel="residual").fit_transform([np.ones((2, SAMPLE_RATE)), noise])


def test_file_and_array_give_the_same(write, noise):
    path = write("stereo.wav", noise.T, subtype="DOUBLE")
    assert_allclose(RESIDUAL(path), RESIDUAL(noise.astype(np.float32)), atol=1e-9)


def test_a_file_of_another_rate_is_resampled_after(write):
    both = np.stack([tone(1000, 48_000) + tone(2000, 48_000), tone(2000, 48_000)])  # 3 kHz and 6 kHz at 48 kHz
    heard = RESIDUAL(write("fast.wav", both.T, 48_000, subtype="FLOAT"))
    assert len(heard) == SAMPLE_RATE
    assert tone_level(heard, 3000) - tone_level(heard, 6000) == pytest.approx(10, abs=0.5)


def test_a_spectrogram_depends_neither_on_the_other_clips_nor_on_their_order(noise):
    clips = [noise, noise[::-1], 2 * noise[:, ::-1]]
    front_end = LogMelTransformer(channel="residual", n_jobs=2)
    together = front_end.fit_transform(clips)
    assert_array_equal(front_end.fit_transform(clips[::-1])[::-1], together)
    assert_array_equal(front_end.fit_transform(clips[1:2])[0], together[1])


def test_a_long_recording_is_processed_in_blocks(monkeypatch, noise):
    near, far = noise
    whole = Residual()(near, far, SAMPLE_RATE)
    monkeypatch.setattr(residual_module, "_BLOCK", 5000)
    in_blocks = Residual()(near, far, SAMPLE_RATE)
    assert_allclose(Residual()(near, 0 * far, SAMPLE_RATE), near, atol=1e-14)
    assert np.corrcoef(in_blocks, whole)[0, 1] > 0.98  # each block has a median of its own


def test_detectors_and_grids_take_it():
    clips = make_machine_clips("fan", n_train=6, duration=0.5, far_db=-10.0, random_state=0)
    detector = TWFRDetector(frontend=LogMelTransformer(channel="residual", n_mels=16))
    scores = clone(detector).fit(clips.data).score_samples(clips.data)
    explicit = clone(detector).set_params(frontend__channel=Residual()).fit(clips.data)
    assert_array_equal(explicit.score_samples(clips.data), scores)
    other = clone(detector).set_params(frontend__channel=Residual(alpha=1.0)).fit(clips.data)
    assert not np.array_equal(other.score_samples(clips.data), scores)


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"near": 1}, ValueError, "near=1 and far=1 are the same channel"),
        ({"far": -1}, ValueError, "far=-1 is too small"),
        ({"alpha": 0}, ValueError, "alpha=0"),
        ({"alpha": "much"}, TypeError, "alpha='much'"),
        ({"floor_db": 3.0}, ValueError, "floor_db=3.0"),
    ],
)
def test_bad_parameters_are_named(parameters, error, message):
    with pytest.raises(error, match=message):
        Residual(**parameters)


def test_another_word_is_refused():
    with pytest.raises(TypeError, match=r"channel='far' is a str; .*'mean', 'residual' or a Residual is expected"):
        LogMelTransformer(channel="far").fit(np.zeros((2, 100)))
