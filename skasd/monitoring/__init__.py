"""Watching machines: long recordings, streams, episodes and drift."""

from skasd.monitoring._score_windows import score_windows

__all__ = ["score_windows"]
