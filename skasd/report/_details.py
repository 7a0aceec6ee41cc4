"""What a report shows of a clip when it is opened: sound, pictures, regions, and the nearest normal clip."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from skasd.clips import Clips, as_clips
from skasd.clips._readers import readers_of
from skasd.report._explanations import Explanation, explanations, taken
from skasd.report._groups import Group, Scores
from skasd.report._nearest import nearest, signature, signatures
from skasd.report._pictures import Axes, map_png, on_axes, spectrogram, spectrogram_png
from skasd.report._sound import Sound

_STRONG = 99.8  # percentile of an anomaly map that counts as its largest value
_QUIET, _RANGE = 5, 70.0  # percentile of the levels of a page that is dark, and most dB above it


@dataclass
class Figure:
    """A clip as it is seen and heard.

    Parameters
    ----------
    name, machine : str
        Name of the clip and its machine.
    sound : Sound
        Its sound.
    spectrogram : ndarray of shape (n_bands, n_columns)
        Levels in dB.
    anomaly : ndarray of shape (n_bands, n_columns), default=None
        Anomaly map on the same axes; None for a normal clip that others are compared with.
    regions : list of dict, default=[]
        Rows of :func:`skasd.inspection.explain` within the part of the clip that is heard.
    nearest : Figure, default=None
        The nearest normal clip.
    knows_frequencies : bool, default=True
        Whether it is known which frequencies the bands of the anomaly map have.
    """

    name: str
    machine: str
    sound: Sound
    spectrogram: np.ndarray
    anomaly: np.ndarray | None = None
    regions: list[dict[str, Any]] = field(default_factory=list)
    nearest: "Figure | None" = None
    knows_frequencies: bool = True

    @property
    def axes(self) -> Axes:
        """Axes of the pictures."""
        return Axes.of(self.sound)


@dataclass(frozen=True)
class Detail:
    """What is known of a clip beyond its score: why it has it, and how it looks and sounds if there is sound."""

    explanation: Explanation
    figure: Figure | None


def details(
    group: Group, scores: Scores, positions: np.ndarray, *, n_jobs: int | None, verbose: int
) -> dict[int, Detail]:
    """Explain, read and picture clips of a group.

    Parameters
    ----------
    group : Group
        Clips and their detector.
    scores : Scores
        What it says of them.
    positions : ndarray of shape (n_taken,), int
        Positions of the clips to show.
    n_jobs : int or None
        Number of threads that read clips, as in joblib.
    verbose : int
        Shows progress bars if 1 or larger.

    Returns
    -------
    details : dict of int to Detail
        By position.
    """
    if not len(positions):
        return {}
    own, is_anomaly = taken(group.X, positions), scores.is_anomaly[positions]
    explained = explanations(group.detector, own, is_anomaly, group.normal, verbose=verbose)
    figures = _figures(group, positions, explained, n_jobs)
    if figures and group.normal is not None:
        _add_nearest(group, figures, n_jobs, verbose)
    rows: Sequence[Figure | None] = figures or [None] * len(positions)
    together = zip(positions.tolist(), explained, rows, strict=True)
    return {position: Detail(each, figure) for position, each, figure in together}


def waveforms(X: Any) -> Clips | None:
    """The waveforms or files of clips, or None if there are only features.

    Parameters
    ----------
    X : array, list of paths or clip table
        Clips.
    """
    has_both = isinstance(X, pd.DataFrame) and not {"path", "waveform"}.isdisjoint(X.columns)
    clips = as_clips(X, feature=None) if has_both else as_clips(X)
    return clips if clips.kind == "waveform" else None


def _figures(group: Group, positions: np.ndarray, explained: list[Explanation], n_jobs: int | None) -> list[Figure]:
    clips, reader = waveforms(taken(group.X, positions)), readers_of(group.detector)[0]
    if clips is None:
        return []
    figures = []
    sounds = clips.map(lambda waveform: waveform, reader, n_jobs=n_jobs, ahead=8)
    for position, each, waveform in zip(positions.tolist(), explained, sounds, strict=True):
        sound = Sound.around(waveform, reader.sample_rate, each.center)
        figure = Figure(group.names[position], group.machines[position], sound, spectrogram(sound))
        if each.places is not None:
            figure.anomaly = on_axes(each.places.values, each.places.times, each.places.frequencies, figure.axes)
            figure.knows_frequencies = bool(np.isfinite(each.places.frequencies).all())
        heard = figure.axes
        figure.regions = [row for row in each.regions if row["end_s"] > heard.start and row["start_s"] < heard.end]
        figures.append(figure)
    return figures


def _add_nearest(group: Group, figures: list[Figure], n_jobs: int | None, verbose: int) -> None:
    """Find the nearest normal clip of each figure, and read each of those once."""
    clips, reader = waveforms(group.normal), readers_of(group.detector)[0]
    if clips is None:
        return
    known = signatures(clips, reader, n_jobs, verbose)
    found = [nearest(signature(figure.sound), figure.machine, known, group.normal_machines) for figure in figures]
    chosen = sorted({position for position in found if position is not None})
    normal = {}
    for position, waveform in zip(
        chosen, clips.take(np.array(chosen, dtype=int)).map(lambda heard: heard, reader, n_jobs=n_jobs), strict=True
    ):
        sound = Sound.around(waveform, reader.sample_rate)
        name, machine = group.normal_names[position], group.normal_machines[position]
        normal[position] = Figure(name, machine, sound, spectrogram(sound))
    for figure, place in zip(figures, found, strict=True):
        figure.nearest = None if place is None else normal[place]


def pictures(figures: Sequence[Figure]) -> tuple[list[bytes], list[bytes | None]]:
    """PNG files of the spectrograms and the anomaly maps of the figures of one machine, on one scale of levels.

    A map reaches from nothing to its own largest value, but not less than the median of the largest values of all maps, so
    that clips that are not odd look so.

    Parameters
    ----------
    figures : sequence of Figure
        Figures of one machine.
    """
    loudest = max(float(figure.spectrogram.max()) for figure in figures)
    quiet = float(np.median([np.percentile(figure.spectrogram, _QUIET) for figure in figures]))
    spectra = [spectrogram_png(each.spectrogram, max(quiet, loudest - _RANGE), loudest) for each in figures]
    strong = [float(np.percentile(each.anomaly, _STRONG)) for each in figures if each.anomaly is not None]
    usual = float(np.median(strong)) if strong else 0.0
    maps = [
        None if each.anomaly is None else map_png(each.anomaly, max(float(np.percentile(each.anomaly, _STRONG)), usual))
        for each in figures
    ]
    return spectra, maps
