"""RocDisplay: ROC curves with the part that the pAUC is computed from, one for each section."""

from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.metrics import roc_curve
from sklearn.utils import check_consistent_length, column_or_1d

from skasd._explained import machine_of
from skasd._parameters import check_number
from skasd.clips import as_clips, is_clip_table
from skasd.inspection._plotting import COLORS, axes_and_figure, without_frame
from skasd.metrics import auc_score, partial_auc_score

_LINES = ("-", "--", "-.", ":")


class RocDisplay:
    """ROC curves: share of anomalies found over share of false alarms.

    The shaded part has the false positive rates that enter the partial AUC.

    Parameters
    ----------
    y_true : ndarray of shape (n_clips,)
        +1 for normal clips, -1 for anomalies.
    score_samples : ndarray of shape (n_clips,)
        Scores, high for normal clips.
    sections : ndarray of shape (n_clips,), str
        Section or machine of each clip; each has a curve.
    max_fpr : float
        Largest false positive rate of the partial AUC.

    Attributes
    ----------
    ax_ : Axes
        Axes.
    figure_ : Figure
        Figure.

    Examples
    --------
    >>> from skasd.inspection import RocDisplay
    >>> display = RocDisplay.from_predictions([1, 1, -1, -1], [0.9, 0.4, 0.5, 0.1])
    >>> display.frame()[["false_positive_rate", "true_positive_rate"]].to_numpy().tolist()
    [[0.0, 0.0], [0.0, 0.5], [0.5, 0.5], [0.5, 1.0], [1.0, 1.0]]
    """

    def __init__(
        self, y_true: np.ndarray, score_samples: np.ndarray, sections: np.ndarray, max_fpr: float = 0.1
    ) -> None:
        self.y_true = y_true
        self.score_samples = score_samples
        self.sections = sections
        self.max_fpr = max_fpr

    @classmethod
    def from_estimator(cls, detector: Any, X: Any, y: Any, *, max_fpr: float = 0.1, ax: Any = None) -> Self:
        """Score clips and draw a curve for each section.

        Parameters
        ----------
        detector : estimator
            Fitted detector or pipeline with ``score_samples``.
        X : array, list of paths or clip table
            Clips; a table says the machine of each.
        y : array-like of shape (n_clips,)
            +1 for normal clips, -1 for anomalies.
        max_fpr : float, default=0.1
            Largest false positive rate of the partial AUC.
        ax : Axes, default=None
            Axes to draw in; None makes a figure.

        Returns
        -------
        display : RocDisplay
            The display, drawn.
        """
        if not hasattr(detector, "score_samples"):
            raise TypeError(f"detector={detector!r} has no score_samples; a fitted detector is expected.")
        sections = machine_of(as_clips(X)) if is_clip_table(X) else None
        return cls.from_predictions(y, detector.score_samples(X), sections=sections, max_fpr=max_fpr, ax=ax)

    @classmethod
    def from_predictions(
        cls, y_true: Any, score_samples: Any, *, sections: Any = None, max_fpr: float = 0.1, ax: Any = None
    ) -> Self:
        """Draw curves of scores that were computed before.

        Parameters
        ----------
        y_true : array-like of shape (n_clips,)
            +1 for normal clips, -1 for anomalies.
        score_samples : array-like of shape (n_clips,)
            Scores, high for normal clips.
        sections : array-like of shape (n_clips,), default=None
            Section or machine of each clip; None draws one curve.
        max_fpr : float, default=0.1
            Largest false positive rate of the partial AUC.
        ax : Axes, default=None
            Axes to draw in; None makes a figure.

        Returns
        -------
        display : RocDisplay
            The display, drawn.
        """
        check_number("max_fpr", max_fpr, low=0, high=1, above=True)
        labels, scores = column_or_1d(np.asarray(y_true)), column_or_1d(np.asarray(score_samples, dtype=float))
        names = np.full(len(scores), "") if sections is None else np.asarray(sections).astype(str)
        check_consistent_length(labels, scores, names)
        return cls(labels, scores, names, max_fpr).plot(ax=ax)

    def plot(self, *, ax: Any = None) -> Self:
        """Draw the curves.

        Parameters
        ----------
        ax : Axes, default=None
            Axes to draw in; None makes a figure.

        Returns
        -------
        display : RocDisplay
            Self.
        """
        curves = self.frame()
        self.ax_, self.figure_ = axes_and_figure(ax, figsize=(5.2, 4.8))
        self.ax_.axvspan(0.0, self.max_fpr, color="0.9", zorder=0)
        self.ax_.plot([0, 1], [0, 1], color="0.6", linewidth=0.8, linestyle=":")
        for number, (name, curve) in enumerate(curves.groupby("section", sort=False)):
            rows = self.sections == name
            area, partial = (
                function(self.y_true[rows], self.score_samples[rows], **how)
                for function, how in ((auc_score, {}), (partial_auc_score, {"max_fpr": self.max_fpr}))
            )
            self.ax_.plot(
                curve["false_positive_rate"],
                curve["true_positive_rate"],
                color=COLORS[number % len(COLORS)],
                linestyle=_LINES[number // len(COLORS) % len(_LINES)],
                label=f"{name}{': ' if name else ''}AUC {area:.3f}, pAUC {partial:.3f}",
            )
        self.ax_.set(xlabel="false positive rate", ylabel="true positive rate", xlim=(0, 1), ylim=(0, 1.01))
        self.ax_.legend(loc="lower right", fontsize=8, frameon=False)
        without_frame(self.ax_)
        return self

    def frame(self) -> pd.DataFrame:
        """What is drawn as a table: the points of all curves.

        Returns
        -------
        points : DataFrame of shape (n_points, 4)
            Columns ``section``, ``false_positive_rate``, ``true_positive_rate`` and ``threshold``, the anomaly score from
            which on a clip counts as anomalous.
        """
        parts = []
        for name in dict.fromkeys(self.sections.tolist()):
            rows = self.sections == name
            auc_score(self.y_true[rows], self.score_samples[rows])  # refuses labels and scores that are none
            found = roc_curve(self.y_true[rows] == -1, -self.score_samples[rows], drop_intermediate=False)
            columns = ("false_positive_rate", "true_positive_rate", "threshold")
            parts.append(pd.DataFrame({"section": name, **dict(zip(columns, found, strict=True))}))
        return pd.concat(parts, ignore_index=True)
