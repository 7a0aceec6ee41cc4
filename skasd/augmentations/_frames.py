"""Augmentations along time: frames masked, frames shifted, and a level that rises or falls.

D. Park et al., "SpecAugment", Interspeech 2019, arXiv:1904.08779 (masks); D. Niizumi et al., "BYOL for audio", IEEE/ACM
TASLP 2023, arXiv:2204.07402 (fader).

Axes: B patches or spectrograms, P or T frames, F mel bands.
"""

import torch
from torch import Tensor


def masked_frames(patch: Tensor, max_frames: int, generator: torch.Generator) -> Tensor:
    """A run of frames of each patch set to the mean of the patch.

    Parameters
    ----------
    patch : Tensor of shape (B, P, F)
        Patches, in any unit.
    max_frames : int
        The length of a run is drawn evenly from 0 to so many, and at most the patch; its place evenly too.
    generator : torch.Generator
        On the device of the patches.

    Returns
    -------
    patch : Tensor of shape (B, P, F)
    """
    n_frames = patch.shape[1]
    drawn = torch.rand(2, len(patch), 1, generator=generator, device=generator.device)
    length = (drawn[0] * (min(max_frames, n_frames) + 1)).floor()  # (B, 1)
    first = (drawn[1] * (n_frames - length + 1)).floor()
    frame = torch.arange(n_frames, device=patch.device)
    is_masked = (frame >= first) & (frame < first + length)  # (B, P)
    return torch.where(is_masked[:, :, None], patch.mean(dim=(1, 2), keepdim=True), patch)


def shifted_frames(patch: Tensor, max_frames: int, generator: torch.Generator) -> Tensor:
    """The frames of each patch shifted, those that leave it at one end coming back at the other.

    Parameters
    ----------
    patch : Tensor of shape (B, P, F)
        Patches, in any unit.
    max_frames : int
        The shift is drawn evenly from as many frames to the left to as many to the right.
    generator : torch.Generator
        On the device of the patches.

    Returns
    -------
    patch : Tensor of shape (B, P, F)
    """
    n_frames = patch.shape[1]
    shift = torch.randint(-max_frames, max_frames + 1, (len(patch), 1), generator=generator, device=generator.device)
    source = (torch.arange(n_frames, device=patch.device) - shift) % n_frames  # (B, P)
    return patch.gather(1, source[:, :, None].expand_as(patch))


def linear_fader(spectrogram: Tensor, generator: torch.Generator, *, max_change: float = 1.0) -> Tensor:
    """A straight line over time added to all bands of each spectrogram.

    Parameters
    ----------
    spectrogram : Tensor of shape (B, F, T)
        Normalised, as a rule: 1 is then a standard deviation.
    generator : torch.Generator
        On the device of the spectrograms.
    max_change : float, default=1.0
        Both ends of a line are drawn evenly between minus this and this.

    Returns
    -------
    spectrogram : Tensor of shape (B, F, T)
    """
    ends = torch.rand(2, len(spectrogram), 1, 1, generator=generator, device=generator.device) * 2 - 1
    first, last = (max_change * ends).to(spectrogram.dtype)
    way = torch.linspace(0, 1, spectrogram.shape[2], dtype=spectrogram.dtype, device=spectrogram.device)
    return spectrogram + torch.lerp(first, last, way)
