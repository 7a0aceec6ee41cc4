"""TrainingLength: how long the training clips were; longer clips are heard in windows of that length.

Symbols: T length of a clip, L training length, k windows.
"""

import os
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from skasd.clips._audio import ClipReader
from skasd.clips._clips import WAVEFORM_COLUMNS, Clips
from skasd.clips._file_window import FileWindow
from skasd.clips._sound import Sound

LONGER = 1.1  # times the training length: longer clips are heard in windows
_SHORTER = 0.7  # times the shortest usual training length: shorter clips are warned about
_SHORTEST_USUAL = 0.05  # share of the training clips that may be shorter


def median_length(lengths: np.ndarray) -> int:
    """Median of those lengths that are known, the lower one of two; 0 if none is."""
    known = np.sort(lengths[lengths > 0])
    return int(known[(len(known) - 1) // 2]) if len(known) else 0


@dataclass(frozen=True)
class Windows:
    """Clips of which the long ones are cut into windows.

    Parameters
    ----------
    clips : Clips
        The windows; a clip that is not long is one window, unchanged.
    of_clip : ndarray of shape (n_windows,), int
        Position of the clip of each window, ascending.
    share : ndarray of shape (n_clips,)
        Length of each clip in training lengths, and 1 for clips that are not long.
    start : ndarray of shape (n_windows,), int
        First time point or frame of each window.
    """

    clips: Clips
    of_clip: np.ndarray
    share: np.ndarray
    start: np.ndarray

    def mean(self, values: np.ndarray) -> np.ndarray:
        """Mean (n_clips, ...) over the windows of each clip of values (n_windows, ...)."""
        first, count = self._groups()
        shape = (-1, *[1] * (values.ndim - 1))
        return np.add.reduceat(values, first, axis=0) / count.reshape(shape).astype(values.dtype)

    def largest(self, values: np.ndarray) -> np.ndarray:
        """Largest (n_clips,) of the values (n_windows,) of each clip."""
        return np.maximum.reduceat(values, self._groups()[0])

    def _groups(self) -> tuple[np.ndarray, np.ndarray]:
        _, first, count = np.unique(self.of_clip, return_index=True, return_counts=True)
        return first, count


@dataclass(frozen=True)
class TrainingLength:
    """Length of the clips that a detector was trained on.

    Parameters
    ----------
    median : int
        Median length, in time points of waveforms, or in frames of features; 0 if it is not known.
    shortest : int
        Length that nineteen out of twenty training clips reach.
    reader : ClipReader
        How the detector reads files: its sample rate, and the duration that clips are cut at.
    """

    median: int
    shortest: int
    reader: ClipReader

    @classmethod
    def of(cls, clips: Clips, reader: ClipReader) -> "TrainingLength":
        """Length of these training clips."""
        lengths = _heard(clips, reader)
        known = lengths[lengths > 0]
        shortest = np.quantile(known, _SHORTEST_USUAL, method="lower") if len(known) else 0
        return cls(median_length(lengths), int(shortest), reader)

    def windows(self, clips: Clips) -> Windows | None:
        """Cut the long clips into windows of the training length; None if there are no long clips.

        A clip longer than 1.1 times the training length gives k = ceil(T / L) windows, evenly spaced from its first to its
        last time point or frame.
        """
        lengths = _heard(clips, self.reader)
        is_long = lengths > LONGER * self.median
        if not self.median or not is_long.any():
            return None
        count = np.where(is_long, np.ceil(lengths / self.median), 1).astype(int)
        of_clip = np.repeat(np.arange(len(clips)), count)
        number = np.arange(len(of_clip)) - np.repeat(np.cumsum(count) - count, count)
        parts = [
            _Part(float(lengths[clip]), round(n * (lengths[clip] - self.median) / (count[clip] - 1)), self.median)
            if is_long[clip]
            else None
            for clip, n in zip(of_clip, number, strict=True)
        ]
        share = np.where(is_long, lengths / self.median, 1.0)
        start = np.array([0 if part is None else part.start for part in parts])
        return Windows(_cut(clips, of_clip, parts, self.reader), of_clip, share, start)

    def warn_of_short(self, clips: Clips, detector: str, stacklevel: int) -> None:
        """Warn if clips are far shorter than those that the detector was trained on."""
        lengths = _heard(clips, self.reader)
        short = lengths[(lengths > 0) & (lengths < _SHORTER * min(self.median, self.shortest))]
        if not len(short):
            return
        low, high = (self._in_words(clips, length) for length in (short.min(), short.max()))
        lasts = low if low == high else f"{low} to {high}"
        warnings.warn(
            f"{len(short)} of {len(clips)} clips are much shorter ({lasts}) than the clips that {detector} was trained on "
            f"(median {self._in_words(clips, self.median)}). The scores of short clips vary more, so expect more "
            "false alarms among them. Give clips of the training length, or fit on normal clips that are as short.",
            stacklevel=stacklevel + 1,
        )

    def _in_words(self, clips: Clips, length: float) -> str:
        if clips.kind == "feature":
            return f"{length} frames"
        return f"{length / self.reader.sample_rate:.3g} s"


@dataclass(frozen=True)
class _Part:
    """A window of `length` time points or frames, from `start`, of a clip of `whole`."""

    whole: float
    start: int
    length: int

    def within(self, whole: int) -> tuple[int, int]:
        """Start and stop of the same part of a clip that is `whole` long in another unit, rounded outwards."""
        start, stop = self.start / self.whole * whole, (self.start + self.length + 1) / self.whole * whole
        return int(np.floor(start)), min(whole, int(np.ceil(stop)))


def _heard(clips: Clips, reader: ClipReader) -> np.ndarray:
    """Length (n_clips,) of the part of each clip that the reader returns, before it fills short clips."""
    lengths = clips.lengths(reader.sample_rate)
    if clips.kind == "feature" or reader.duration is None:
        return lengths
    return np.minimum(lengths, max(1, round(reader.duration * reader.sample_rate)))


def _cut(clips: Clips, of_clip: np.ndarray, parts: list[_Part | None], reader: ClipReader) -> Clips:
    """One clip per window, with its row of the table."""
    taken = clips.take(of_clip)
    items = [
        item if part is None else _slice(item, part.start, part.start + part.length, reader.sample_rate)
        for item, part in zip(taken.items, parts, strict=True)
    ]
    table = taken.table
    if table is not None:
        columns: dict[Any, list] = {} if clips.column is None else {clips.column: items}
        if clips.kind == "feature":  # networks read the waveforms of the same clips too
            column = next((name for name in WAVEFORM_COLUMNS if name in table.columns), None)
            if column is not None:
                columns[column] = _cut_waveforms(table[column].tolist(), parts, reader.sample_rate)
        import pandas as pd

        cells = {name: pd.Series(values, index=table.index, dtype=object) for name, values in columns.items()}
        table = table.assign(**cells)
    return Clips(clips.kind, items, table, clips.column, taken.positions)


def _cut_waveforms(cells: list, parts: list[_Part | None], sample_rate: int) -> list:
    waveforms = Clips("waveform", cells)
    lengths = waveforms.lengths(sample_rate)
    return [
        cell if part is None or not length else _slice(cell, *part.within(int(length)), sample_rate)
        for cell, part, length in zip(cells, parts, lengths, strict=True)
    ]


def _slice(item: Any, start: int, stop: int, sample_rate: int) -> Any:
    """Part of a clip; of a file, only this part is read later."""
    if isinstance(item, Sound):
        return item.part(start, stop, sample_rate)
    if isinstance(item, str | os.PathLike):
        return FileWindow(item, int(start), int(stop - start), sample_rate)
    return np.asarray(item)[..., start:stop]
