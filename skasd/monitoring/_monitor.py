"""Monitor: one machine that is listened to for days, with a stated number of false episodes per day."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import pandas as pd
from tqdm import tqdm

from skasd._parameters import check_path
from skasd.monitoring._drift import DriftAlarm
from skasd.monitoring._episodes import Episode, HeardWindow
from skasd.monitoring._learning import Learning, LearningSound, learnt, refuse_endless
from skasd.monitoring._listener import Listener
from skasd.monitoring._score_windows import batches, score_windows
from skasd.monitoring._settings import Settings
from skasd.monitoring._state import probe_score, read_state, restored, settings_in, state_of, write_state
from skasd.monitoring._stream import Stream, piece_of
from skasd.monitoring._window_scorer import COLUMNS, WindowScorer
from skasd.monitoring._windows import Window


@dataclass(frozen=True)
class Heard:
    """What a monitor heard in a push.

    Parameters
    ----------
    windows : DataFrame of shape (n_windows, 7)
        The windows that it completed, as :func:`score_windows` gives them; `threshold` and `decision` are those of the
        detector about a single window, and not of the monitor.
    episodes : tuple of Episode
        Episodes that started, went on or ended, in this order of time.
    drift : DriftAlarm or None
        Alarm that was raised now.
    learning : Learning or None
        The threshold that was set now.
    hours_missing : float
        Hours of normal sound until a threshold can be set; 0 once it is.
    """

    windows: pd.DataFrame
    episodes: tuple[Episode, ...]
    drift: DriftAlarm | None
    learning: Learning | None
    hours_missing: float


class Monitor:
    """Listens to one machine for days, and reports episodes instead of single alarms.

    It learns from normal sound which scores are usual, and sets a threshold by the number of false episodes per day that you
    accept. From then on it reports *episodes*, and raises an alarm once if the machine has *drifted*: if it does not sound
    as in the learning period any more, be it sound or not.

    Parameters
    ----------
    detector : detector or Pipeline
        Fitted detector, as for :func:`score_windows`.
    false_episodes_per_day : float, default=1.0
        Number of episodes in 24 hours of normal sound that you accept, in (0, 1000]. A number r takes at least 6 / r hours
        of normal sound.
    window, hop, machine : float, float and str, or None, default=None
        Windows and machine, as for :func:`score_windows`.
    learning_hours : float, default=24.0
        Hours of sound from which :meth:`push` and :meth:`push_clip` learn before they watch. It should hold every operating
        state that is normal: a day rather than an hour.
    end_share : float, default=0.02
        Share of the windows of normal sound that exceed the lower level, in (0, 0.2]. An episode goes on as long as scores
        exceed it.
    least_duration : float, default=0.0
        Time in s for which scores must have exceeded the lower level, up to the end of the last window, before there is an
        episode.
    longest_gap : float, default=30.0
        Longest time in s without a score above the lower level within an episode, from the end of a window to the start of
        the next. After an alarm about drift it is an hour at least, as the threshold holds no longer: one long episode says
        what a hundred short ones would.
    drift_level : float, default=0.01
        Probability of a false alarm about drift at any time, in (0, 0.5].
    drift_interval : float, default=600.0
        Time in s between windows that the test of drift looks at; a window at least. Sound at that distance should be
        unlike.

    See Also
    --------
    score_windows : Scores of the windows of a recording.

    Notes
    -----
    Neighbouring windows overlap and are alike, so the number of false alarms is no multiple of their number. Scores above
    the lower level are joined to *runs*, by the rule that makes episodes. An episode is a run whose largest score exceeds
    the threshold, so that the number of false episodes per day is the rate of runs above it. That is known from counting up
    to the largest scores that were heard, and is continued beyond them by a generalised Pareto distribution of the largest
    score of a run [1]_; the threshold is where the expected rate is the one asked for, given what the sound tells. Runs
    in place of windows is what [2]_ calls declustering.

    The test of drift ranks one window in ten minutes among those of the learning period, and bets against exchangeability as
    :meth:`CalibratedDetector.check_exchangeability <skasd.decisions.CalibratedDetector.check_exchangeability>` does.

    Nothing is promised for sound unlike that of the learning period. It must not be that of the training: a detector scores
    its own training clips lower than new ones. A day is 24 hours of sound, not of the calendar.

    References
    ----------
    .. [1] S. Coles, "An Introduction to Statistical Modeling of Extreme Values", Springer, 2001, chapters 4 and 5.
    .. [2] C. A. T. Ferro, J. Segers, "Inference for clusters of extreme values", Journal of the Royal Statistical Society B
           65(2), 2003.

    Examples
    --------
    >>> from skasd.datasets import make_machine_clips
    >>> from skasd.detectors import TWFRDetector
    >>> from skasd.monitoring import Monitor
    >>> counts = {"n_train": 40, "n_test_normal": 400, "n_test_anomaly": 5}
    >>> clips = make_machine_clips("fan", **counts, duration=1.0, severity=4.0, target_share=0.0, random_state=0).data
    >>> sound = clips["waveform"].to_list()
    >>> detector = TWFRDetector().fit(sound[:40])
    >>> monitor = Monitor(detector, false_episodes_per_day=100, end_share=0.1, longest_gap=1.0)
    >>> learning = monitor.learn(sound[40:440])
    >>> round(learning.hours, 2), round(learning.episodes_per_day)
    (0.11, 100)
    >>> len(monitor.push(sound[440]).episodes)
    1
    """

    def __init__(
        self,
        detector: Any,
        *,
        false_episodes_per_day: float = 1.0,
        window: float | None = None,
        hop: float | None = None,
        machine: str | None = None,
        learning_hours: float = 24.0,
        end_share: float = 0.02,
        least_duration: float = 0.0,
        longest_gap: float = 30.0,
        drift_level: float = 0.01,
        drift_interval: float = 600.0,
    ) -> None:
        settings = Settings(
            false_episodes_per_day=false_episodes_per_day,
            window=window,
            hop=hop,
            machine=machine,
            learning_hours=learning_hours,
            end_share=end_share,
            least_duration=least_duration,
            longest_gap=longest_gap,
            drift_level=drift_level,
            drift_interval=drift_interval,
        )
        self._detector = detector
        self._scorer = WindowScorer.of(detector, window=window, hop=hop, machine=machine)
        settings.check_interval(self._scorer.length / self._scorer.reader.sample_rate)
        refuse_endless(settings, self._scorer.hop / self._scorer.reader.sample_rate)
        self._listener = Listener.of(settings)
        self._stream: Stream | None = None
        self._heard_until: float | None = None
        self._probe: float | None = None

    def learn(self, sources: Sequence[Any], *, verbose: int = 0) -> Learning:
        """Set the threshold by normal sound, at once; what was learnt before is replaced.

        Parameters
        ----------
        sources : sequence of path or ndarray
            Recordings or waveforms, as for :func:`score_windows`, of normal sound that the detector was not trained on. They
            follow each other.
        verbose : int, default=0
            Shows a progress bar if 1 or larger.

        Returns
        -------
        learning : Learning
            The threshold, the expected number of false episodes per day, and its interval.

        Raises
        ------
        ValueError
            If the number of false episodes that is asked for takes more sound; the message says how many hours. The monitor
            stays as it was.
        """
        if isinstance(sources, str | os.PathLike) or not isinstance(sources, Iterable):
            raise TypeError(f"sources={sources!r}; a list of recordings is expected, such as [{sources!r}].")
        sound, until = LearningSound(), 0.0
        for source in tqdm(list(sources), desc="learn", disable=verbose < 1, leave=False):
            table = _scores(self._detector, self._listener.settings, source)
            for window in _heard(table, until, None):
                sound.add(window)
            until += float(table["end"].max())
        settings = self._listener.settings
        learning = learnt(sound, settings, datetime.now(UTC), self._listener.learning)
        self._listener.accept(learning, sound)
        return learning

    def push(self, samples: Any, *, at: datetime | None = None) -> Heard:
        """Listen to the next samples of a stream; a window is scored as soon as it is whole.

        Parameters
        ----------
        samples : array of shape (n_timepoints,) or (n_channels, n_timepoints)
            Samples at the sample rate of the detector, in pieces of any size: floating point, or integer PCM. Windows and
            scores are those of :func:`score_windows` of all pieces together, without the last window that ends with them.
        at : datetime or None, default=None
            Time of the first of them, with a time zone. None continues the stream; its first piece is now, or follows what
            was heard before. More than a second after the end of the stream, a new one begins.

        Returns
        -------
        heard : Heard
            Windows, episodes, drift and learning.

        Raises
        ------
        ValueError
            If the samples cannot be used, as they hold NaN, for example; the monitor stays as it was.
        """
        stream = self._stream
        channels = piece_of(samples, stream)
        if at is not None and stream is not None:
            stream = stream.set_to(_seconds("at", at))
        if channels.size and stream is None:
            stream = Stream.beginning(_start("at", at, self._heard_until), self._scorer, channels)
        windows: list[Window] = []
        if channels.size and stream is not None:
            stream, windows = stream.longer(channels, self._scorer)
        tables = [self._scorer.table(batch) for batch in batches(windows, self._scorer.length)]
        table = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=list(COLUMNS))
        if stream is not None:
            self._stream, self._heard_until = stream, stream.heard_until
        return self._told(table, 0.0 if stream is None else stream.started, None)

    def push_clip(self, path: str | os.PathLike[str], *, started_at: datetime | None = None) -> Heard:
        """Listen to a whole recording.

        Parameters
        ----------
        path : path
            Audio file.
        started_at : datetime or None, default=None
            Time of its start, with a time zone. None lets it follow what was heard before. An episode can go on from one
            recording to the next if there is no more than `longest_gap` between them.

        Returns
        -------
        heard : Heard
            Windows, episodes, drift and learning.

        Raises
        ------
        ValueError
            If the recording cannot be used; the monitor stays as it was.
        """
        check_path("path", path)
        start = _start("started_at", started_at, self._heard_until)
        table = _scores(self._detector, self._listener.settings, path)
        self._stream, self._heard_until = None, start + float(table["end"].max())
        return self._told(table, start, os.fspath(path))

    def _told(self, table: pd.DataFrame, started: float, clip: str | None) -> Heard:
        """What the listener notices in windows whose times count from a start."""
        noticed = self._listener.hear(_heard(table, started, clip))
        return Heard(table, tuple(noticed.episodes), noticed.drift, noticed.learning, self._listener.hours_missing)

    def relearn(self) -> None:
        """Begin a new learning period with the next sound; until it has ended there are no episodes.

        After a repair, or once it is known that a machine that has drifted is healthy. The learning that ends it says in its
        details what it replaced.
        """
        self._listener.learn_again()

    def state(self) -> dict[str, Any]:
        """State as objects that JSON can hold, with the samples of a stream that are no whole window yet.

        Returns
        -------
        state : dict
            The state, of bounded size; it does not hold the detector.
        """
        if self._probe is None:
            self._probe = probe_score(self._scorer)
        return state_of(self._listener, self._stream, self._heard_until, self._probe)

    @classmethod
    def from_state(cls, detector: Any, state: dict[str, Any]) -> Self:
        """Monitor that goes on from a state.

        Parameters
        ----------
        detector : detector or Pipeline
            The detector that the state was made with.
        state : dict
            What :meth:`state` returned.

        Returns
        -------
        monitor : Monitor
            It goes on as if it had never been stopped.

        Raises
        ------
        ValueError
            If the state is of another detector, of another format, or damaged.
        """
        settings = settings_in(state)
        monitor = cls(detector, **vars(settings))
        monitor._probe = probe_score(monitor._scorer)
        monitor._listener, monitor._stream, monitor._heard_until = restored(state, settings, monitor._probe)
        return monitor

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the state to a file; an interrupt leaves the old file or none.

        Parameters
        ----------
        path : path
            File to write, of JSON; one that exists is replaced.
        """
        check_path("path", path)
        write_state(self.state(), Path(path))

    @classmethod
    def load(cls, path: str | os.PathLike[str], detector: Any) -> Self:
        """Monitor that goes on from a file.

        Parameters
        ----------
        path : path
            File that :meth:`save` wrote.
        detector : detector or Pipeline
            The detector that the state was made with.

        Returns
        -------
        monitor : Monitor
            It goes on as if it had never been stopped.
        """
        check_path("path", path)
        return cls.from_state(detector, read_state(Path(path)))


def _scores(detector: Any, settings: Settings, source: Any) -> pd.DataFrame:
    """Windows of a recording."""
    return score_windows(detector, source, window=settings.window, hop=settings.hop, machine=settings.machine)


def _heard(table: pd.DataFrame, started: float, clip: str | None) -> list[HeardWindow]:
    """Windows of a table, with times that count from a start."""
    start, end, score = (table[name].to_numpy(dtype=float) for name in ("start", "end", "anomaly_score"))
    parts = zip((started + start).tolist(), (started + end).tolist(), score.tolist(), strict=True)
    return [HeardWindow(*part, clip, number) for number, part in enumerate(parts)]


def _start(name: str, at: datetime | None, heard_until: float | None) -> float:
    """Time of the first sample of sound, in seconds since 1970."""
    if at is not None:
        return _seconds(name, at)
    return datetime.now(UTC).timestamp() if heard_until is None else heard_until


def _seconds(name: str, at: Any) -> float:
    if not isinstance(at, datetime):
        raise TypeError(f"{name}={at!r} is a {type(at).__name__}; a datetime with a time zone is expected.")
    if at.tzinfo is None:
        raise ValueError(f"{name}={at!r} has no time zone; give one, such as datetime.now(UTC).")
    return at.timestamp()
