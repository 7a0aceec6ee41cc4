"""Listener: what a monitor remembers of the windows that it heard, and what it makes of the next ones."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from skasd.monitoring._drift import DriftAlarm, DriftTest, thinned
from skasd.monitoring._episodes import Episode, EpisodeRule, HeardWindow, Run, as_datetime
from skasd.monitoring._learning import Learning, LearningSound, TooLittleSoundError, learnt
from skasd.monitoring._runs import RunRule
from skasd.monitoring._settings import Settings

GAP_IN_DRIFT = 3600.0  # s, within an episode once the machine has drifted, when the threshold does not hold any more
_LATER = 1.05  # of the hours that were heard: when the next attempt to learn is made, at the earliest


@dataclass
class Noticed:
    """What was noticed in some windows.

    Parameters
    ----------
    episodes : list of Episode
        Episodes that started, went on or ended.
    drift : DriftAlarm or None
        Alarm that was raised.
    learning : Learning or None
        Learning that was completed.
    """

    episodes: list[Episode] = field(default_factory=list)
    drift: DriftAlarm | None = None
    learning: Learning | None = None


@dataclass
class Listener:
    """Learns, and then watches.

    Parameters
    ----------
    settings : Settings
        Parameters of the monitor.
    sound : LearningSound or None
        What was heard of the learning period; None once the threshold is set.
    due : float
        Hours of sound at which the threshold is to be set.
    learning : Learning or None
        The last learning that was completed.
    drift : DriftTest or None
        Test of drift since then.
    run : Run or None
        Run that may go on.
    ended : Episode or None
        Episode that ended when learning began again, to be told with the next windows.
    """

    settings: Settings
    sound: LearningSound | None = field(default_factory=LearningSound)
    due: float = 0.0
    learning: Learning | None = None
    drift: DriftTest | None = None
    run: Run | None = None
    ended: Episode | None = None

    @classmethod
    def of(cls, settings: Settings) -> "Listener":
        """One that has heard nothing.

        Parameters
        ----------
        settings : Settings
            Parameters of the monitor.
        """
        return cls(settings, due=settings.learning_hours)

    def hear(self, windows: Iterable[HeardWindow]) -> Noticed:
        """Take the next windows.

        Parameters
        ----------
        windows : iterable of HeardWindow
            Windows in order.
        """
        noticed = Noticed([self.ended] if self.ended is not None else [])
        self.ended = None
        for window in windows:
            if self.sound is None:
                self._watch(window, noticed)
                continue
            self.sound.add(window)
            if self.sound.hours >= self.due:
                self._try_to_learn(self.sound, window, noticed)
        lasting = self.rule.episode(self.run, has_ended=False) if self.run is not None else None
        noticed.episodes += [] if lasting is None else [lasting]
        return noticed

    def learn_again(self) -> None:
        """Begin a learning period; the threshold of the last one does not hold any more."""
        self._end_episode()
        self.sound, self.due, self.drift = LearningSound(), self.settings.learning_hours, None

    def accept(self, learning: Learning, sound: LearningSound) -> None:
        """Watch from now on.

        Parameters
        ----------
        learning : Learning
            What was learnt,
        sound : LearningSound
            and from what.
        """
        self._end_episode()
        self.sound, self.learning = None, learning
        reference = thinned(np.array(sound.start), np.array(sound.score), self.settings.drift_interval)
        self.drift = DriftTest(self.settings.drift_interval, self.settings.drift_level, reference)

    @property
    def hours_missing(self) -> float:
        """Hours of sound until a threshold can be set; 0 once it is."""
        return 0.0 if self.sound is None else max(0.0, self.due - self.sound.hours)

    @property
    def rule(self) -> EpisodeRule:
        """When episodes start and end."""
        if self.learning is None:
            raise RuntimeError("There is no threshold before the learning period has ended.")
        low, longest_gap = self.learning.details["lower_level"], self.settings.longest_gap
        if self.drift is not None and self.drift.has_alarmed:
            longest_gap = max(longest_gap, GAP_IN_DRIFT)
        return EpisodeRule(RunRule(low, longest_gap, self.settings.least_duration), self.learning.threshold)

    def _watch(self, window: HeardWindow, noticed: Noticed) -> None:
        self.run, ended = self.rule.hear(self.run, window)
        if ended is not None:
            noticed.episodes.append(ended)
        alarm = None if self.drift is None else self.drift.hear(window)
        noticed.drift = alarm or noticed.drift

    def _try_to_learn(self, sound: LearningSound, window: HeardWindow, noticed: Noticed) -> None:
        try:
            learning = learnt(sound, self.settings, as_datetime(window.end), self.learning)
        except TooLittleSoundError as error:
            self.due = max(error.hours, _LATER * sound.hours)
            return
        self.accept(learning, sound)
        noticed.learning = learning

    def _end_episode(self) -> None:
        if self.run is not None:
            self.ended = self.rule.episode(self.run, has_ended=True)
        self.run = None
