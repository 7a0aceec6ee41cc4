"""Episodes: what is reported of runs of anomalous windows, one report in place of many alarms."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from skasd.monitoring._runs import RunRule


@dataclass(frozen=True)
class Episode:
    """A time in which a machine sounded anomalous.

    Parameters
    ----------
    started_at : datetime
        Start of the first window whose anomaly score exceeded the threshold, in UTC.
    ended_at : datetime or None
        End of the last window whose score exceeded the lower level; None while the episode lasts.
    n_windows : int
        Number of windows from its first to its last.
    largest_score : float
        Largest anomaly score.
    threshold : float
        Threshold on the anomaly score that was exceeded.
    clip : str or None
        Path of the recording of the window with the largest score; None for a stream.
    window_number : int
        Number of that window among those of its push, from 0.
    """

    started_at: datetime
    ended_at: datetime | None
    n_windows: int
    largest_score: float
    threshold: float
    clip: str | None
    window_number: int


@dataclass(frozen=True)
class HeardWindow:
    """A window with its score.

    Parameters
    ----------
    start, end : float
        Start and end, in seconds since 1970.
    score : float
        Anomaly score.
    clip : str or None
        Path of its recording.
    number : int
        Number of the window within its push.
    """

    start: float
    end: float
    score: float
    clip: str | None = None
    number: int = 0


@dataclass(frozen=True)
class Run:
    """A run of windows above the lower level that may go on.

    Parameters
    ----------
    first : float
        Start of its first window, in seconds since 1970.
    last_start, last_end : float
        Start and end of its last window above the level.
    started : float or None
        Start of its first window above the threshold; None if there was none yet.
    n_windows : int
        Number of windows from that one to the last above the level,
    n_since : int
        and of those that were heard since.
    largest : HeardWindow
        Window with the largest score.
    """

    first: float
    last_start: float
    last_end: float
    started: float | None
    n_windows: int
    n_since: int
    largest: HeardWindow


@dataclass(frozen=True)
class EpisodeRule:
    """When episodes start and end.

    Parameters
    ----------
    runs : RunRule
        Which windows belong together.
    threshold : float
        Score that makes an episode of a run.
    """

    runs: RunRule
    threshold: float

    def hear(self, run: Run | None, window: HeardWindow) -> tuple[Run | None, Episode | None]:
        """Take the next window.

        Parameters
        ----------
        run : Run or None
            Run that may go on.
        window : HeardWindow
            The window.

        Returns
        -------
        run : Run or None
            Run that may go on after it.
        ended : Episode or None
            The episode that it ended.
        """
        ended = None
        if run is not None and not self.runs.continues(window.start, run.last_start, run.last_end):
            run, ended = None, self.episode(run, has_ended=True)
        if window.score > self.runs.low:
            run = self._longer(run, window)
        elif run is not None:
            run = replace(run, n_since=run.n_since + 1)
        return run, ended

    def episode(self, run: Run | None, *, has_ended: bool) -> Episode | None:
        """The episode of a run; None if there is none.

        Parameters
        ----------
        run : Run or None
            A run.
        has_ended : bool
            Whether it cannot go on.
        """
        if run is None or run.started is None or run.last_end - run.first < self.runs.least_duration:
            return None
        return Episode(
            started_at=as_datetime(run.started),
            ended_at=as_datetime(run.last_end) if has_ended else None,
            n_windows=run.n_windows,
            largest_score=run.largest.score,
            threshold=self.threshold,
            clip=run.largest.clip,
            window_number=run.largest.number,
        )

    def _longer(self, run: Run | None, window: HeardWindow) -> Run:
        """The run with a window above the lower level at its end."""
        exceeds = window.score > self.threshold
        if run is None:
            started = window.start if exceeds else None
            return Run(window.start, window.start, window.end, started, int(exceeds), 0, window)
        n_windows = int(exceeds) if run.started is None else run.n_windows + run.n_since + 1
        return Run(
            first=run.first,
            last_start=window.start,
            last_end=window.end,
            started=window.start if run.started is None and exceeds else run.started,
            n_windows=n_windows,
            n_since=0,
            largest=max(run.largest, window, key=lambda one: one.score),
        )


def as_datetime(seconds: float) -> datetime:
    """Time in UTC.

    Parameters
    ----------
    seconds : float
        Seconds since 1970.
    """
    return datetime.fromtimestamp(seconds, UTC)
