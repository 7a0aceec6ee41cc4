"""Augmentations: random changes of tensors, drawn from an explicit generator."""

from skasd.augmentations._band_mask import band_mask, power_split
from skasd.augmentations._exchange import (
    Exchange,
    draw_exchange,
    exchanged_parts,
    exchanged_statistics,
    exchanged_target,
)
from skasd.augmentations._frames import linear_fader, masked_frames, shifted_frames
from skasd.augmentations._log_mixup import MemoryBank, log_mixup_exp
from skasd.augmentations._mixup import Mixing, draw_mixing
from skasd.augmentations._normalisation import PostNormalisation, PreNormalisation
from skasd.augmentations._resize_crop import Crops, draw_crops, resized_crops
from skasd.augmentations._spectrum_augmentation import (
    SpectrumAugmentation,
    SpectrumAugmenter,
    TrainingSpectra,
    forget_clips,
)

__all__ = [
    "Crops",
    "Exchange",
    "MemoryBank",
    "Mixing",
    "PostNormalisation",
    "PreNormalisation",
    "SpectrumAugmentation",
    "SpectrumAugmenter",
    "TrainingSpectra",
    "band_mask",
    "draw_crops",
    "draw_exchange",
    "draw_mixing",
    "exchanged_parts",
    "exchanged_statistics",
    "exchanged_target",
    "forget_clips",
    "linear_fader",
    "log_mixup_exp",
    "masked_frames",
    "power_split",
    "resized_crops",
    "shifted_frames",
]
