"""Clusters of clips that sound alike, as labels where there are none."""

from skasd.clustering._statistical import StatisticalClusterer

__all__ = ["StatisticalClusterer"]
