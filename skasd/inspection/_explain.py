"""explain: regions of a clip that add most to its anomaly score, as a table with a sentence each.

Axes: F bands, T frames.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from scipy.ndimage import find_objects, gaussian_filter, label

from skasd._parameters import check_integer
from skasd.inspection._axes import MapAxes, axes_of_shape
from skasd.inspection._maps import ClipMap, Way, clip_maps
from skasd.inspection._sentences import sentence_of
from skasd.inspection._subject import Subject
from skasd.inspection._waveform_edits import in_decibel

COLUMNS = (
    *("clip", "start_s", "end_s", "low_hz", "high_hz"),
    *("level_db", "level_in_spreads", "share", "sentence"),
)
_SMOOTHING = (1.5, 1.5)  # standard deviation in bands and frames, before regions are found
_EDGE = 0.3  # share of the largest smoothed value above which a place belongs to a region
_LEAST_SPREAD = 0.1  # dB; levels that never vary would be infinitely many spreads away
_LEAST_SHARE = 0.01  # of what adds to the score; smaller regions are left out, but for the first


def explain(
    detector: Any,
    X: Any,
    *,
    n_regions: int = 3,
    method: str = "auto",
    normal: Any = None,
    block: tuple[int, int] | None = None,
) -> pd.DataFrame:
    """Say where in time and frequency clips are odd, and how.

    Parameters
    ----------
    detector : estimator
        Fitted detector, as for :func:`anomaly_map`.
    X : array, list of paths or clip table
        Clips.
    n_regions : int, default=3
        Most regions of each clip.
    method : {"auto", "exact", "insertion", "occlusion"}, default="auto"
        How places are judged, as for :func:`anomaly_map`.
    normal : array, list of paths or clip table, default=None
        Normal clips to compare with, as for :func:`anomaly_map`.
    block : tuple of two ints, default=None
        As for :func:`anomaly_map`.

    Returns
    -------
    regions : DataFrame of shape (n_found, 9)
        A row for each region, the largest share first within each clip. A clip without places that add to its score has no
        row. Columns:

        - ``clip``: row of X, counted from 0;
        - ``start_s``, ``end_s``: in seconds from the start of the clip;
        - ``low_hz``, ``high_hz``: in Hz; these four are NaN where it is not known how features were made;
        - ``level_db``: mean level in the region above that of normal clips, in dB;
        - ``level_in_spreads``: the same in standard deviations over normal clips;
        - ``share``: share of the region in everything that adds to the anomaly score, from 0 to 1;
        - ``sentence``: the same in words.

    See Also
    --------
    anomaly_map : The map in which the regions are found.

    Notes
    -----
    A place of a clip is compared with normal clips at the same rank over time: the loudest moments of a band with the
    loudest moments of this band in normal clips.

    Examples
    --------
    >>> from skasd.datasets import make_machine_clips
    >>> from skasd.detectors import TWFRDetector
    >>> from skasd.inspection import explain
    >>> clips = make_machine_clips("pump", duration=1.0, anomalies=("leak",), random_state=0)
    >>> detector = TWFRDetector().fit(clips.data[clips.data["split"] == "train"])
    >>> regions = explain(detector, clips.data[-1:], n_regions=1)
    >>> regions["clip"].tolist()
    [0]
    """
    check_integer("n_regions", n_regions, low=1)
    way, subject = Way.checked(method, block), Subject.of(detector, X, normal)
    unit = in_decibel(subject.frontend)
    rows: list[dict[str, Any]] = []
    for position, of_clip in enumerate(clip_maps(subject, way)):
        axes = axes_of_shape(subject, *of_clip.added.shape)
        rows += regions_of_clip(position, of_clip, axes, unit, n_regions)
    return pd.DataFrame(rows, columns=list(COLUMNS))


def regions_of_clip(
    position: int, of_clip: ClipMap, axes: MapAxes, unit: float, n_regions: int
) -> list[dict[str, Any]]:
    """Rows of the largest regions of a clip; `unit` is that of the spectrogram, in dB."""
    found = [_row(position, of_clip, where, axes, unit) for where in regions_of(of_clip.added)]
    found = sorted(found, key=lambda row: -row["share"])[:n_regions]
    return [row for row in found if row["share"] >= _LEAST_SHARE or row is found[0]]


def regions_of(added: np.ndarray) -> Iterator[tuple[tuple[slice, slice], np.ndarray]]:
    """Rectangle of each region of a map (F, T), and which of the places in it belong to the region."""
    smooth = gaussian_filter(added, _SMOOTHING, mode="nearest")
    if not smooth.max() > 0:
        return
    numbers, _ = label(smooth > _EDGE * smooth.max())
    for number, where in enumerate(find_objects(numbers), 1):
        yield where, numbers[where] == number


def _row(
    position: int,
    of_clip: ClipMap,
    where: tuple[tuple[slice, slice], np.ndarray],
    axes: MapAxes,
    unit: float,
) -> dict[str, Any]:
    """A row of the table."""
    rectangle, is_inside = where
    deviation = (of_clip.spectrogram - of_clip.level)[rectangle][is_inside] * unit
    spread = np.maximum(of_clip.spread[rectangle][is_inside] * unit, _LEAST_SPREAD)
    positive = of_clip.added.clip(min=0)
    row = {
        "clip": position,
        **_limits(rectangle, axes),
        "level_db": float(deviation.mean()),
        "level_in_spreads": float((deviation / spread).mean()),
        "share": float(np.clip(of_clip.added[rectangle][is_inside].sum() / positive.sum(), 0.0, 1.0)),
    }
    return {**row, "sentence": sentence_of(row, rectangle, of_clip.offset * unit)}


def _limits(rectangle: tuple[slice, slice], axes: MapAxes) -> dict[str, float]:
    """Start and end in s, from the first to the last frame and half a hop beyond, and edges of the bands in Hz."""
    bands, frames = rectangle
    edges = band_edges(axes.frequencies)
    half = axes.hop / 2 if len(axes.times) > 1 else 0.0
    return {
        "start_s": float(np.maximum(axes.times[frames.start] - half, 0.0)),
        "end_s": float(axes.times[frames.stop - 1] + half),
        "low_hz": float(edges[bands.start]),
        "high_hz": float(edges[bands.stop]),
    }


def band_edges(frequencies: np.ndarray) -> np.ndarray:
    """Edges (F + 1,) between bands with these centres (F,), in Hz."""
    if len(frequencies) == 1:
        return np.array([0.0, 2 * frequencies[0]])
    between = (frequencies[1:] + frequencies[:-1]) / 2
    first, last = 2 * frequencies[0] - between[0], 2 * frequencies[-1] - between[-1]
    return np.concatenate([[np.maximum(first, 0.0)], between, [last]])
