"""Clusters of clips that sound alike: classes where nobody wrote down how a machine ran."""

from skasd.clustering._clip_statistics import ClipStatistics
from skasd.clustering._statistical import StatisticalClusterer

__all__ = ["ClipStatistics", "StatisticalClusterer"]
