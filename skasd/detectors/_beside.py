"""StatisticsBeside: the statistics of StatisticsDetector beside a network, whose score is one more expert among them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from skasd._threshold import threshold_unused
from skasd.clips import MACHINE_COLUMNS, Clips
from skasd.detectors._experts import Normal
from skasd.detectors._statistics import StatisticsDetector

FEWEST_HELD_OUT = 8  # whose scores say what a usual score of a network is
WEIGHT = -2.0  # natural logarithm of the weight of a network beside the statistics, as that of the level among them


@dataclass
class FewScores:
    """Mean and spread of scores of a few new normal clips, and their number, which says how far the two can be trusted.

    The scores are relative to those of learnt clips, so that a spread below 1 is chance: new clips are no more alike.

    D. L. Wallace, "Bounds on normal approximations to Student's and the chi-square distributions", Annals of Mathematical
    Statistics 30, 1959.
    """

    mean: Any  # a number, or one for each score
    spread: Any
    n_clips: int

    @classmethod
    def of(cls, score: np.ndarray) -> "FewScores":
        """What is known of the next score from these (n,), at least two."""
        return cls(float(score.mean()), max(float(score.std(ddof=1)), 1.0), len(score))

    @classmethod
    def of_others(cls, score: np.ndarray) -> "FewScores":
        """What is known of each of these scores (n,) from the others, at least two."""
        n_others, from_mean = len(score) - 1, score - score.mean()
        squares = np.square(from_mean).sum() - np.square(from_mean) * (n_others + 1) / n_others
        spread = np.sqrt(np.maximum(squares / (n_others - 1), 1.0))
        return cls(score.mean() - from_mean / n_others, spread, n_others)

    @property
    def student(self) -> tuple[Any, int, float]:
        """Spread of the next score, degrees of freedom, and factor of Wallace's approximation."""
        freedom = self.n_clips - 1
        return self.spread * (1 + 1 / self.n_clips) ** 0.5, freedom, (8 * freedom + 1) / (8 * freedom + 3)

    def __call__(self, score: np.ndarray) -> np.ndarray:
        """The standard normal quantile that is as rare as these scores (n,) under Student's t distribution, nearly."""
        spread, freedom, factor = self.student
        t = (score - self.mean) / spread
        return factor * np.sign(t) * np.sqrt(freedom * np.log1p(np.square(t) / freedom))


@dataclass
class StatisticsBeside:
    """The scores of statistics, and the scale on which a network stands beside them.

    Parameters
    ----------
    detector : StatisticsDetector
        Fitted.
    held_out : ndarray of shape (n_clips,)
        Its score of each training clip, by statistics of other recordings.
    """

    detector: StatisticsDetector
    held_out: np.ndarray
    _learnt: dict[str, Normal] = field(default_factory=dict)  # scores of the network, by machine
    _held_out: dict[str, FewScores] = field(default_factory=dict)  # relative to those, by machine and of all ("")

    @classmethod
    def fitted(cls, clips: Clips, columns: Sequence[str], **params: Any) -> "StatisticsBeside | None":
        """Fit the statistics to the training clips of a network; None if a machine has a single clip.

        Parameters
        ----------
        clips : Clips
            Normal clips.
        columns : sequence of str
            Columns of the clip table that define a machine.
        **params : parameters of StatisticsDetector
            How clips are read.
        """
        names = clips.group_names(columns, MACHINE_COLUMNS)
        if np.unique(names, return_counts=True)[1].min() < 2:
            return None
        detector = StatisticsDetector(group_columns=tuple(columns), **params)
        with threshold_unused():  # that of the network is set on other clips
            scores = detector._fit(clips)
        return cls(detector, scores.held_out)

    def learn_scale(self, network_score: np.ndarray, machines: np.ndarray, held_out: np.ndarray) -> np.ndarray:
        """Learn what usual scores of the network are.

        Scores of clips that it was trained on tell the machines apart, of which few clips are held out; scores of those tell
        new clips from learnt ones.

        Parameters
        ----------
        network_score : ndarray of shape (n_clips,)
            Its scores of the training clips.
        machines : ndarray of shape (n_clips,), str
            Machine of each clip.
        held_out : ndarray of shape (n_held_out,), int
            Positions of the clips that it was not trained on.

        Returns
        -------
        relative : ndarray of shape (n_held_out,)
            Normalised scores of the clips that were held out, each by what the others are like.
        """
        is_learnt = np.ones(len(machines), dtype=bool)
        is_learnt[held_out] = False
        self._learnt = {
            str(name): Normal.of(network_score[is_learnt & (machines == name)])
            for name in np.unique(machines[is_learnt])
        }
        relative, machines = self._beside_learnt(network_score[held_out], machines[held_out]), machines[held_out]
        self._held_out = {"": FewScores.of(relative)}
        by_others = FewScores.of_others(relative)(relative)
        for name, count in zip(*np.unique(machines, return_counts=True), strict=True):
            if count >= FEWEST_HELD_OUT:
                own = machines == name
                self._held_out[str(name)] = FewScores.of(relative[own])
                by_others[own] = FewScores.of_others(relative[own])(relative[own])
        return by_others

    def _beside_learnt(self, network_score: np.ndarray, machines: np.ndarray) -> np.ndarray:
        """Scores (n,) of the network relative to those of learnt clips of these machines (n,)."""
        relative = np.array(network_score, dtype=np.float64)
        for name in np.unique(machines):
            if name in self._learnt:
                relative[machines == name] = self._learnt[name](relative[machines == name])
        return relative

    def _relative(self, network_score: np.ndarray, machines: np.ndarray) -> np.ndarray:
        """Normalised scores (n,) of the network for clips of these machines (n,)."""
        relative = self._beside_learnt(network_score, machines)
        for name in np.unique(machines):
            rows = machines == name
            relative[rows] = self._held_out.get(name, self._held_out[""])(relative[rows])
        return relative

    def of_clips(self, clips: Clips) -> np.ndarray:
        """Scores (n,) of clips by the statistics alone."""
        return self.detector._anomaly_score(clips)

    def combined(self, network_score: np.ndarray, machines: np.ndarray, statistics_score: np.ndarray) -> np.ndarray:
        """Anomaly score (n,) of clips of these machines (n,) by both."""
        return both(self._relative(network_score, machines), statistics_score)


def both(relative: np.ndarray, statistics_score: np.ndarray) -> np.ndarray:
    r"""Anomaly score (n,) by a network and statistics.

    .. math:: A = \ln \frac{e^{A_s} + w e^{z_n}}{1 + w}, \quad w = e^{-2}

    A network that tells nothing changes the order of the clips little; one that is certain of a fault raises the score.

    Parameters
    ----------
    relative : ndarray of shape (n,)
        Normalised score :math:`z_n` of the network, see :class:`FewScores`.
    statistics_score : ndarray of shape (n,)
        Score :math:`A_s` of the statistics.
    """
    return np.logaddexp(statistics_score, relative + WEIGHT) - np.logaddexp(0, WEIGHT)
