"""Inspection: where in time and frequency a clip is odd, and pictures of scores, maps and embeddings."""

from typing import TYPE_CHECKING

from skasd._lazy import imported_when_used

if TYPE_CHECKING:
    from skasd.inspection._axes import MapAxes, map_axes
    from skasd.inspection._explain import explain
    from skasd.inspection._maps import anomaly_map

__all__ = ["MapAxes", "anomaly_map", "explain", "map_axes"]

__getattr__ = imported_when_used(
    __name__,
    {"MapAxes": "_axes", "anomaly_map": "_maps", "explain": "_explain", "map_axes": "_axes"},
)


def __dir__() -> list[str]:
    return __all__
