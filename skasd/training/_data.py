"""Training clips, kept in memory or in a temporary file and moved to the device once if they fit."""

import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from skasd._device import dtype_on
from skasd.clips import Recordings

_INT16_FULL_SCALE = 2**15
Batch = tuple[dict[str, Tensor], Tensor]


class ClipStore:
    """Arrays of clips with equal shapes, filled clip by clip so that nothing is stored twice.

    Parameters
    ----------
    n_clips : int
        Number of clips.
    memory_budget : float
        Memory for all arrays together, in bytes; larger data are memory-mapped from a temporary file.

    Attributes
    ----------
    arrays : dict of str to ndarray of shape (n_clips, ...)
        Inputs by name. Waveforms are stored as int16 if that is lossless; everything else keeps its dtype.
    is_mapped : bool
        Whether the arrays are memory-mapped from a temporary file, which `close` removes.
    recordings : Recordings
        Machines and recordings of the clips, which decide what is held out together. Each clip is a recording of its own
        unless whoever fills the store sets it.
    """

    def __init__(self, n_clips: int, memory_budget: float) -> None:
        self.n_clips, self.memory_budget = n_clips, memory_budget
        self.arrays: dict[str, np.ndarray] = {}
        self.is_mapped = False
        self.recordings = Recordings.alone(n_clips)
        self._folder: tempfile.TemporaryDirectory | None = None

    def fill(self, clips: Iterable[dict[str, np.ndarray] | None]) -> None:
        """Store the clips.

        Parameters
        ----------
        clips : iterable of dict of str to ndarray
            Inputs of each clip by name. None stands for an unreadable clip; the iterable raises for it at its end.
        """
        for position, clip in enumerate(clips):
            for name, values in (clip or {}).items():
                self._put(name, position, values)

    def _put(self, name: str, position: int, values: np.ndarray) -> None:
        packed = _packed(values) if name == "waveform" else values
        if name not in self.arrays:
            self._decide_where(name, packed)
            self.arrays[name] = self._empty(name, packed)
        elif (
            self.arrays[name].dtype == np.int16 and packed.dtype != np.int16
        ):  # first clip that int16 cannot hold exactly
            self._decide_where(name, values)
            wide = self._empty(f"{name}_wide", values)
            for row in range(position):
                wide[row] = _unpacked(self.arrays[name][row], values.dtype)
            self.arrays[name] = wide
        array = self.arrays[name]
        array[position] = packed if array.dtype == np.int16 else values

    def _decide_where(self, name: str, clip: np.ndarray) -> None:
        others = sum(array.nbytes for other, array in self.arrays.items() if other != name)
        n_bytes = others + clip.nbytes * self.n_clips
        if n_bytes > self.memory_budget and self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="skasd-", ignore_cleanup_errors=True)
            self.is_mapped = True

    def _empty(self, name: str, like: np.ndarray) -> np.ndarray:
        shape = (self.n_clips, *like.shape)
        if self._folder is None:
            return np.empty(shape, like.dtype)
        return np.lib.format.open_memmap(Path(self._folder.name) / f"{name}.npy", "w+", like.dtype, shape)

    def clips(self) -> Iterator[dict[str, np.ndarray]]:
        """Iterate over the clips in their original values.

        Yields
        ------
        clip : dict of str to ndarray
            Inputs of a clip by name.
        """
        for position in range(self.n_clips):
            rows = {name: array[position] for name, array in self.arrays.items()}
            yield {
                name: _unpacked(row, np.dtype(np.float64)) if row.dtype == np.int16 else row
                for name, row in rows.items()
            }

    def on(self, device: torch.device, dtype: torch.dtype, label: np.ndarray) -> "TrainingClips":
        """Training clips on a device, with their labels.

        Parameters
        ----------
        device : torch.device
            Device to train on.
        dtype : torch.dtype
            Floating point type of the batches.
        label : ndarray of shape (n_clips,), int64
            Class of each clip.

        Returns
        -------
        clips : TrainingClips
            Clips to draw batches from.
        """
        return TrainingClips.of(self, label, device, dtype)

    def rows_of(self, clips: np.ndarray) -> np.ndarray:
        """Training rows of some clips; each clip is one row.

        Parameters
        ----------
        clips : ndarray of shape (n_selected,), int
            Indices of clips.

        Returns
        -------
        rows : ndarray of shape (n_selected,), int
            Rows of the clips.
        """
        return clips

    def close(self) -> None:
        """Release the arrays and remove the temporary file, if any."""
        self.arrays = {}
        if self._folder is not None:
            self._folder.cleanup()


def _packed(waveform: np.ndarray) -> np.ndarray:
    """Waveform as int16 if that is lossless, else unchanged."""
    scaled = waveform * _INT16_FULL_SCALE
    if scaled.max(initial=0) > _INT16_FULL_SCALE - 1 or scaled.min(initial=0) < -_INT16_FULL_SCALE:
        return waveform
    packed = scaled.astype(np.int16)
    return packed if np.array_equal(packed, scaled) else waveform


def _unpacked(packed: np.ndarray, dtype: np.dtype) -> np.ndarray:
    return packed.astype(dtype) / dtype.type(_INT16_FULL_SCALE)


@dataclass(frozen=True)
class TrainingClips:
    """Training clips and their labels; a batch is a selection of rows.

    Parameters
    ----------
    inputs : dict of str to Tensor of shape (n_clips, ...)
        Inputs by name, on the device or memory-mapped from a file.
    label : Tensor of shape (n_clips,), int64
        Class of each clip, on the device.
    dtype : torch.dtype
        Floating point type of the batches.
    is_mapped : bool, default=False
        Whether the inputs are memory-mapped from a file.
    """

    inputs: dict[str, Tensor]
    label: Tensor
    dtype: torch.dtype
    is_mapped: bool = False

    @classmethod
    def of(cls, store: ClipStore, label: np.ndarray, device: torch.device, dtype: torch.dtype) -> "TrainingClips":
        """Training clips from a store, moved to the device unless they are memory-mapped.

        Parameters
        ----------
        store : ClipStore
            Store that holds the inputs.
        label : ndarray of shape (n_clips,), int64
            Class of each clip.
        device : torch.device
            Device to train on.
        dtype : torch.dtype
            Floating point type of the batches.

        Returns
        -------
        clips : TrainingClips
            Clips to draw batches from.
        """
        inputs = {name: torch.from_numpy(array) for name, array in store.arrays.items()}
        if not store.is_mapped:
            inputs = {name: tensor.to(device, dtype_on(device, tensor.dtype)) for name, tensor in inputs.items()}
        return cls(inputs, torch.from_numpy(label).to(device), dtype, store.is_mapped)

    def __len__(self) -> int:
        return len(self.label)

    def take(self, rows: Tensor) -> Batch:
        """Select a batch, on the device and in floating point.

        Parameters
        ----------
        rows : Tensor of shape (n_rows,), int64
            Rows to select.

        Returns
        -------
        inputs : dict of str to Tensor of shape (n_rows, ...)
            Inputs by name.
        label : Tensor of shape (n_rows,), int64
            Class of each row.
        """
        inputs = {name: self._taken(values, rows) for name, values in self.inputs.items()}
        return inputs, self.label[rows.to(self.label.device)]

    def _taken(self, values: Tensor, rows: Tensor) -> Tensor:
        taken = values[rows.to(values.device)]
        taken = taken.to(self.label.device, dtype_on(self.label.device, taken.dtype))
        if taken.dtype == torch.int16:
            return taken.to(self.dtype) / _INT16_FULL_SCALE
        return taken.to(self.dtype)
