"""Augmentations: tensors to tensors, with the generator given."""

from skasd.augmentations._exchange import (
    Exchange,
    draw_exchange,
    exchanged_parts,
    exchanged_statistics,
    exchanged_target,
)
from skasd.augmentations._frames import masked_frames, shifted_frames
from skasd.augmentations._mixup import Mixing, draw_mixing

__all__ = [
    "Exchange",
    "Mixing",
    "draw_exchange",
    "draw_mixing",
    "exchanged_parts",
    "exchanged_statistics",
    "exchanged_target",
    "masked_frames",
    "shifted_frames",
]
