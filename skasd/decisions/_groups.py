"""What is known of the scores of one group of clips, such as a machine, and what follows for its decisions."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from skasd.decisions._calibration import Calibration, fewest_recordings, provisional_threshold

if TYPE_CHECKING:
    from skasd.base import NormalScores


@dataclass(frozen=True)
class Group:
    """Scores of the normal clips of a group.

    Parameters
    ----------
    calibration : Calibration
        Scores of clips that the detector was not trained on.
    learnt : ndarray of shape (n_learnt,)
        Scores of clips that it was trained on, where none could be held out; only provisional decisions use them.
    """

    calibration: Calibration
    learnt: np.ndarray

    def is_provisional(self, learning_period: int) -> bool:
        """Whether there are fewer recordings than a learning period takes.

        Parameters
        ----------
        learning_period : int
            Smallest number of recordings for a calibrated decision.
        """
        return self.calibration.n_recordings < max(learning_period, 1)

    def threshold(self, alpha: float, learning_period: int) -> float:
        """Largest anomaly score of a clip that is decided to be normal.

        Parameters
        ----------
        alpha : float
            Accepted false alarm rate.
        learning_period : int
            Smallest number of recordings for a calibrated decision.
        """
        if self.is_provisional(learning_period):
            return provisional_threshold(np.r_[self.calibration.score, self.learnt], alpha)
        return self.calibration.threshold(alpha)

    def with_more(self, score: np.ndarray, recording: np.ndarray) -> "Group":
        """The group with the scores of further normal clips.

        Parameters
        ----------
        score : ndarray of shape (n,)
            Their anomaly scores.
        recording : ndarray of shape (n,), int
            Their recordings, which are none of those before.
        """
        return replace(self, calibration=self.calibration.joined(Calibration.of(score, recording)))


def groups_of(scores: "NormalScores", names: np.ndarray) -> dict[str, Group]:
    """Sort the scores of normal clips into groups.

    Parameters
    ----------
    scores : NormalScores
        Scores.
    names : ndarray of shape (n_scores,), str
        Group of each score.
    """
    score = np.asarray(scores.held_out, dtype=np.float64)
    recording = np.arange(len(score)) if scores.recording is None else scores.recording
    groups = {}
    for name in np.unique(names):
        rows = names == name
        used, learnt = (rows & False, rows) if scores.is_learnt else (rows, rows & False)
        groups[str(name)] = Group(Calibration.of(score[used], recording[used]), score[learnt])
    return groups


def threshold_of_all(groups: Iterable[Group], alpha: float, learning_period: int) -> float:
    """Threshold on the anomaly score for the clips of all groups together.

    Parameters
    ----------
    groups : iterable of Group
        Groups, whose recordings differ.
    alpha : float
        Accepted false alarm rate.
    learning_period : int
        Smallest number of recordings for a calibrated decision.
    """
    every = list(groups)
    calibration = Calibration.empty().joined(*(group.calibration for group in every))
    together = Group(calibration, np.concatenate([np.empty(0), *(group.learnt for group in every)]))
    return together.threshold(alpha, max(learning_period, fewest_recordings(alpha)))


def refuse_alpha(n_recordings: Mapping[str, int], alpha: float, learning_period: int, how: str = "") -> None:
    """Raise if a group has too few calibration clips for a false alarm rate, and more than the learning period takes.

    Parameters
    ----------
    n_recordings : mapping of str to int
        Number of recordings that calibrate each group.
    alpha : float
        Accepted false alarm rate.
    learning_period : int
        Smallest number of recordings for a calibrated decision.
    how : str, default=""
        How they were held out, for the message.
    """
    fewest = fewest_recordings(alpha)
    for name, n in n_recordings.items():
        if max(learning_period, 1) <= n < fewest:
            raise ValueError(
                f"alpha={alpha!r} takes at least {fewest} calibration clips{f' of {name}' if name else ''}, and there are "
                f"{n}{how}. Give more normal clips, accept a higher false alarm rate (an alpha of at least "
                f"{np.ceil(1000 / (n + 1)) / 1000:g}), or set learning_period={fewest} for provisional decisions until "
                "there are enough."
            )
