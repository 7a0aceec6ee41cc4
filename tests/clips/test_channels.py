import numpy as np
import pandas as pd
import pytest
import torch

from skasd.clips import ClipReader, as_clips
from skasd.detectors import TWFRDetector
from skasd.features import LogMelTransformer, MedianFilter


@pytest.fixture
def stereo():
    """Three clips of two channels, half a second at 16 kHz."""
    return 0.1 * np.random.default_rng(0).standard_normal((3, 2, 8000))


def detector(**frontend):
    return TWFRDetector(
        r=1.0, frontend=LogMelTransformer(norm=None, mel_scale="htk", n_jobs=1, **frontend), n_jobs=1, random_state=0
    )


def waveforms(X, **reader):
    return list(as_clips(X).map(np.asarray, ClipReader(**reader)))


@pytest.mark.parametrize("container", [np.asarray, list, torch.from_numpy, lambda X: list(torch.from_numpy(X))])
def test_channels_follow_the_rule_of_the_reader(stereo, container):
    X = container(stereo)
    np.testing.assert_array_equal(waveforms(X), stereo[:, 0])
    np.testing.assert_array_equal(waveforms(X, channel=1), stereo[:, 1])
    np.testing.assert_allclose(waveforms(X, channel="mean"), stereo.mean(axis=1))


@pytest.mark.parametrize("channel", [0, 1, "mean"])
def test_detector_scores_channels_as_the_waveforms_that_they_are(stereo, channel):
    mono = stereo.mean(axis=1) if channel == "mean" else stereo[:, channel]
    expected = detector().fit(mono).score_samples(mono)
    fitted = detector(channel=channel).fit(stereo)
    assert fitted.n_features_in_ == 8000
    np.testing.assert_allclose(fitted.score_samples(stereo), expected)
    np.testing.assert_allclose(fitted.score_samples(list(stereo)), expected)
    np.testing.assert_allclose(fitted.score_samples(pd.DataFrame({"waveform": list(stereo)})), expected)


def test_one_channel_is_a_waveform(stereo):
    mono = stereo[:, :1]
    np.testing.assert_array_equal(
        detector().fit(mono).score_samples(mono), detector().fit(mono[:, 0]).score_samples(mono[:, 0])
    )
    np.testing.assert_array_equal(
        LogMelTransformer(n_jobs=1).fit_transform(mono), LogMelTransformer(n_jobs=1).fit_transform(mono[:, 0])
    )


def test_mono_and_stereo_may_stand_in_one_list(stereo):
    X = [stereo[0, 0], stereo[1]]
    np.testing.assert_array_equal(waveforms(X), stereo[:2, 0])


def test_clips_of_two_lengths_may_be_short_if_the_longest_is_a_waveform(stereo):
    X = [stereo[0][:, :500], stereo[1]]
    assert as_clips(X).kind == "waveform"


def test_another_number_of_time_points_than_in_fit_is_refused(stereo):
    fitted = detector().fit(stereo)
    with pytest.raises(ValueError, match="X has 4000 features, but TWFRDetector is expecting 8000"):
        fitted.score_samples(stereo[:, :, :4000])


@pytest.mark.parametrize("shape", [(8000, 2), (1000, 1), (16000, 8)])
@pytest.mark.parametrize("container", [np.asarray, list])
def test_time_along_the_first_axis_is_refused_with_the_way_out(shape, container):
    X = container(np.random.default_rng(0).standard_normal((2, *shape)))
    for read in (as_clips, detector().fit, LogMelTransformer().fit_transform):
        with pytest.raises(ValueError, match=r"time along the first axis.*clip\.T in a list.*swapaxes"):
            read(X)


@pytest.mark.parametrize(
    ("shape", "kind"),
    [
        ((1, 1000), "waveform"),
        ((1, 999), "feature"),
        ((3, 1000), "waveform"),
        ((4, 4000), "waveform"),
        ((4, 3999), "feature"),
        ((8, 8000), "waveform"),
        ((8, 7999), "feature"),
        ((9, 160000), "feature"),
        ((40, 1000), "feature"),
        ((128, 313), "feature"),
        ((128, 3), "feature"),
        ((513, 3), "feature"),
        ((999, 1), "feature"),
        ((3, 4), "feature"),
    ],
)
def test_shape_decides_between_channels_and_bands(shape, kind):
    assert as_clips(np.zeros((2, *shape))).kind == kind
    assert as_clips([np.zeros(shape), np.zeros(shape)]).kind == kind


def test_detector_of_features_takes_long_ones_of_few_bands():
    rng = np.random.default_rng(0)
    fitted = detector().fit(rng.standard_normal((5, 3, 400)))
    long = rng.standard_normal((2, 3, 3000))
    np.testing.assert_array_equal(fitted.score_samples(long), fitted.score_samples(list(long)))
    with pytest.raises(ValueError, match="X contains waveforms, but TWFRDetector was fitted on features"):
        fitted.score_samples(rng.standard_normal((2, 2, 3000)))


@pytest.mark.filterwarnings("ignore:.*clips are much shorter:UserWarning")
def test_detector_of_waveforms_takes_short_ones_with_channels(stereo):
    fitted = detector().fit(list(stereo))
    np.testing.assert_array_equal(
        fitted.score_samples([clip[:, :900] for clip in stereo]),
        fitted.score_samples([clip[0, :900] for clip in stereo]),
    )


def test_transformer_of_waveforms_takes_short_ones_with_channels(stereo):
    short = stereo[:, :, :500]
    np.testing.assert_array_equal(
        LogMelTransformer(n_jobs=1).fit_transform(short), LogMelTransformer(n_jobs=1).fit_transform(short[:, 0])
    )


def test_median_filter_refuses_waveforms_with_channels(stereo):
    with pytest.raises(ValueError, match="There are no features to filter: X contains waveforms or files"):
        MedianFilter().fit_transform(stereo)


def test_column_of_waveforms_under_another_name_is_not_taken_for_features(stereo):
    table = pd.DataFrame({"audio": list(stereo)})
    with pytest.raises(
        ValueError, match=r"cells of 'audio' look like waveforms.*name the column 'waveform', or set feature="
    ):
        as_clips(table)
    assert as_clips(table, feature="audio").kind == "feature"
    assert as_clips(table.rename(columns={"audio": "log_mel"})).kind == "feature"
    both = table.assign(waveform=[clip[1] for clip in stereo])
    np.testing.assert_array_equal(waveforms(both), stereo[:, 1])
