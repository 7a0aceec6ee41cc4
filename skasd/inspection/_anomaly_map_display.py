"""AnomalyMapDisplay: the spectrogram of a clip, its difference from normal clips, and what adds to its anomaly score."""

from typing import Any, Self

import numpy as np
import pandas as pd

from skasd._parameters import check_integer
from skasd.inspection._axes import MapAxes, axes_of_shape
from skasd.inspection._explain import regions_of_clip
from skasd.inspection._maps import ClipMap, Way, clip_maps
from skasd.inspection._plotting import draw_image, draw_regions, panels
from skasd.inspection._subject import Subject
from skasd.inspection._waveform_edits import in_decibel

_RANGE_DB = 60.0  # of the spectrogram
_MOST_SPREAD = 99.0  # percentile of the difference at which its colours end


class AnomalyMapDisplay:
    """Picture of why a clip is odd.

    Three panels, one above the other: the spectrogram; its difference from normal clips; and how much each place adds to the
    anomaly score, with frames around the regions of :func:`explain`. Make it with :meth:`from_estimator`.

    Parameters
    ----------
    added : ndarray of shape (n_mels, n_frames)
        Map of :func:`anomaly_map`.
    spectrogram, level : ndarray of shape (n_mels, n_frames)
        Levels of the clip and of normal clips, in dB.
    axes : MapAxes
        Times and frequencies, as of :func:`map_axes`.
    regions : DataFrame
        Rows of :func:`explain` of the clip.

    Attributes
    ----------
    ax_ : ndarray of shape (3,) of Axes
        Axes of the three panels.
    figure_ : Figure
        Figure.

    Examples
    --------
    >>> from skasd.datasets import make_machine_clips
    >>> from skasd.detectors import TWFRDetector
    >>> from skasd.inspection import AnomalyMapDisplay
    >>> clips = make_machine_clips("fan", duration=1.0, random_state=0).data
    >>> detector = TWFRDetector().fit(clips[clips["split"] == "train"])
    >>> display = AnomalyMapDisplay.from_estimator(detector, clips, clip=-1)
    >>> display.frame().shape
    (4096, 6)
    """

    def __init__(
        self, added: np.ndarray, spectrogram: np.ndarray, level: np.ndarray, axes: MapAxes, regions: pd.DataFrame
    ) -> None:
        self.added = added
        self.spectrogram = spectrogram
        self.level = level
        self.axes = axes
        self.regions = regions

    @classmethod
    def from_estimator(
        cls,
        detector: Any,
        X: Any,
        *,
        clip: int = 0,
        n_regions: int = 3,
        method: str = "auto",
        normal: Any = None,
        ax: Any = None,
    ) -> Self:
        """Compute the map of one clip and draw it.

        Parameters
        ----------
        detector : estimator
            Fitted detector, as for :func:`anomaly_map`.
        X : array, list of paths or clip table
            Clips.
        clip : int, default=0
            Row of X to draw; negative numbers count from the end.
        n_regions : int, default=3
            Most regions to draw a frame around.
        method : {"auto", "exact", "insertion", "occlusion"}, default="auto"
            As for :func:`anomaly_map`.
        normal : array, list of paths or clip table, default=None
            As for :func:`anomaly_map`.
        ax : sequence of three Axes, default=None
            Axes to draw in; None makes a figure.

        Returns
        -------
        display : AnomalyMapDisplay
            The display, drawn.
        """
        check_integer("n_regions", n_regions, low=1)
        check_integer("clip", clip, low=-np.inf)
        way, subject = Way.checked(method, None), Subject.of(detector, X, normal)
        if not -len(subject.clips) <= clip < len(subject.clips):
            raise ValueError(f"clip={clip} is not a row of X, which has {len(subject.clips)} clips.")
        position = clip % len(subject.clips)
        one = subject.take(np.array([position]))
        (found,) = clip_maps(one, way)
        axes, unit = axes_of_shape(one, *found.added.shape), in_decibel(subject.frontend)
        rows = regions_of_clip(position, found, axes, unit, n_regions)
        return cls.from_predictions(found, axes=axes, regions=pd.DataFrame(rows), unit_db=unit, ax=ax)

    @classmethod
    def from_predictions(
        cls, found: ClipMap, *, axes: MapAxes, regions: pd.DataFrame, unit_db: float = 1.0, ax: Any = None
    ) -> Self:
        """Draw a map that was computed before.

        Parameters
        ----------
        found : object
            What has the arrays `added`, `spectrogram` and `level`, each of shape (n_mels, n_frames).
        axes : MapAxes
            Times and frequencies.
        regions : DataFrame
            Rows of :func:`explain` of this clip.
        unit_db : float, default=1.0
            Decibels of one unit of the spectrogram.
        ax : sequence of three Axes, default=None
            Axes to draw in; None makes a figure.

        Returns
        -------
        display : AnomalyMapDisplay
            The display, drawn.
        """
        return cls(found.added, found.spectrogram * unit_db, found.level * unit_db, axes, regions).plot(ax=ax)

    def plot(self, *, ax: Any = None) -> Self:
        """Draw the three panels.

        Parameters
        ----------
        ax : sequence of three Axes, default=None
            Axes to draw in; None makes a figure.

        Returns
        -------
        display : AnomalyMapDisplay
            Self.
        """
        self.ax_, self.figure_ = panels(ax, 3, width=8.0, height=2.4)
        top, difference = self.spectrogram.max(), self.spectrogram - self.level
        most = max(float(np.percentile(np.abs(difference), _MOST_SPREAD)), 1.0)
        highest = float(self.added.max())
        drawn = (
            ("level (dB)", self.spectrogram, {"cmap": "cividis", "vmin": top - _RANGE_DB, "vmax": top}),
            ("above normal (dB)", difference, {"cmap": "PuOr_r", "vmin": -most, "vmax": most}),
            (
                "adds to the score",
                self.added,
                {"cmap": "viridis", "vmin": 0.0, "vmax": highest if highest > 0 else 1.0},
            ),
        )
        for one, (title, values, style) in zip(self.ax_, drawn, strict=True):
            image = draw_image(one, values, self.axes, **style)
            self.figure_.colorbar(image, ax=one, label=title)
        for one in self.ax_[1:]:
            draw_regions(one, self.regions, self.axes.frequencies)
        for one in self.ax_[:-1]:
            one.set_xlabel("")
        return self

    def frame(self) -> pd.DataFrame:
        """What is drawn as a table: a row for each place.

        Returns
        -------
        places : DataFrame of shape (n_mels * n_frames, 6)
            Columns ``time_s``, ``frequency_hz``, ``level_db``, ``normal_db``, ``above_normal_db`` and ``added``.
        """
        n_bands, n_frames = self.added.shape
        return pd.DataFrame(
            {
                "time_s": np.tile(self.axes.times, n_bands),
                "frequency_hz": np.repeat(self.axes.frequencies, n_frames),
                "level_db": self.spectrogram.ravel(),
                "normal_db": self.level.ravel(),
                "above_normal_db": (self.spectrogram - self.level).ravel(),
                "added": self.added.ravel(),
            }
        )
