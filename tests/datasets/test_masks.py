"""Masks of planted faults: where the sound differs from that of the healthy machine, and nowhere else."""

import numpy as np
import pytest

from skasd.datasets import make_machine_clips
from skasd.datasets._synthetic._masks import fault_mask, mask_axes

FEW = {"n_train": 1, "n_test_normal": 1, "n_test_anomaly": 4, "duration": 1.0, "random_state": 0}


@pytest.fixture(scope="module")
def clips():
    return make_machine_clips(("fan", "valve"), severity=2.0, return_masks=True, **FEW)


def test_masks_have_a_place_for_every_frequency_and_time(clips):
    assert clips.masks.shape == (12, len(clips.mask_frequencies), len(clips.mask_times))
    assert clips.masks.dtype == bool
    assert clips.mask_frequencies[-1] == 8000
    assert clips.mask_times[1] == 0.032


def test_only_faulty_clips_have_a_fault(clips):
    np.testing.assert_array_equal(clips.masks.any(axis=(1, 2)), clips.target == -1)


def test_the_clips_are_the_same_with_and_without_masks(clips):
    plain = make_machine_clips(("fan", "valve"), severity=2.0, **FEW)
    assert "masks" not in plain
    np.testing.assert_array_equal(np.stack(plain.data["waveform"]), np.stack(clips.data["waveform"]))


def test_the_sound_differs_where_the_mask_is_and_hardly_elsewhere(clips):
    healthy = make_machine_clips(("fan", "valve"), severity=0.0, **FEW)
    pairs = zip(clips.data["waveform"], healthy.data["waveform"], clips.masks, clips.anomaly_kind, strict=True)
    for waveform, other, mask, kind in pairs:
        if kind in ("", "missing"):  # without strokes, severity 0 plays all of them
            continue
        change = np.square(spectrum(waveform - other))
        assert change[mask].sum() > 0.65 * change.sum(), kind
        assert change[mask].mean() > 20 * change[~mask].mean(), kind


def spectrum(waveform):
    padded = np.pad(waveform.astype(float), 512)
    frames = np.lib.stride_tricks.sliding_window_view(padded, 1024)[::512] * np.hanning(1024)
    return np.abs(np.fft.rfft(frames)).T


def test_a_tone_is_masked_where_it_is_louder_than_the_noise():
    time = np.arange(16000) / 16000
    noise = np.random.default_rng(0).normal(scale=0.01, size=16000)
    tone = 0.1 * np.sin(2 * np.pi * 1000 * time) * (time > 0.5)
    mask, (frequencies, times) = fault_mask(noise + tone, noise), mask_axes(16000, 16000)
    assert mask[np.abs(frequencies - 1000).argmin(), times > 0.55].all()
    assert not mask[np.abs(frequencies - 1000) > 200][:, times < 0.4].any()
    assert not mask[np.abs(frequencies - 4000) < 1000][:, (times > 0.6) & (times < 0.9)].any()


def test_a_missing_click_is_masked_where_it_should_have_been(clips):
    rows = np.flatnonzero(clips.anomaly_kind == "missing")
    assert len(rows)
    for row in rows:
        frames = clips.masks[row].mean(axis=0)
        assert frames.max() > 0.3
        assert frames.min() < 0.1


def test_masks_need_a_result_with_attributes():
    with pytest.raises(ValueError, match="return_masks=True needs return_X_y=False"):
        make_machine_clips("fan", return_masks=True, return_X_y=True, **FEW)
    with pytest.raises(TypeError, match="return_masks"):
        make_machine_clips("fan", return_masks="yes", **FEW)


def test_masks_of_two_microphones_are_those_of_the_near_one():
    one, two = (make_machine_clips("fan", return_masks=True, far_db=far_db, **FEW).masks for far_db in (None, -10.0))
    np.testing.assert_array_equal(one, two)
