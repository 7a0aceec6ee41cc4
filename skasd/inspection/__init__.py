"""Inspection: where in time and frequency a clip is odd, and pictures of scores, maps and embeddings."""

from typing import TYPE_CHECKING

from skasd._lazy import imported_when_used

if TYPE_CHECKING:
    from skasd.inspection._anomaly_map_display import AnomalyMapDisplay
    from skasd.inspection._axes import MapAxes, map_axes
    from skasd.inspection._embedding_display import EmbeddingDisplay
    from skasd.inspection._explain import explain
    from skasd.inspection._maps import anomaly_map
    from skasd.inspection._roc_display import RocDisplay
    from skasd.inspection._score_display import ScoreDisplay

__all__ = [
    "AnomalyMapDisplay",
    "EmbeddingDisplay",
    "MapAxes",
    "RocDisplay",
    "ScoreDisplay",
    "anomaly_map",
    "explain",
    "map_axes",
]

__getattr__ = imported_when_used(
    __name__,
    {
        "AnomalyMapDisplay": "_anomaly_map_display",
        "EmbeddingDisplay": "_embedding_display",
        "MapAxes": "_axes",
        "RocDisplay": "_roc_display",
        "ScoreDisplay": "_score_display",
        "anomaly_map": "_maps",
        "explain": "_explain",
        "map_axes": "_axes",
    },
)


def __dir__() -> list[str]:
    return __all__
