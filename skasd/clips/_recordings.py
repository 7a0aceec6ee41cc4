"""Recordings of clips: clips that are copies, or parts of one recording, which must not be split when clips are held out."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from skasd.clips._audio import ClipReader
from skasd.clips._clips import Clips
from skasd.clips._machine_names import MACHINE_COLUMNS
from skasd.clips._near_copies import feature_levels, near_copies, spectrum_levels

_COLUMN = "group"  # of a clip table: the recording that a clip was cut from


@dataclass(frozen=True)
class Recordings:
    """Which clips belong together.

    Parameters
    ----------
    number : ndarray of shape (n_clips,), int
        Recording of each clip. Equal and almost equal clips have the same number, as do clips with the same name in the
        column `group`.
    machine : ndarray of shape (n_clips,), str
        Machine of each clip, or "".
    n_copies : int
        Number of clips that are equal, or almost equal, to another clip and could be left out.
    """

    number: np.ndarray
    machine: np.ndarray
    n_copies: int = 0

    @classmethod
    def of(cls, clips: Clips, values: np.ndarray, machine: np.ndarray) -> "Recordings":
        """Recordings of the clips of a fit.

        Parameters
        ----------
        clips : Clips
            The clips.
        values : ndarray of shape (n_clips, n_values)
            Numbers computed from each clip. Clips of one machine with the same numbers, or almost the same, are copies.
        machine : ndarray of shape (n_clips,), str
            Machine of each clip.
        """
        different, twin = np.unique(values, axis=0, return_inverse=True)
        twin = twin.reshape(-1)
        for name in np.unique(machine):
            own = np.unique(twin[machine == name])
            near = own[_first_of_each(near_copies(different[own]))]
            twin[machine == name] = near[np.searchsorted(own, twin[machine == name])]
        return cls(_joined(twin, named_recordings(clips)), machine, len(clips) - len(np.unique(twin)))

    @classmethod
    def read(
        cls, clips: Clips, reader: ClipReader, machine: np.ndarray, n_jobs: int | None, verbose: int = 0
    ) -> "Recordings":
        """Recordings of clips from which nothing was computed yet: each is read, and compared by its spectrum.

        Parameters
        ----------
        clips : Clips
            The clips.
        reader : ClipReader
            Reads files and waveforms.
        machine : ndarray of shape (n_clips,), str
            Machine of each clip.
        n_jobs : int or None
            Number of threads.
        verbose : int, default=0
            Shows a progress bar if 1 or larger.
        """
        summary = spectrum_levels if clips.kind == "waveform" else feature_levels
        return cls.of(clips, np.stack(list(clips.map(summary, reader, n_jobs=n_jobs, verbose=verbose))), machine)

    @classmethod
    def alone(cls, n_clips: int) -> "Recordings":
        """Recordings of clips of one machine of which nothing is known: each is its own.

        Parameters
        ----------
        n_clips : int
            Number of clips.
        """
        return cls(np.arange(n_clips), np.full(n_clips, ""))

    def part(self, positions: np.ndarray) -> "Recordings":
        """Select clips by position.

        Parameters
        ----------
        positions : ndarray of shape (n,), int
            Positions of the clips.

        Returns
        -------
        recordings : Recordings
            Their recordings, with the numbers as they are.
        """
        return Recordings(self.number[positions], self.machine[positions])


def _first_of_each(number: np.ndarray) -> np.ndarray:
    """Position (n,) of the first item with the same number."""
    _, first, inverse = np.unique(number, return_index=True, return_inverse=True)
    return first[inverse]


def recording_names(clips: Clips) -> np.ndarray:
    """Name (n_clips,) of the recording of each clip with that of its machine; "" for clips without one.

    Parameters
    ----------
    clips : Clips
        Clips.
    """
    if clips.table is None or _COLUMN not in clips.table.columns:
        return np.full(len(clips), "", dtype=object)
    columns = [clips.table[name].astype(str) for name in (*MACHINE_COLUMNS, _COLUMN) if name in clips.table]
    names = np.array(["\n".join(cells) for cells in zip(*columns, strict=True)], dtype=object)
    is_missing = clips.table[_COLUMN].isna().to_numpy() | (clips.table[_COLUMN] == "").to_numpy(dtype=bool)
    return np.where(is_missing, "", names)


def named_recordings(clips: Clips) -> np.ndarray:
    """Number (n_clips,) of the recording that the table names, counted within a machine; clips without a name are alone.

    Parameters
    ----------
    clips : Clips
        Clips.
    """
    alone = np.arange(len(clips))
    if clips.table is None or _COLUMN not in clips.table.columns:
        return alone
    is_missing = clips.table[_COLUMN].isna().to_numpy() | (clips.table[_COLUMN] == "").to_numpy(dtype=bool)
    keys = clips.table[_COLUMN].astype(str).to_numpy(dtype=object)
    columns = [clips.table[name].astype(str).to_numpy(dtype=object) for name in MACHINE_COLUMNS if name in clips.table]
    number, _ = pd.factorize(pd.MultiIndex.from_arrays([keys, *columns]))
    return np.where(is_missing, len(clips) + alone, number)


def _joined(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Number (n,) of the connected parts, where items with an equal number in one of both belong together."""
    n = len(one)
    _, one = np.unique(one, return_inverse=True)
    _, other = np.unique(other, return_inverse=True)
    item, size = np.arange(n), n + int(one.max()) + 1
    row, column = np.r_[item, item].astype(np.int32), np.r_[n + one, size + other].astype(np.int32)
    links = coo_array(
        (np.ones(2 * n, dtype=np.int8), (row, column)),  # of 64 bits, SciPy 1.11.1 joins nothing and raises nothing
        shape=(size + n, size + n),
    )
    return connected_components(links, directed=False)[1][:n]
