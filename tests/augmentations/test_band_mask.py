import numpy as np
import pytest
import torch

from skasd._mel import MelDefinition
from skasd.augmentations import band_mask, power_split

HTK = MelDefinition(norm=None, mel_scale="htk").centers()


@pytest.mark.parametrize(
    ("mel_scale", "firsts"), [("htk", {1000: 45, 2000: 69, 4000: 97}), ("slaney", {1000: 42, 2000: 71, 4000: 100})]
)
def test_first_band_above_a_frequency(mel_scale, firsts):
    centers = MelDefinition(mel_scale=mel_scale).centers()
    for frequency, first in firsts.items():
        mask = band_mask(centers, frequency)
        assert mask.tolist() == [0.0] * first + [1.0] * (128 - first)


def test_a_soft_mask_is_a_logistic_curve():
    mask = band_mask(HTK, 2000.0, 2.0)
    expected = {60: 0.010987, 65: 0.119203, 67: 0.268941, 69: 0.5, 71: 0.731059, 73: 0.880797, 78: 0.989013}
    for band, value in expected.items():
        assert mask[band].item() == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize("width", [0.0, 2.0])
def test_zero_hertz_is_all_bands(width):
    assert torch.equal(band_mask(HTK, 0.0, width), torch.ones(128, dtype=torch.float64))
    assert torch.equal(band_mask(HTK, 0.0, width, invert=True), torch.zeros(128, dtype=torch.float64))


def test_an_inverted_mask_is_what_the_other_lacks():
    for width in (0.0, 2.0):
        both = band_mask(HTK, 2000.0, width) + band_mask(HTK, 2000.0, width, invert=True)
        torch.testing.assert_close(both, torch.ones(128, dtype=torch.float64))


def test_a_frequency_above_all_bands_masks_none():
    assert not band_mask(HTK, 9000.0).any()


def test_four_fifths_of_the_power_lie_below_the_split():
    frequency = np.array([1100.0, 1800.0, 2700.0, 3600.0])
    assert power_split(frequency, np.array([4.0, 3.0, 2.0, 1.0])) == 2700.0
    assert power_split(frequency, np.array([0.0, 1.0, 0.0, 0.0])) == 1800.0


def test_the_split_stays_between_one_and_four_kilohertz():
    frequency = np.array([100.0, 1800.0, 7000.0])
    assert power_split(frequency, np.array([1.0, 0.0, 0.0])) == 1000.0
    assert power_split(frequency, np.array([0.0, 0.0, 1.0])) == 4000.0
