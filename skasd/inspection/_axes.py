"""map_axes: the frequencies of the bands and the times of the frames of anomaly maps."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from skasd.inspection._subject import Subject


@dataclass(frozen=True)
class MapAxes:
    """Where the bands and frames of anomaly maps are.

    Parameters
    ----------
    times : ndarray of shape (n_frames,)
        Middle of each frame, in seconds from the start of the clip. NaN if the clips are features and it is not known how
        they were made.
    frequencies : ndarray of shape (n_mels,)
        Centre of each band, in Hz; NaN if it is not known.
    """

    times: np.ndarray
    frequencies: np.ndarray

    @property
    def hop(self) -> float:
        """Time from one frame to the next, in seconds; NaN of a single frame."""
        return float(self.times[1] - self.times[0]) if len(self.times) > 1 else float("nan")


def map_axes(detector: Any, X: Any) -> MapAxes:
    """Find the times and frequencies of the maps that :func:`anomaly_map` makes of these clips.

    Parameters
    ----------
    detector : estimator
        As given to :func:`anomaly_map`.
    X : array, list of paths or clip table
        Clips, or some of them: the longest determines the number of frames.

    Returns
    -------
    axes : MapAxes
        Times in seconds and frequencies in Hz. Both are NaN for features, unless they are made by a step of the pipeline or
        the detector has a `frontend` that says how they were made.

    Examples
    --------
    >>> from skasd.datasets import make_machine_clips
    >>> from skasd.detectors import TWFRDetector
    >>> from skasd.inspection import map_axes
    >>> clips = make_machine_clips("fan", duration=1.0, random_state=0).data
    >>> axes = map_axes(TWFRDetector().fit(clips), clips)
    >>> axes.times[:3], float(axes.frequencies[-1].round())
    (array([0.   , 0.032, 0.064]), 7832.0)
    """
    return axes_of(Subject.of(detector, X))


def axes_of(subject: Subject) -> MapAxes:
    """Axes of the maps of a subject, as long as its longest clip."""
    frontend = subject.frontend
    longest = int(np.argmax(subject.clips.lengths(frontend.reader.sample_rate)))
    return axes_of_shape(subject, *subject.spectrogram(longest).shape)


def axes_of_shape(subject: Subject, n_bands: int, n_frames: int) -> MapAxes:
    """Axes of maps of F bands and T frames."""
    frontend = subject.frontend
    if not subject.knows_axes:
        return MapAxes(np.full(n_frames, np.nan), np.full(n_bands, np.nan))
    known = frontend.frequencies
    frequencies = np.full(n_bands, np.nan) if known is None else np.asarray(known(n_bands), dtype=float)
    return MapAxes(np.arange(n_frames) * hop_of(subject, n_frames), frequencies)


def hop_of(subject: Subject, n_frames: int) -> float:
    """Seconds from one frame to the next."""
    frontend, rate = subject.frontend, subject.frontend.reader.sample_rate
    if frontend.hop_length is not None or subject.clips.kind == "feature":
        return (frontend.hop_length or np.nan) / rate
    return float(subject.clips.lengths(rate).max()) / max(1, n_frames - 1) / rate
