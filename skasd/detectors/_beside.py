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
_WEIGHT = -2.0  # natural logarithm of the weight of a network beside the statistics, as that of the level among them


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
    _usual: dict[str, Normal] = field(default_factory=dict)  # scores of the network, by machine and of all ("")

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

    def learn_scale(self, network_score: np.ndarray, machines: np.ndarray) -> None:
        """Learn what usual scores (n,) of the network are from clips of these machines (n,) that it was not trained on."""
        self._usual = {"": Normal.of(network_score)}
        for name, count in zip(*np.unique(machines, return_counts=True), strict=True):
            if count >= FEWEST_HELD_OUT:
                self._usual[str(name)] = Normal.of(network_score[machines == name])

    def of_clips(self, clips: Clips) -> np.ndarray:
        """Scores (n,) of clips by the statistics alone."""
        return self.detector._anomaly_score(clips)

    def combined(self, network_score: np.ndarray, machines: np.ndarray, statistics_score: np.ndarray) -> np.ndarray:
        r"""Anomaly score (n,) of clips by both.

        .. math:: A = \ln \frac{e^{A_s} + w e^{(A_n - \mu_n) / \sigma_n}}{1 + w}, \quad w = e^{-2}

        A network that tells nothing changes the order of the clips little; one that is certain of a fault raises the score.
        """
        relative = np.empty(len(network_score))
        for name in np.unique(machines):
            rows = machines == name
            relative[rows] = self._usual.get(str(name), self._usual[""])(network_score[rows])
        return np.logaddexp(statistics_score, relative + _WEIGHT) - np.logaddexp(0, _WEIGHT)
