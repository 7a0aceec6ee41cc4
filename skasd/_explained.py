"""Explained: what a detector keeps and answers so that its scores can be explained, place by place.

Axes: F bands, T frames.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from skasd.clips import MACHINE_COLUMNS, ClipReader, Clips
from skasd.clips._normal_levels import NormalLevels

CLIPS_PER_MACHINE = 32  # whose levels are kept: enough for a mean and a spread, and quickly read once more
_ANY = ""  # name of the levels over all machines


class Explained:
    """Hooks by which :mod:`skasd.inspection` explains a detector; their defaults are right for every detector.

    A detector overrides ``_anomaly_map`` if its score can be split into parts of places, ``_map_frontend`` if it keeps its
    front end elsewhere, and ``_hears_spectrograms`` if it hears more of a clip than the spectrogram.
    """

    _normal_levels: dict[str, NormalLevels] | None = None

    def _map_frontend(self) -> Any:
        """Front end that computes the spectrograms that maps are drawn over; None if there is none."""
        return vars(self).get("_frontend")

    def _hears_spectrograms(self, clips: Clips) -> bool:
        """Whether the spectrograms of clips, given in place of the clips, get the same scores."""
        return True

    def _anomaly_map(self, clips: Clips, normal: Sequence[NormalLevels]) -> list[np.ndarray] | None:
        """How much each place adds to the anomaly score: (F, T) of each clip, in the unit of the score.

        None if the score does not split into places, so that places have to be tried one by one.
        """
        return None

    def _learn_normal_levels(self, clips: Clips) -> None:
        """Keep the levels of some training clips of each machine."""
        frontend, names = self._map_frontend(), machine_of(clips)
        self._normal_levels = None if frontend is None else {}
        rows = {str(name): np.flatnonzero(names == name) for name in np.unique(names)} if frontend is not None else {}
        for name, some in {**rows, _ANY: np.arange(len(clips))}.items() if rows else ():
            levels = levels_of(frontend, clips.take(_spread_out(some)))
            if levels is not None:
                self._normal_levels[name] = levels  # type: ignore[index]

    def _normal_of(self, clips: Clips) -> list[NormalLevels] | None:
        """Levels of the machine of each clip, or of all machines where it is not known; None if none were kept."""
        if not self._normal_levels:
            return None
        return [self._normal_levels.get(str(name), self._normal_levels[_ANY]) for name in machine_of(clips)]


def machine_of(clips: Clips) -> np.ndarray:
    """Machine (n_clips,) of each clip by the usual columns; "" where the table does not say it."""
    table = clips.table
    columns = [] if table is None else [name for name in MACHINE_COLUMNS if name in table.columns]
    names: np.ndarray = np.full(len(clips), _ANY, dtype=object)
    for column in columns:
        cells = table[column].map(_text).to_numpy(dtype=object)  # type: ignore[index]
        names = names + ("/" if column is not columns[0] else "") + cells
    return names


def _text(cell: Any) -> str:
    return _ANY if pd.api.types.is_scalar(cell) and pd.isna(cell) else str(cell)


def levels_of(frontend: Any, clips: Clips) -> NormalLevels | None:
    """Levels of clips by a front end; clips that cannot be read are left out, and None stands for the levels of none."""
    found = spectrograms_of(frontend, clips)
    read = [number for number, (_, reason) in enumerate(found) if reason is None]
    if not read:
        return None
    domains = clips.domains()
    return NormalLevels.of([found[number][0] for number in read], [domains[number] for number in read])


def spectrograms_of(frontend: Any, clips: Clips) -> list[tuple[Any, str | None]]:
    """Spectrogram (F, T) of each clip, and why there is none; without the warnings that a detector gives anyway."""
    if clips.kind == "feature":
        attempts = clips.attempts(np.asarray, ClipReader())
    else:
        attempts = clips.attempts(_Spectrogram(frontend.spectrogram), frontend.reader)
    return [(spectrogram, reason) for spectrogram, reason, _ in attempts]


class _Spectrogram:
    """The function of a front end, with a plain array as its result."""

    def __init__(self, function: Callable[[np.ndarray], np.ndarray]) -> None:
        self.function = function

    def __call__(self, waveform: np.ndarray) -> np.ndarray:
        return np.asarray(self.function(waveform))


def _spread_out(rows: np.ndarray) -> np.ndarray:
    """At most as many rows as are kept of a machine, evenly spread over all."""
    if len(rows) <= CLIPS_PER_MACHINE:
        return rows
    return rows[np.linspace(0, len(rows) - 1, CLIPS_PER_MACHINE).round().astype(int)]
