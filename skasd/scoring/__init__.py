"""Back ends: from embeddings to anomaly scores."""

from skasd.scoring._base import BackEnd, check_scorer

__all__ = ["BackEnd", "check_scorer"]
