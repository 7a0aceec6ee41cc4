"""The whole augmentation: which values stay unchanged, what two views share, and which statistics are frozen."""

import math

import numpy as np
import pytest
import torch
from sklearn.base import clone

from skasd.augmentations import SpectrumAugmentation, TrainingSpectra, forget_clips

N_BANDS, N_FRAMES = 16, 24
FREQUENCY = np.linspace(500, 8000, N_BANDS)
MIX_ALONE = {"resize_crop": False, "post_norm": False}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


X = 8 * torch.randn(10, N_BANDS, N_FRAMES, generator=generator()) - 20
LABEL = torch.arange(10) % 2


def spectra(power=None, log_unit=1.0):
    power = np.ones((2, N_BANDS)) if power is None else power
    return TrainingSpectra(FREQUENCY, power, mean=-20.0, std=8.0, log_unit=log_unit, n_frames=N_FRAMES, n_clips=10)


def prepared(power=None, **settings):
    return SpectrumAugmentation(**settings).prepare(spectra(power)).train()


def filled(augmenter):
    """The augmenter after it has stored past spectrograms in its bank."""
    augmenter(X.flip(0) + 3, LABEL, generator(9))
    return augmenter


def normalised(x=X):
    return (x + 20) / 8


def test_a_hard_mask_leaves_every_bit_below_the_split():
    made = filled(prepared(mask="hard", **MIX_ALONE))(X, LABEL, generator())
    below = FREQUENCY < 2000
    assert torch.equal(made[:, below], normalised()[:, below])
    assert (made[:, ~below] != normalised()[:, ~below]).all()


def test_an_inverted_hard_mask_leaves_every_bit_above():
    made = filled(prepared(mask="hard", invert_mask=True, **MIX_ALONE))(X, LABEL, generator())
    below = FREQUENCY < 2000
    assert torch.equal(made[:, ~below], normalised()[:, ~below])
    assert (made[:, below] != normalised()[:, below]).all()


def test_two_views_agree_below_the_split_and_differ_above():
    made = filled(prepared(mask="hard", **MIX_ALONE))(X, LABEL, generator(), 2)
    assert made.shape == (20, N_BANDS, N_FRAMES)
    below = FREQUENCY < 2000
    assert torch.equal(made[:10, below], made[10:, below])
    assert (made[:10, ~below] != made[10:, ~below]).any(dim=(1, 2)).all()


def test_no_split_is_the_mixture_of_all_bands():
    soft, hard = (filled(prepared(split_frequency=0.0, mask=mask, **MIX_ALONE)) for mask in ("soft", "hard"))
    assert torch.equal(soft(X, LABEL, generator()), hard(X, LABEL, generator()))
    assert (hard(X, LABEL, generator()) != normalised()).all()


def test_the_first_batch_finds_an_empty_bank():
    assert torch.equal(prepared(**MIX_ALONE)(X, LABEL, generator()), normalised())


def test_the_bank_holds_spectrograms_as_they_were():
    augmenter = filled(prepared(**MIX_ALONE))
    augmenter(X, LABEL, generator())
    torch.testing.assert_close(augmenter.bank.entries[10:20], normalised())


@pytest.mark.parametrize("settings", [{"mix_ratio": 0.0}, {"split_frequency": 9000.0, "mask": "hard"}], ids=str)
def test_nothing_to_mix_is_the_identity(settings):
    assert torch.equal(filled(prepared(**settings, **MIX_ALONE))(X, LABEL, generator()), normalised())


def test_a_pair_of_ratios_is_for_the_two_views():
    made = filled(prepared(mix_ratio=(0.0, 0.6), **MIX_ALONE))(X, LABEL, generator(), 2)
    assert torch.equal(made[:10], normalised())
    assert (made[10:] != normalised()).any()


def one_mixture(**settings):
    """Normalised mixture of -9 and -1 with a share of 0.2, for spectra with mean -5 and standard deviation 4."""
    known = TrainingSpectra(np.array([1000.0]), np.ones((1, 1)), -5.0, 4.0, 1.0, 1, 1)
    augmenter = SpectrumAugmentation(split_frequency=0.0, **MIX_ALONE, **settings).prepare(known)
    x, z = (torch.tensor([[[(value + 5.0) / 4]]], dtype=torch.float64) for value in (-9.0, -1.0))
    return augmenter._mixture(x, z, torch.tensor([0.2], dtype=torch.float64), torch.tensor([0])).item()


def test_mixed_after_normalisation_or_in_power():
    assert one_mixture() == pytest.approx(-0.176785, abs=1e-6)
    assert one_mixture(mix_space="power") == pytest.approx(0.597976, abs=1e-6)


@pytest.mark.parametrize(("mask_form", "expected"), [("per_band_share", 0.587787), ("blend", 0.477756)])
def test_two_forms_of_a_mask_differ_in_between(mask_form, expected):
    augmenter = prepared(mask_form=mask_form, **MIX_ALONE)
    augmenter.mask = torch.full((1, 1), 0.5, dtype=torch.float64)
    x, z = torch.zeros(1, 1, 1, dtype=torch.float64), torch.full((1, 1, 1), math.log(5), dtype=torch.float64)
    mixed = augmenter._mixture(x, z, torch.tensor([0.4], dtype=torch.float64), torch.tensor([0]))
    assert mixed.item() == pytest.approx(expected, abs=1e-6)


