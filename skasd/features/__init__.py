"""Transformers from waveforms to features, and from features to features."""

from skasd.features._log_mel import LogMelTransformer
from skasd.features._median_filter import MedianFilter
from skasd.features._statistics import StatisticsTransformer
from skasd.features._tfgram import TFgramTransformer
from skasd.features._twfr import TWFRTransformer

__all__ = ["LogMelTransformer", "MedianFilter", "StatisticsTransformer", "TFgramTransformer", "TWFRTransformer"]
