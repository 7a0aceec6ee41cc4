"""ScoreDisplay: scores of normal and anomalous clips with the threshold, one panel for each machine."""

from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.utils import check_consistent_length, column_or_1d

from skasd._explained import machine_of
from skasd.clips import as_clips, is_clip_table
from skasd.inspection._plotting import ANOMALY, MARKERS, NEUTRAL, NORMAL, panels, without_frame

_GROUPS = {1: ("normal", NORMAL), -1: ("anomaly", ANOMALY), 0: ("not known", NEUTRAL)}


class ScoreDisplay:
    """Picture of anomaly scores: a row of points for each kind of clip, and the threshold, machine by machine.

    Parameters
    ----------
    anomaly_score : ndarray of shape (n_clips,)
        Anomaly scores, high for anomalous clips: the negative of ``score_samples``.
    y_true : ndarray of shape (n_clips,) or None
        +1 for normal clips, -1 for anomalies; None if that is not known.
    machines : ndarray of shape (n_clips,), str
        Machine of each clip; each has a panel.
    threshold : float or None
        Anomaly score above which a clip raises an alarm; None draws no line.

    Attributes
    ----------
    ax_ : ndarray of shape (n_machines,) of Axes
        Axes of the panels.
    figure_ : Figure
        Figure.

    Examples
    --------
    >>> from skasd.inspection import ScoreDisplay
    >>> display = ScoreDisplay.from_predictions([1, 1, -1], [-0.1, -0.3, -2.0], threshold=1.0)
    >>> display.frame()
      machine  label  anomaly_score  is_alarm
    0               1            0.1     False
    1               1            0.3     False
    2              -1            2.0      True
    """

    def __init__(
        self, anomaly_score: np.ndarray, y_true: np.ndarray | None, machines: np.ndarray, threshold: float | None
    ) -> None:
        self.anomaly_score = anomaly_score
        self.y_true = y_true
        self.machines = machines
        self.threshold = threshold

    @classmethod
    def from_estimator(cls, detector: Any, X: Any, y: Any = None, *, ax: Any = None) -> Self:
        """Score clips and draw the scores.

        Parameters
        ----------
        detector : estimator
            Fitted detector or pipeline with ``score_samples``; its ``offset_`` is the threshold.
        X : array, list of paths or clip table
            Clips; a table says the machine of each.
        y : array-like of shape (n_clips,), default=None
            +1 for normal clips, -1 for anomalies, 0 for unknown ones.
        ax : sequence of Axes, default=None
            Axes to draw in, one for each machine; None makes a figure.

        Returns
        -------
        display : ScoreDisplay
            The display, drawn.
        """
        if not hasattr(detector, "score_samples"):
            raise TypeError(f"detector={detector!r} has no score_samples; a fitted detector is expected.")
        scores = np.asarray(detector.score_samples(X), dtype=float)
        last = detector.steps[-1][1] if hasattr(detector, "steps") else detector
        offset = getattr(last, "offset_", None)
        threshold = None if offset is None or np.ndim(offset) else -float(offset)
        machines = machine_of(as_clips(X)) if is_clip_table(X) else None
        return cls.from_predictions(y, scores, machines=machines, threshold=threshold, ax=ax)

    @classmethod
    def from_predictions(
        cls,
        y_true: Any,
        score_samples: Any,
        *,
        machines: Any = None,
        threshold: float | None = None,
        ax: Any = None,
    ) -> Self:
        """Draw scores that were computed before.

        Parameters
        ----------
        y_true : array-like of shape (n_clips,) or None
            +1 for normal clips, -1 for anomalies, 0 for unknown ones; None if nothing is known.
        score_samples : array-like of shape (n_clips,)
            Scores, high for normal clips.
        machines : array-like of shape (n_clips,), default=None
            Machine of each clip; None draws one panel.
        threshold : float, default=None
            Anomaly score above which a clip raises an alarm: ``-detector.offset_``.
        ax : sequence of Axes, default=None
            Axes to draw in; None makes a figure.

        Returns
        -------
        display : ScoreDisplay
            The display, drawn.
        """
        scores = column_or_1d(np.asarray(score_samples, dtype=float))
        names = np.full(len(scores), "") if machines is None else np.asarray(machines).astype(str)
        labels = None if y_true is None else _labels(y_true)
        check_consistent_length(scores, names, *([] if labels is None else [labels]))
        return cls(-scores, labels, names, threshold).plot(ax=ax)

    def plot(self, *, ax: Any = None) -> Self:
        """Draw the panels.

        Parameters
        ----------
        ax : sequence of Axes, default=None
            Axes to draw in, one for each machine; None makes a figure.

        Returns
        -------
        display : ScoreDisplay
            Self.
        """
        names = list(dict.fromkeys(self.machines.tolist()))
        self.ax_, self.figure_ = panels(ax, len(names), width=7.0, height=1.5)
        for one, name in zip(self.ax_, names, strict=True):
            self._draw_machine(one, self.machines == name)
            one.set_title(name, fontsize=10, loc="left")
        self.ax_[-1].set_xlabel("anomaly score")
        return self

    def _draw_machine(self, ax: Any, rows: np.ndarray) -> None:
        labels = np.zeros(rows.sum(), dtype=int) if self.y_true is None else self.y_true[rows]
        kinds = [label for label in _GROUPS if (labels == label).any()]
        for height, label in enumerate(kinds):
            values = self.anomaly_score[rows][labels == label]
            spread = np.linspace(-0.25, 0.25, len(values)) if len(values) > 1 else np.zeros(1)
            color = _GROUPS[label][1]
            ax.plot(values, height + spread, MARKERS[height], color=color, markersize=4, alpha=0.8)
        if self.threshold is not None:
            ax.axvline(self.threshold, color="black", linewidth=1.2, linestyle="--")
            ax.annotate(
                "alarm \N{RIGHTWARDS ARROW}",
                (self.threshold, 1.0),
                xytext=(4, -2),
                textcoords="offset points",
                xycoords=("data", "axes fraction"),
                va="top",
                fontsize=8,
            )
        ax.set_yticks(range(len(kinds)), [_GROUPS[label][0] for label in kinds])
        ax.set_ylim(-0.6, len(kinds) - 0.4)
        without_frame(ax)

    def frame(self) -> pd.DataFrame:
        """What is drawn as a table: a row for each clip.

        Returns
        -------
        scores : DataFrame of shape (n_clips, 4)
            Columns ``machine``, ``label`` (0 where it is not known), ``anomaly_score`` and ``is_alarm`` (None without a
            threshold).
        """
        labels = np.zeros(len(self.machines), dtype=int) if self.y_true is None else self.y_true
        alarm = None if self.threshold is None else self.anomaly_score > self.threshold
        columns = {"machine": self.machines, "label": labels, "anomaly_score": self.anomaly_score, "is_alarm": alarm}
        return pd.DataFrame(columns)


def _labels(y_true: Any) -> np.ndarray:
    labels = column_or_1d(np.asarray(y_true))
    if not np.isin(labels, list(_GROUPS)).all():
        raise ValueError("y_true holds labels other than +1 (normal), -1 (anomaly) and 0 (not known).")
    return labels.astype(int)