def test_an_automatic_split_is_each_class_s_own():
    low = np.where(FREQUENCY < 1100, 1.0, 0.0)
    augmenter = filled(prepared(np.stack([low, low[::-1]]), split_frequency="auto", mask="hard", **MIX_ALONE))
    made = augmenter(X, LABEL, generator())
    changed = (made != normalised()).all(dim=2)  # (10, N_BANDS)
    assert torch.equal(changed[0], torch.from_numpy(FREQUENCY >= 1000))
    assert torch.equal(changed[1], torch.from_numpy(FREQUENCY >= 4000))


def test_same_class_mixes_same_class():
    augmenter = prepared(bank_scope="same_class", mix_ratio=1.0, split_frequency=0.0, **MIX_ALONE)
    loud = torch.full_like(X, 30.0)
    augmenter(loud[:5], torch.ones(5, dtype=torch.int64), generator())
    quiet = torch.full_like(X, -20.0)
    made = augmenter(quiet, LABEL, generator(1))
    assert torch.equal(made[LABEL == 0], normalised(quiet[LABEL == 0]))
    assert (made[LABEL == 1] > normalised(quiet[LABEL == 1])).all()


@pytest.mark.parametrize("pre_norm", ["dataset", "running"])
def test_scored_clips_do_not_depend_on_their_batch(pre_norm):
    augmenter = filled(prepared(pre_norm=pre_norm, fader=True))
    augmenter.eval()
    together = augmenter(X)
    for index in (0, 7):
        assert torch.equal(augmenter(X[index : index + 1])[0], together[index])
    assert int(augmenter.bank.n_pushed) == 10


def test_a_training_batch_of_two_views_is_normalised_together():
    made = filled(prepared(fader=True))(X, LABEL, generator(), 2)
    assert made.mean().item() == pytest.approx(0, abs=1e-5)
    assert made.std(correction=0).item() == pytest.approx(1, abs=1e-5)
    assert abs(made[:10].mean().item()) > 1e-4


def test_same_generator_same_views():
    one, other = (filled(prepared(fader=True))(X, LABEL, generator(4), 2) for _ in range(2))
    assert torch.equal(one, other)


def test_without_autocast_s_rounding():
    with torch.autocast("cpu", torch.bfloat16):
        made = filled(prepared())(X, LABEL, generator(), 2)
    torch.testing.assert_close(made, filled(prepared())(X, LABEL, generator(), 2))


def test_a_unit_of_decibels_is_turned_into_logarithms():
    of_db = SpectrumAugmentation(**MIX_ALONE).prepare(spectra(log_unit=math.log(10) / 10)).eval()
    torch.testing.assert_close(of_db(X), (X * math.log(10) / 10 + 20) / 8)


def test_banks_are_forgotten():
    network = torch.nn.Sequential(filled(prepared()))
    forget_clips(network)
    assert network[0].bank is None
    assert network.eval()(X).shape == X.shape


def test_parameters_as_scikit_learn_wants_them():
    augmentation = SpectrumAugmentation(split_frequency=1000.0)
    assert clone(augmentation) == augmentation
    assert augmentation.set_params(mask="hard").mask == "hard"
    with pytest.raises(ValueError, match="SpectrumAugmentation has no parameter 'split'; it has split_frequency"):
        augmentation.set_params(split=3)


@pytest.mark.parametrize(
    ("name", "value", "error", "message"),
    [
        ("split_frequency", -1.0, ValueError, "out of range"),
        ("split_frequency", "low", ValueError, "a frequency in Hz or 'auto'"),
        ("mask", "smooth", ValueError, "unknown"),
        ("mask_width", 0.0, ValueError, "out of range"),
        ("mask_form", "sum", ValueError, "unknown"),
        ("mix_ratio", 1.5, ValueError, "out of range"),
        ("mix_ratio", (0.1, 0.2, 0.3), ValueError, "a pair, for two views"),
        ("mix_space", "dB", ValueError, "unknown"),
        ("bank_size", 0, ValueError, "too small"),
        ("bank_scope", "own", ValueError, "unknown"),
        ("resize_crop", "yes", ValueError, "unknown"),
        ("time_scale", 0.6, TypeError, "a pair of numbers"),
        ("frequency_scale", (1.5, 0.6), ValueError, r"write \(0.6, 1.5\)"),
        ("canvas", (0.5, 1.5), ValueError, "out of range"),
        ("pre_norm", "none", ValueError, "unknown"),
        ("post_norm", None, ValueError, "unknown"),
    ],
)
def test_wrong_parameters_are_named(name, value, error, message):
    with pytest.raises(error, match=f"{name}.*{message}"):
        SpectrumAugmentation(**{name: value}).check()
