"""Augmentations: tensors to tensors, with the generator given."""

from skasd.augmentations._mixup import Mixing, draw_mixing

__all__ = ["Mixing", "draw_mixing"]
