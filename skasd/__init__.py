"""Anomalous sound detection for machines as scikit-learn estimators."""

from typing import TYPE_CHECKING

from skasd._lazy import imported_when_used
from skasd._version import __version__

if TYPE_CHECKING:
    from skasd._show_versions import show_versions
    from skasd.persistence import load, save

__all__ = ["__version__", "load", "save", "show_versions"]

__getattr__ = imported_when_used(
    __name__, {"load": "persistence", "save": "persistence", "show_versions": "_show_versions"}
)
