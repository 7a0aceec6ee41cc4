import pytest
import torch

from skasd.augmentations import linear_fader, masked_frames, shifted_frames


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


PATCH = torch.randn(200, 10, 3, generator=generator())


def test_a_run_of_frames_becomes_the_mean_of_the_patch():
    made = masked_frames(PATCH, 4, generator())
    mean = PATCH.mean(dim=(1, 2))
    lengths = []
    for before, after, value in zip(PATCH, made, mean, strict=True):
        changed = (before != after).any(dim=1).nonzero()[:, 0].tolist()
        assert changed == list(range(changed[0], changed[0] + len(changed))) if changed else True
        torch.testing.assert_close(after[changed], value.expand(len(changed), 3))
        lengths.append(len(changed))
    assert set(lengths) == {0, 1, 2, 3, 4}


def test_masks_reach_both_ends():
    changed = (masked_frames(PATCH, 10, generator()) != PATCH).any(dim=2)
    assert changed[:, 0].any()
    assert changed[:, -1].any()
    assert changed.all(dim=1).any()


@pytest.mark.parametrize("change", [masked_frames, shifted_frames])
def test_nothing_changes_by_no_frames(change):
    torch.testing.assert_close(change(PATCH, 0, generator()), PATCH)


@pytest.mark.parametrize("change", [masked_frames, shifted_frames])
def test_same_generator_same_patches(change):
    torch.testing.assert_close(change(PATCH, 3, generator(1)), change(PATCH, 3, generator(1)))
    assert not torch.equal(change(PATCH, 3, generator(1)), change(PATCH, 3, generator(2)))


def test_shifted_frames_come_back_at_the_other_end():
    made = shifted_frames(PATCH, 2, generator())
    shifts = []
    for before, after in zip(PATCH, made, strict=True):
        possible = [shift for shift in range(-2, 3) if torch.equal(before.roll(shift, dims=0), after)]
        assert len(possible) == 1
        shifts += possible
    assert set(shifts) == {-2, -1, 0, 1, 2}


def test_a_fader_adds_a_straight_line_to_all_bands():
    spectrogram = torch.randn(300, 4, 9, generator=generator(), dtype=torch.float64)
    line = linear_fader(spectrogram, generator(), max_change=2.0) - spectrogram
    torch.testing.assert_close(line, line[:, :1].expand_as(line))
    torch.testing.assert_close(line.diff(dim=2).diff(dim=2), torch.zeros(300, 4, 7, dtype=torch.float64))
    assert line.abs().max() <= 2
    assert line[:, 0, 0].std().item() == pytest.approx(4 / 12**0.5, rel=0.1)
    assert abs(torch.corrcoef(line[:, 0, [0, -1]].T)[0, 1]) < 0.2  # its ends are independent
