"""EmbeddingDisplay: embeddings of clips in two dimensions."""

from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.utils import check_array, check_consistent_length

from skasd._explained import machine_of
from skasd._parameters import naming
from skasd.clips import as_clips, is_clip_table
from skasd.inspection._plotting import COLORS, MARKERS, axes_and_figure, without_frame


class EmbeddingDisplay:
    """Embeddings of clips, projected to their two principal components.

    Colours and markers tell groups apart; anomalies are drawn hollow.

    Parameters
    ----------
    points : ndarray of shape (n_clips, 2)
        Projected embeddings.
    explained : ndarray of shape (2,)
        Share of the variance that each component explains.
    groups : ndarray of shape (n_clips,), str
        Group of each clip, such as its machine.
    y_true : ndarray of shape (n_clips,) or None
        +1 for normal clips, -1 for anomalies; None draws all alike.

    Attributes
    ----------
    ax_ : Axes
        Axes.
    figure_ : Figure
        Figure.

    Examples
    --------
    >>> import numpy as np
    >>> from skasd.inspection import EmbeddingDisplay
    >>> embedding = np.random.default_rng(0).normal(size=(10, 4))
    >>> EmbeddingDisplay.from_predictions(embedding, groups=["fan"] * 5 + ["pump"] * 5).frame().shape
    (10, 4)
    """

    def __init__(
        self, points: np.ndarray, explained: np.ndarray, groups: np.ndarray, y_true: np.ndarray | None = None
    ) -> None:
        self.points = points
        self.explained = explained
        self.groups = groups
        self.y_true = y_true

    @classmethod
    def from_estimator(cls, estimator: Any, X: Any, y: Any = None, *, groups: Any = None, ax: Any = None) -> Self:
        """Compute embeddings and draw them.

        Parameters
        ----------
        estimator : estimator
            Fitted estimator whose ``transform`` gives a row of numbers for each clip: a detector with an embedding, or a
            transformer.
        X : array, list of paths or clip table
            Clips.
        y : array-like of shape (n_clips,), default=None
            +1 for normal clips, -1 for anomalies.
        groups : array-like of shape (n_clips,), default=None
            Group of each clip; None is the machine that a table names.
        ax : Axes, default=None
            Axes to draw in; None makes a figure.

        Returns
        -------
        display : EmbeddingDisplay
            The display, drawn.
        """
        if not hasattr(estimator, "transform"):
            raise TypeError(
                f"{type(estimator).__name__} has no transform; an estimator that embeds clips is expected, such as "
                "OSSCLDetector or TWFRTransformer."
            )
        names = machine_of(as_clips(X)) if groups is None and is_clip_table(X) else groups
        return cls.from_predictions(estimator.transform(X), y, groups=names, ax=ax)

    @classmethod
    def from_predictions(cls, embedding: Any, y_true: Any = None, *, groups: Any = None, ax: Any = None) -> Self:
        """Draw embeddings that were computed before.

        Parameters
        ----------
        embedding : array of shape (n_clips, n_features)
            Embeddings of at least two clips.
        y_true : array-like of shape (n_clips,), default=None
            +1 for normal clips, -1 for anomalies.
        groups : array-like of shape (n_clips,), default=None
            Group of each clip; None is one group.
        ax : Axes, default=None
            Axes to draw in; None makes a figure.

        Returns
        -------
        display : EmbeddingDisplay
            The display, drawn.
        """
        with naming("embedding"):
            embedding = check_array(embedding, ensure_min_samples=2, input_name="embedding", dtype=np.float64)
        names = np.full(len(embedding), "") if groups is None else np.asarray(groups).astype(str)
        labels = None if y_true is None else np.asarray(y_true)
        check_consistent_length(embedding, names, *([] if labels is None else [labels]))
        padded = np.pad(embedding, ((0, 0), (0, max(0, 2 - embedding.shape[1]))))
        varies = bool(padded.std(axis=0).any())
        projection = PCA(2, svd_solver="full") if varies else None
        points = np.zeros((len(padded), 2)) if projection is None else projection.fit_transform(padded)
        explained = np.zeros(2) if projection is None else projection.explained_variance_ratio_
        return cls(points, explained, names, labels).plot(ax=ax)

    def plot(self, *, ax: Any = None) -> Self:
        """Draw the points.

        Parameters
        ----------
        ax : Axes, default=None
            Axes to draw in; None makes a figure.

        Returns
        -------
        display : EmbeddingDisplay
            Self.
        """
        self.ax_, self.figure_ = axes_and_figure(ax, figsize=(6.0, 4.8))
        odd = np.zeros(len(self.points), dtype=bool) if self.y_true is None else self.y_true == -1
        for number, name in enumerate(dict.fromkeys(self.groups.tolist())):
            color, marker = COLORS[number % len(COLORS)], MARKERS[number % len(MARKERS)]
            for rows, face, what in ((~odd, color, ""), (odd, "none", "anomaly")):
                rows = rows & (self.groups == name)
                if rows.any():
                    self.ax_.scatter(
                        *self.points[rows].T,
                        facecolors=face,
                        edgecolors=color,
                        marker=marker,
                        s=28,
                        label=", ".join(part for part in (name, what) if part) or None,
                    )
        percent = [f"{100 * share:.0f} % of the variance" for share in self.explained]
        self.ax_.set(xlabel=f"component 1 ({percent[0]})", ylabel=f"component 2 ({percent[1]})")
        if self.ax_.get_legend_handles_labels()[1]:
            self.ax_.legend(frameon=False, fontsize=8)
        without_frame(self.ax_)
        return self

    def frame(self) -> pd.DataFrame:
        """What is drawn as a table: a row for each clip.

        Returns
        -------
        points : DataFrame of shape (n_clips, 4)
            Columns ``x``, ``y``, ``group`` and ``label`` (0 where it is not known).
        """
        labels = np.zeros(len(self.points), dtype=int) if self.y_true is None else self.y_true
        return pd.DataFrame({"x": self.points[:, 0], "y": self.points[:, 1], "group": self.groups, "label": labels})
