"""Random resize crop: a part of a spectrogram, possibly with some margin around it, is resized to the original size.

D. Niizumi et al., "BYOL for audio", IJCNN 2021, arXiv:2103.06695. Bicubic interpolation is implemented as two matrix
products, one along each axis, so a batch with a different crop per spectrogram takes two calls.

Axes: B clips, F bands, T frames, n positions along an axis.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from skasd._typing import Float, Int
from skasd.augmentations._draw import drawn_uniform

Range = tuple[float, float]


@dataclass(frozen=True)
class Crops:
    """Crop of each spectrogram of a batch, cut from a canvas with the spectrogram in its middle.

    Parameters
    ----------
    height, width : Tensor of shape (clips,), int64
        Number of bands and frames of the crop.
    bottom, left : Tensor of shape (clips,), int64
        First band and first frame of the crop, counted from those of the spectrogram. They are negative if the crop begins
        in the margin before the spectrogram.
    """

    height: Int[Tensor, " clips"]
    width: Int[Tensor, " clips"]
    bottom: Int[Tensor, " clips"]
    left: Int[Tensor, " clips"]


def draw_crops(
    n_clips: int,
    size: tuple[int, int],
    generator: torch.Generator,
    *,
    device: torch.device | str = "cpu",
    frequency_scale: Range = (0.6, 1.5),
    time_scale: Range = (0.6, 1.5),
    canvas: Range = (1.0, 1.5),
) -> Crops:
    """Draw a random crop for each spectrogram.

    Parameters
    ----------
    n_clips : int
        Number of spectrograms.
    size : tuple of int
        Number of bands and frames of a spectrogram.
    generator : torch.Generator
        Random generator.
    device : torch.device or str, default="cpu"
        Device of the spectrograms, which the drawn numbers are moved to.
    frequency_scale, time_scale : tuple of float, default=(0.6, 1.5)
        Range of the height and of the width of the crop, relative to the size of the spectrogram. Larger crops are limited
        to the canvas.
    canvas : tuple of float, default=(1.0, 1.5)
        Height and width of the canvas relative to the size of the spectrogram, at least 1.

    Returns
    -------
    crops : Crops
        One crop per spectrogram.
    """
    drawn = drawn_uniform(4, n_clips, generator=generator).to(device)
    rows = []
    for axis, (n, scale) in enumerate(zip(size, (frequency_scale, time_scale), strict=True)):
        room = int(n * canvas[axis])
        extent = ((scale[0] + drawn[axis] * (scale[1] - scale[0])) * n).long().clamp(1, room)
        offset = (drawn[2 + axis] * (room - extent + 1)).long()
        rows.append((extent, offset - (room - n) // 2))
    return Crops(rows[0][0], rows[1][0], rows[0][1], rows[1][1])


def resized_crops(
    spectrogram: Float[Tensor, "clips bands frames"], crops: Crops
) -> Float[Tensor, "clips bands frames"]:
    """Resize crops to the size of the spectrograms by bicubic interpolation with aligned corners.

    Parameters
    ----------
    spectrogram : Tensor of shape (clips, bands, frames)
        Normalised spectrograms, whose mean is 0; the margin of the canvas is filled with 0.
    crops : Crops
        One crop per spectrogram.

    Returns
    -------
    spectrogram : Tensor of shape (clips, bands, frames)
        Resized crops.
    """
    _, n_bands, n_frames = spectrogram.shape
    along_bands = _interpolation(crops.height, crops.bottom, n_bands, spectrogram.dtype)
    along_frames = _interpolation(crops.width, crops.left, n_frames, spectrogram.dtype)
    return along_bands @ spectrogram @ along_frames.transpose(1, 2)


def _interpolation(
    extent: Int[Tensor, " clips"], first: Int[Tensor, " clips"], n: int, dtype: torch.dtype
) -> Float[Tensor, "clips {n} {n}"]:
    """Matrices that resample positions ``first ... first + extent - 1`` of an axis of length `n` to the whole axis."""
    place = torch.arange(n, device=extent.device)
    source = place * ((extent - 1).to(dtype) / max(n - 1, 1))[:, None]  # (B, n)
    below = source.floor()
    past = source - below
    matrix = torch.zeros(len(extent), n, n + 1, dtype=dtype, device=extent.device)  # last column: off the axis
    for tap in range(-1, 3):
        inside = (below.long() + tap).clamp(min=0).minimum((extent - 1)[:, None]) + first[:, None]
        column = torch.where((inside >= 0) & (inside < n), inside, n)
        matrix.scatter_add_(2, column[:, :, None], _cubic(past - tap)[:, :, None])
    return matrix[:, :, :n]


def _cubic(distance: Float[Tensor, "*shape"], a: float = -0.75) -> Float[Tensor, "*shape"]:
    """Weight of a position at a distance, by cubic convolution."""
    t = distance.abs()
    near = ((a + 2) * t - (a + 3)) * t * t + 1
    far = ((a * t - 5 * a) * t + 8 * a) * t - 4 * a
    return torch.where(t <= 1, near, far)
