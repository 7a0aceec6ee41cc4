"""Anomalous sound detection for machines as scikit-learn estimators."""

from skasd._version import __version__

__all__ = ["__version__"]
