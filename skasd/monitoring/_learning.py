"""The learning period: from the scores of normal sound to a threshold with a stated number of false episodes per day."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np

from skasd.monitoring._episodes import HeardWindow
from skasd.monitoring._runs import RunRule, largest_scores
from skasd.monitoring._settings import Settings
from skasd.monitoring._tail import FEWEST, Tail

FEWEST_EXPECTED = 0.25  # false episodes in the sound that is learnt from, by the rate that is asked
MOST_WINDOWS = 2**20  # that are kept of a learning period: 60 days, 5 s from one to the next
DAY = 24.0  # hours
_HOUR = 3600.0  # s
_MORE = 1.1  # hours that are said to be missing: the number of runs varies


@dataclass(frozen=True)
class Learning:
    """What a learning period gave.

    Parameters
    ----------
    learnt_at : datetime
        When the threshold was set, in UTC.
    hours : float
        Length of the normal sound.
    threshold : float
        Threshold on the anomaly score.
    episodes_per_day : float
        Expected number of false episodes in 24 hours of sound at this threshold.
    lowest_per_day, highest_per_day : float
        95 % interval of it.
    details : dict
        ``"lower_level"``, the score below which an episode ends; ``"median_score"`` and ``"largest_score"`` of the
        windows; ``"n_windows"`` and ``"n_runs"``, the number of runs above the lower level; and ``"before"``, a dict with
        `learnt_at`, `hours`, `threshold` and `median_score` of the learning that this one replaced, or None.
    """

    learnt_at: datetime
    hours: float
    threshold: float
    episodes_per_day: float
    lowest_per_day: float
    highest_per_day: float
    details: dict[str, Any]


class TooLittleSoundError(ValueError):
    """The asked number of false episodes cannot be had from what was heard.

    Parameters
    ----------
    message : str
        What is missing.
    hours : float
        Hours of normal sound that it takes.
    """

    def __init__(self, message: str, hours: float) -> None:
        super().__init__(message)
        self.hours = hours


@dataclass
class LearningSound:
    """Windows of a learning period.

    Parameters
    ----------
    start, end, score : list of float
        Start and end, in s, and anomaly score of each window.
    seconds : float
        Length of the sound that they cover.
    """

    start: list[float] = field(default_factory=list)
    end: list[float] = field(default_factory=list)
    score: list[float] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, window: HeardWindow) -> None:
        """Add the next window.

        Parameters
        ----------
        window : HeardWindow
            The window.
        """
        if len(self.start) >= MOST_WINDOWS:
            self._forget()
        length = window.end - window.start
        goes_on = bool(self.start) and self.start[-1] <= window.start
        self.seconds += min(length, max(window.end - self.end[-1], 0.0)) if goes_on else length
        self.start.append(window.start)
        self.end.append(window.end)
        self.score.append(window.score)

    def _forget(self) -> None:
        """Leave out the older half, so that a period that never ends does not fill the memory."""
        for part in (self.start, self.end, self.score):
            del part[: len(part) // 2]
        start, end = np.array(self.start), np.array(self.end)
        new = np.where(start[1:] >= start[:-1], np.clip(np.diff(end), 0, (end - start)[1:]), (end - start)[1:])
        self.seconds = float(end[0] - start[0] + new.sum())

    @property
    def hours(self) -> float:
        """Length of the sound in hours."""
        return self.seconds / _HOUR


def learnt(sound: LearningSound, settings: Settings, learnt_at: datetime, before: Learning | None) -> Learning:
    """Set the threshold.

    Parameters
    ----------
    sound : LearningSound
        Windows of normal sound.
    settings : Settings
        Parameters of the monitor.
    learnt_at : datetime
        Date and time, in UTC.
    before : Learning or None
        What was learnt before.

    Raises
    ------
    TooLittleSoundError
        If it takes more sound.
    """
    rate, days = settings.false_episodes_per_day, sound.hours / DAY
    if rate * days < FEWEST_EXPECTED * (1 - 1e-9):
        raise _too_little(sound, rate, DAY * FEWEST_EXPECTED / rate)
    start, end, score = (np.array(part) for part in (sound.start, sound.end, sound.score))
    low = float(np.quantile(score, 1 - settings.end_share))
    largest = largest_scores(start, end, score, RunRule(low, settings.longest_gap, settings.least_duration))
    if len(largest) < FEWEST:
        raise _too_few_runs(sound, settings, len(largest))
    tail = Tail.of(largest, low, days, rate)
    threshold = tail.threshold(rate)
    lowest, highest = tail.interval(threshold)
    details = {
        "lower_level": low,
        "median_score": float(np.median(score)),
        "largest_score": float(score.max()),
        "n_windows": len(score),
        "n_runs": len(largest),
        "before": None if before is None else _summary(before),
    }
    return Learning(learnt_at, sound.hours, threshold, tail.rate(threshold), lowest, highest, details)


def _summary(learning: Learning) -> dict[str, Any]:
    return {
        "learnt_at": learning.learnt_at.isoformat(),
        "hours": learning.hours,
        "threshold": learning.threshold,
        "median_score": learning.details["median_score"],
    }


def _too_little(sound: LearningSound, rate: float, hours: float) -> TooLittleSoundError:
    return TooLittleSoundError(
        f"false_episodes_per_day={rate!r} takes {hours:.3g} hours of normal sound, and there are {sound.hours:.3g}. Give "
        "more sound, or a larger number.",
        hours,
    )


def _too_few_runs(sound: LearningSound, settings: Settings, n_runs: int) -> TooLittleSoundError:
    hours = sound.hours * min(FEWEST / max(n_runs, 1), FEWEST) * _MORE
    return TooLittleSoundError(
        f"A threshold takes {FEWEST} times at which the score of normal sound is high for a while (end_share="
        f"{settings.end_share!r}, longest_gap={settings.longest_gap!r}, least_duration={settings.least_duration!r}); "
        f"{sound.hours:.3g} hours have {n_runs}. Give about {hours:.3g} hours.",
        hours,
    )
