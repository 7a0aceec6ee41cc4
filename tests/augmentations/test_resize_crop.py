"""Crops compared with torch's own interpolation, and their distribution with that of the published code."""

import pytest
import torch
from torch.nn import functional

from skasd.augmentations import Crops, draw_crops, resized_crops


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


X = torch.randn(6, 16, 20, generator=generator(), dtype=torch.float64)
PARTS = [(16, 20, 0, 0), (10, 30, 3, -5), (7, 12, 9, 4), (1, 1, 5, 3), (16, 25, 0, -3), (12, 30, 4, -5)]
CROPS = Crops(*(torch.tensor(values) for values in zip(*PARTS, strict=True)))


def test_resized_as_torch_does_it():
    canvas, made = functional.pad(X, (5, 5)), resized_crops(X, CROPS)
    for index, (height, width, bottom, left) in enumerate(PARTS):
        part = canvas[index, bottom : bottom + height, left + 5 : left + 5 + width]
        expected = functional.interpolate(part[None, None], size=(16, 20), mode="bicubic", align_corners=True)[0, 0]
        torch.testing.assert_close(made[index], expected)


def test_the_whole_is_left_as_it_is():
    whole = Crops(*(torch.full((6,), value) for value in (16, 20, 0, 0)))
    assert torch.equal(resized_crops(X, whole), X)


def test_constants_stay_constant_inside_and_zeros_stay_zeros():
    inside = Crops(*(torch.tensor([value]) for value in (10, 12, 3, 5)))
    torch.testing.assert_close(resized_crops(torch.full((1, 16, 20), 3.0), inside), torch.full((1, 16, 20), 3.0))
    assert not resized_crops(torch.zeros(6, 16, 20), CROPS).any()


def test_one_band_and_one_frame_are_resized():
    crops = draw_crops(5, (1, 1), generator())
    assert resized_crops(torch.ones(5, 1, 1), crops).shape == (5, 1, 1)


@pytest.mark.parametrize(
    ("size", "whole", "height", "width", "outside"),
    [
        ((64, 96), 0.555556, 0.907606, 1.044777, 0.169060),
        ((128, 64), 0.555556, 0.909370, 1.042155, 0.169344),
        ((128, 313), 0.555556, 0.909370, 1.048403, 0.168376),
    ],
)
def test_parts_are_distributed_as_published(size, whole, height, width, outside):
    n_bands, n_frames = size
    drawn = draw_crops(100_000, size, generator())
    assert (drawn.height == n_bands).double().mean() == pytest.approx(whole, abs=0.005)
    assert (drawn.height / n_bands).mean() == pytest.approx(height, abs=0.005)
    assert (drawn.width / n_frames).mean() == pytest.approx(width, abs=0.005)
    before = (-drawn.left).clamp(min=0)
    after = (drawn.left + drawn.width - n_frames).clamp(min=0)
    assert ((before + after) / drawn.width).mean() == pytest.approx(outside, abs=0.005)
    assert drawn.bottom.min() == 0
    assert (drawn.bottom + drawn.height).max() == n_bands


def test_a_narrow_range_of_heights():
    drawn = draw_crops(100_000, (128, 64), generator(), frequency_scale=(0.8, 1.25))
    assert (drawn.height == 128).double().mean() == pytest.approx(0.555556, abs=0.005)
    assert (drawn.height / 128).mean() == pytest.approx(0.953803, abs=0.005)


def test_same_generator_same_parts():
    one, other = (draw_crops(9, (16, 20), generator(3)) for _ in range(2))
    assert torch.equal(one.left, other.left)
    assert torch.equal(one.height, other.height)
