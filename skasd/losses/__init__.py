"""Loss functions, and heads that hold the learned class centres; computed in float32 or float64."""

from skasd.losses._adacos import (
    SubClusterAdaCosHead,
    adacos_scale,
    adapted_scale,
    soft_cross_entropy,
    sub_cluster_log_probability,
)
from skasd.losses._adaproj import AdaProjHead, projection_cosine
from skasd.losses._arcface import ArcFaceHead, arcface_logits
from skasd.losses._contrastive import supervised_contrastive_loss
from skasd.losses._cross_domain import cross_domain_loss, cross_domain_pairs
from skasd.losses._label_text import text_embedding
from skasd.losses._mixed_labels import arcmix_loss, noisy_arcmix_loss
from skasd.losses._prototype import prototype_loss
from skasd.losses._two_views import two_view_loss

__all__ = [
    "AdaProjHead",
    "ArcFaceHead",
    "SubClusterAdaCosHead",
    "adacos_scale",
    "adapted_scale",
    "arcface_logits",
    "arcmix_loss",
    "cross_domain_loss",
    "cross_domain_pairs",
    "noisy_arcmix_loss",
    "projection_cosine",
    "prototype_loss",
    "soft_cross_entropy",
    "sub_cluster_log_probability",
    "supervised_contrastive_loss",
    "text_embedding",
    "two_view_loss",
]
