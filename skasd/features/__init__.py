"""Transformers from waveforms to features, and from features to features."""

from typing import TYPE_CHECKING

from skasd._lazy import imported_when_used

if TYPE_CHECKING:
    from skasd.features._log_mel import LogMelTransformer
    from skasd.features._median_filter import MedianFilter
    from skasd.features._noise_reduced import NoiseReducedLogMel
    from skasd.features._pretrained import PretrainedEmbedding
    from skasd.features._statistics import StatisticsTransformer
    from skasd.features._tfgram import TFgramTransformer
    from skasd.features._twfr import TWFRTransformer

__all__ = [
    "LogMelTransformer",
    "MedianFilter",
    "NoiseReducedLogMel",
    "PretrainedEmbedding",
    "StatisticsTransformer",
    "TFgramTransformer",
    "TWFRTransformer",
]

__getattr__ = imported_when_used(
    __name__,
    {
        "LogMelTransformer": "_log_mel",
        "MedianFilter": "_median_filter",
        "NoiseReducedLogMel": "_noise_reduced",
        "PretrainedEmbedding": "_pretrained",
        "StatisticsTransformer": "_statistics",
        "TFgramTransformer": "_tfgram",
        "TWFRTransformer": "_twfr",
    },
)


def __dir__() -> list[str]:
    return __all__
