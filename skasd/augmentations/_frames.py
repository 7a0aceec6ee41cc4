"""Augmentations along time: masked frames, shifted frames, and a linear fade of the level.

D. Park et al., "SpecAugment", Interspeech 2019, arXiv:1904.08779 (masks); D. Niizumi et al., "BYOL for audio", IEEE/ACM
TASLP 2023, arXiv:2204.07402 (fader).

Axes: B patches, P frames of a patch.
"""

import torch
from torch import Tensor

from skasd._typing import Float
from skasd.augmentations._draw import drawn_uniform


def masked_frames(
    patch: Float[Tensor, "patches frames bands"], max_frames: int, generator: torch.Generator
) -> Float[Tensor, "patches frames bands"]:
    """Set a random run of frames of each patch to the mean of the patch.

    Parameters
    ----------
    patch : Tensor of shape (patches, frames, bands)
        Patches, in any unit.
    max_frames : int
        Maximum length of a run. The length is drawn uniformly from 0 to this or the length of the patch, whichever is
        smaller; the position is uniform too.
    generator : torch.Generator
        Random generator; the drawn numbers are moved to the device of the patches.

    Returns
    -------
    patch : Tensor of shape (patches, frames, bands)
        Masked patches.
    """
    n_frames = patch.shape[1]
    drawn = drawn_uniform(2, len(patch), 1, generator=generator).to(patch.device)
    length = (drawn[0] * (min(max_frames, n_frames) + 1)).floor()  # (B, 1)
    first = (drawn[1] * (n_frames - length + 1)).floor()
    frame = torch.arange(n_frames, device=patch.device)
    is_masked = (frame >= first) & (frame < first + length)  # (B, P)
    return torch.where(is_masked[:, :, None], patch.mean(dim=(1, 2), keepdim=True), patch)


def shifted_frames(
    patch: Float[Tensor, "patches frames bands"], max_frames: int, generator: torch.Generator
) -> Float[Tensor, "patches frames bands"]:
    """Shift the frames of each patch circularly by a random number of frames.

    Parameters
    ----------
    patch : Tensor of shape (patches, frames, bands)
        Patches, in any unit.
    max_frames : int
        Maximum shift in frames. The shift is drawn uniformly from ``-max_frames`` to ``max_frames``.
    generator : torch.Generator
        Random generator; the drawn numbers are moved to the device of the patches.

    Returns
    -------
    patch : Tensor of shape (patches, frames, bands)
        Shifted patches.
    """
    n_frames = patch.shape[1]
    shift = torch.randint(-max_frames, max_frames + 1, (len(patch), 1), generator=generator, device=generator.device)
    source = (torch.arange(n_frames, device=patch.device) - shift.to(patch.device)) % n_frames  # (B, P)
    return patch.gather(1, source[:, :, None].expand_as(patch))


def linear_fader(
    spectrogram: Float[Tensor, "clips bands frames"], generator: torch.Generator, *, max_change: float = 1.0
) -> Float[Tensor, "clips bands frames"]:
    """Add a random straight line over time to all bands of each spectrogram.

    Parameters
    ----------
    spectrogram : Tensor of shape (clips, bands, frames)
        Spectrograms, usually normalised, so that 1 is one standard deviation.
    generator : torch.Generator
        Random generator; the drawn numbers are moved to the device of the spectrograms.
    max_change : float, default=1.0
        Maximum change, in the unit of the spectrograms. Both ends of a line are drawn uniformly from ``-max_change`` to
        ``max_change``.

    Returns
    -------
    spectrogram : Tensor of shape (clips, bands, frames)
        Faded spectrograms.
    """
    ends = drawn_uniform(2, len(spectrogram), 1, 1, generator=generator) * 2 - 1
    first, last = (max_change * ends).to(spectrogram.device, spectrogram.dtype)
    way = torch.linspace(0, 1, spectrogram.shape[2], dtype=spectrogram.dtype, device=spectrogram.device)
    return spectrogram + torch.lerp(first, last, way)
