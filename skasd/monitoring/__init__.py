"""Watching machines: long recordings, streams, episodes and drift."""

from skasd.monitoring._drift import DriftAlarm
from skasd.monitoring._episodes import Episode
from skasd.monitoring._learning import Learning
from skasd.monitoring._monitor import Heard, Monitor
from skasd.monitoring._score_windows import score_windows

__all__ = ["DriftAlarm", "Episode", "Heard", "Learning", "Monitor", "score_windows"]
