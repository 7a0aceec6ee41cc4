"""Random resize crop: a part of a spectrogram, or a little more than it, stretched to its size.

D. Niizumi et al., "BYOL for audio", IJCNN 2021, arXiv:2103.06695. Bicubic interpolation is two products with matrices, one
along each axis, so that a whole batch with a crop each takes two calls.

Axes: B spectrograms, F mel bands, T frames, n places of an axis.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

Range = tuple[float, float]


@dataclass(frozen=True)
class Crops:
    """Part of a canvas that each spectrogram of a batch is cut to; the spectrogram is in the middle of the canvas.

    Parameters
    ----------
    height, width : Tensor of shape (B,), int64
        Mel bands and frames of the part.
    bottom, left : Tensor of shape (B,), int64
        Its first band and frame, counted from those of the spectrogram: negative where the part begins before it.
    """

    height: Tensor
    width: Tensor
    bottom: Tensor
    left: Tensor


def draw_crops(
    n_clips: int,
    size: tuple[int, int],
    generator: torch.Generator,
    *,
    frequency_scale: Range = (0.6, 1.5),
    time_scale: Range = (0.6, 1.5),
    canvas: Range = (1.0, 1.5),
) -> Crops:
    """Draw a part of the canvas for each spectrogram.

    Parameters
    ----------
    n_clips : int
        B.
    size : tuple of int
        F and T.
    generator : torch.Generator
        On the device of the spectrograms.
    frequency_scale, time_scale : tuple of float, default=(0.6, 1.5)
        Least and most of height and width, as shares of the size; what exceeds the canvas is the canvas.
    canvas : tuple of float, default=(1.0, 1.5)
        Height and width of the canvas, as shares of the size, at least 1.
    """
    drawn = torch.rand(4, n_clips, generator=generator, device=generator.device)
    rows = []
    for axis, (n, scale) in enumerate(zip(size, (frequency_scale, time_scale), strict=True)):
        room = int(n * canvas[axis])
        extent = ((scale[0] + drawn[axis] * (scale[1] - scale[0])) * n).long().clamp(1, room)
        offset = (drawn[2 + axis] * (room - extent + 1)).long()
        rows.append((extent, offset - (room - n) // 2))
    return Crops(rows[0][0], rows[1][0], rows[0][1], rows[1][1])


def resized_crops(spectrogram: Tensor, crops: Crops) -> Tensor:
    """Parts of spectrograms in the size of the whole, by bicubic interpolation with aligned corners.

    Parameters
    ----------
    spectrogram : Tensor of shape (B, F, T)
        Normalised, so that 0, which the canvas is filled with, is their mean.
    crops : Crops
        The parts.

    Returns
    -------
    spectrogram : Tensor of shape (B, F, T)
    """
    _, n_bands, n_frames = spectrogram.shape
    along_bands = _interpolation(crops.height, crops.bottom, n_bands, spectrogram.dtype)
    along_frames = _interpolation(crops.width, crops.left, n_frames, spectrogram.dtype)
    return along_bands @ spectrogram @ along_frames.transpose(1, 2)


def _interpolation(extent: Tensor, first: Tensor, n: int, dtype: torch.dtype) -> Tensor:
    """Matrices (B, n, n) that stretch places ``first ... first + extent - 1`` of an axis of n to all of it."""
    place = torch.arange(n, device=extent.device)
    source = place * ((extent - 1).to(dtype) / max(n - 1, 1))[:, None]  # (B, n)
    below = source.floor()
    past = source - below
    matrix = torch.zeros(len(extent), n, n + 1, dtype=dtype, device=extent.device)  # the last for what is off the axis
    for tap in range(-1, 3):
        inside = (below.long() + tap).clamp(min=0).minimum((extent - 1)[:, None]) + first[:, None]
        column = torch.where((inside >= 0) & (inside < n), inside, n)
        matrix.scatter_add_(2, column[:, :, None], _cubic(past - tap)[:, :, None])
    return matrix[:, :, :n]


def _cubic(distance: Tensor, a: float = -0.75) -> Tensor:
    """Weight of a place at a distance, by cubic convolution."""
    t = distance.abs()
    near = ((a + 2) * t - (a + 3)) * t * t + 1
    far = ((a * t - 5 * a) * t + 8 * a) * t - 4 * a
    return torch.where(t <= 1, near, far)
