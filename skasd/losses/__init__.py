"""Losses, and the heads that hold what they learn: tensors in, a number out; always in float32 or better."""

from skasd.losses._arcface import ArcFaceHead, arcface_logits
from skasd.losses._contrastive import supervised_contrastive_loss
from skasd.losses._mixed_labels import arcmix_loss, noisy_arcmix_loss

__all__ = ["ArcFaceHead", "arcface_logits", "arcmix_loss", "noisy_arcmix_loss", "supervised_contrastive_loss"]
