"""Mixtures of powers: the values in the specification of the system, and properties of the formula."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from skasd.augmentations import MemoryBank, log_mixup_exp

DB = math.log(10) / 10


def number(value):
    return torch.tensor(value, dtype=torch.float64)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def in_db(x, z, share):
    return log_mixup_exp(number(x * DB), number(z * DB), number(share)).item() / DB


@pytest.mark.parametrize(
    ("x", "z", "share", "expected"),
    [(-20.0, -10.0, 0.25, -14.881166), (-20.0, -60.0, 0.4, -22.218198)],
)
def test_mixtures_of_decibels(x, z, share, expected):
    assert in_db(x, z, share) == pytest.approx(expected, abs=1e-6)


def test_mixture_of_two_and_eight():
    mixed = log_mixup_exp(number(math.log(2)), number(math.log(8)), number(0.25))
    assert mixed.item() == pytest.approx(1.252763, abs=1e-6)


def test_what_a_louder_or_quieter_sound_shifts():
    assert in_db(0, 20, 0.2) == pytest.approx(13.180633, abs=1e-6)
    assert in_db(0, 20, 0.4) == pytest.approx(16.085260, abs=1e-6)
    assert in_db(0, -20, 0.4) == pytest.approx(-2.189631, abs=1e-6)
    assert log_mixup_exp(number(3.0), number(-1e4), number(0.4)).item() == pytest.approx(3 - 0.510826, abs=1e-6)


def test_the_floor_of_the_published_code_lifts_what_is_quiet():
    mixed = log_mixup_exp(number(-16.0), number(-16.0), number(0.4), eps=1.192093e-07)
    assert mixed.item() == pytest.approx(-15.277631, abs=1e-6)


@given(st.floats(-30, 30), st.floats(-30, 30), st.floats(0, 1), st.floats(-20, 20))
def test_a_mixture_lies_between_its_parts(x, z, share, change):
    mixed = log_mixup_exp(number(x), number(z), number(share)).item()
    assert min(x, z) - 1e-9 <= mixed <= max(x, z) + 1e-9
    shifted = log_mixup_exp(number(x + change), number(z + change), number(share)).item()
    assert shifted == pytest.approx(mixed + change, abs=1e-9)
    if 0.01 < share < 0.99:
        if x > z - 20:  # otherwise the change is lost in rounding
            assert log_mixup_exp(number(x + 1), number(z), number(share)).item() > mixed
        if z > x - 20:
            assert log_mixup_exp(number(x), number(z + 1), number(share)).item() > mixed


def test_a_share_of_nothing_changes_no_bit():
    x, z = torch.randn(2, 3, 4, 5, generator=generator())
    share = torch.tensor([0.0, 0.5, 0.0])[:, None, None]
    mixed = log_mixup_exp(x, z, share)
    assert torch.equal(mixed[[0, 2]], x[[0, 2]])
    assert (mixed[1] != x[1]).all()
    torch.testing.assert_close(log_mixup_exp(x, x, share), x)


def spectrograms(values):
    return torch.tensor(values, dtype=torch.float32)[:, None, None].expand(-1, 2, 3)


def test_an_empty_bank_gives_nothing():
    _, is_drawn = MemoryBank(4, (2, 3)).draw(torch.zeros(5, dtype=torch.int64), generator())
    assert not is_drawn.any()


def test_the_oldest_entry_goes_first():
    bank = MemoryBank(4, (2, 3))
    for value in range(5):
        bank.push(spectrograms([float(value)]), torch.tensor([value]))
    assert len(bank) == 4
    drawn, is_drawn = bank.draw(torch.zeros(200, dtype=torch.int64), generator())
    assert is_drawn.all()
    assert drawn[:, 0, 0].unique().tolist() == [1.0, 2.0, 3.0, 4.0]


def test_more_than_the_bank_holds_leaves_the_last():
    bank = MemoryBank(3, (2, 3))
    bank.push(spectrograms([float(value) for value in range(8)]), torch.arange(8))
    assert sorted(bank.entries[:, 0, 0].tolist()) == [5.0, 6.0, 7.0]
    bank.push(spectrograms([8.0]), torch.tensor([8]))
    assert sorted(bank.entries[:, 0, 0].tolist()) == [6.0, 7.0, 8.0]
    assert sorted(bank.label.tolist()) == [6, 7, 8]


def test_entries_of_the_same_class_only():
    bank = MemoryBank(8, (2, 3))
    bank.push(spectrograms([0.0, 1.0, 10.0]), torch.tensor([0, 0, 1]))
    label = torch.tensor([0, 1, 2]).repeat(100)
    drawn, is_drawn = bank.draw(label, generator(), same_class=True)
    assert is_drawn.tolist() == [True, True, False] * 100
    assert drawn[label == 0][:, 0, 0].unique().tolist() == [0.0, 1.0]
    assert drawn[label == 1][:, 0, 0].unique().tolist() == [10.0]


def test_every_entry_is_as_likely():
    bank = MemoryBank(10, (2, 3))
    bank.push(spectrograms([float(value) for value in range(5)]), torch.zeros(5, dtype=torch.int64))
    drawn, _ = bank.draw(torch.zeros(10_000, dtype=torch.int64), generator())
    counts = drawn[:, 0, 0].unique(return_counts=True)[1]
    assert len(counts) == 5
    assert (counts - 2000).abs().max() < 200  # 5 standard deviations
