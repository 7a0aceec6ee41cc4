"""The clips of a training: in memory or in a temporary file, moved to the device once if they fit."""

import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

_INT16_FULL_SCALE = 2**15
Batch = tuple[dict[str, Tensor], Tensor]
Order = Callable[["Rows", torch.Generator], Tensor]


class ClipStore:
    """Arrays of clips of one shape each, filled clip by clip so that nothing is held twice.

    Parameters
    ----------
    n_clips : int
        Clips to come.
    memory_budget : float
        Bytes of all arrays together, above which they go into a temporary file and are mapped from there.

    Attributes
    ----------
    arrays : dict of str to ndarray of shape (n_clips, ...)
        Waveforms that a 16-bit file can hold exactly as int16; everything else as it came.
    is_mapped : bool
        Whether the arrays are in a temporary file, which `close` removes.
    """

    def __init__(self, n_clips: int, memory_budget: float) -> None:
        self.n_clips, self.memory_budget = n_clips, memory_budget
        self.arrays: dict[str, np.ndarray] = {}
        self.is_mapped = False
        self._folder: tempfile.TemporaryDirectory | None = None

    def fill(self, clips: Iterable[dict[str, np.ndarray] | None]) -> None:
        """Take in the clips; None stands for one that could not be read, for which `clips` raises at its end."""
        for position, clip in enumerate(clips):
            for name, values in (clip or {}).items():
                self._put(name, position, values)

    def _put(self, name: str, position: int, values: np.ndarray) -> None:
        packed = _packed(values) if name == "waveform" else values
        if name not in self.arrays:
            self._decide_where(name, packed)
            self.arrays[name] = self._empty(name, packed)
        elif self.arrays[name].dtype == np.int16 and packed.dtype != np.int16:  # the first that int16 cannot hold
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
        """The clips one by one, as they came in."""
        for position in range(self.n_clips):
            rows = {name: array[position] for name, array in self.arrays.items()}
            yield {
                name: _unpacked(row, np.dtype(np.float64)) if row.dtype == np.int16 else row
                for name, row in rows.items()
            }

    def on(self, device: torch.device, dtype: torch.dtype, label: np.ndarray) -> "TrainingClips":
        """The clips for a training on a device, with the class (n_clips,) of each."""
        return TrainingClips.of(self, label, device, dtype)

    def rows_of(self, clips: np.ndarray) -> np.ndarray:
        """Rows of a training that some clips, given by their positions, are in: one each."""
        return clips

    def close(self) -> None:
        """Remove the temporary file, if there is one."""
        self.arrays = {}
        if self._folder is not None:
            self._folder.cleanup()


def _packed(waveform: np.ndarray) -> np.ndarray:
    """The waveform as int16 if that loses nothing."""
    scaled = waveform * _INT16_FULL_SCALE
    if scaled.max(initial=0) > _INT16_FULL_SCALE - 1 or scaled.min(initial=0) < -_INT16_FULL_SCALE:
        return waveform
    packed = scaled.astype(np.int16)
    return packed if np.array_equal(packed, scaled) else waveform


def _unpacked(packed: np.ndarray, dtype: np.dtype) -> np.ndarray:
    return packed.astype(dtype) / dtype.type(_INT16_FULL_SCALE)


@dataclass(frozen=True)
class TrainingClips:
    """Clips of a training and their labels; a batch is a selection of rows.

    Parameters
    ----------
    inputs : dict of str to Tensor of shape (n_clips, ...)
        On the device, or mapped from a file.
    label : Tensor of shape (n_clips,), int64
        Class of each clip, on the device.
    dtype : torch.dtype
        Of the batches.
    is_mapped : bool, default=False
        Whether the inputs are mapped from a file.
    """

    inputs: dict[str, Tensor]
    label: Tensor
    dtype: torch.dtype
    is_mapped: bool = False

    @classmethod
    def of(cls, store: ClipStore, label: np.ndarray, device: torch.device, dtype: torch.dtype) -> "TrainingClips":
        """Clips of a store, moved to the device unless they are mapped from a file."""
        inputs = {name: torch.from_numpy(array) for name, array in store.arrays.items()}
        if not store.is_mapped:
            inputs = {name: tensor.to(device) for name, tensor in inputs.items()}
        return cls(inputs, torch.from_numpy(label).to(device), dtype, store.is_mapped)

    def __len__(self) -> int:
        return len(self.label)

    def take(self, rows: Tensor) -> Batch:
        """Inputs and labels of some rows, on the device and of floating point."""
        inputs = {name: self._taken(values, rows) for name, values in self.inputs.items()}
        return inputs, self.label[rows.to(self.label.device)]

    def _taken(self, values: Tensor, rows: Tensor) -> Tensor:
        taken = values[rows.to(values.device)].to(self.label.device)
        if taken.dtype == torch.int16:
            return taken.to(self.dtype) / _INT16_FULL_SCALE
        return taken.to(self.dtype)


class Selectable(Protocol):
    """What batches are selected from: all clips of a training, or all their patches."""

    @property
    def label(self) -> Tensor:
        """Class of each row, on the device."""

    @property
    def is_mapped(self) -> bool:
        """Whether they are mapped from a file."""

    def take(self, rows: Tensor) -> Batch:
        """Inputs and labels of some rows."""


@dataclass(frozen=True)
class Rows:
    """Some of the clips, as the data set of a training or of its validation.

    Parameters
    ----------
    clips : TrainingClips or PatchClips
        All clips, or all their patches.
    rows : Tensor of shape (n_rows,), int64
        Which of them.
    """

    clips: Selectable
    rows: Tensor

    def __len__(self) -> int:
        return len(self.rows)


class Batches:
    """Batches of the clips of a data set, in another order each epoch.

    Parameters
    ----------
    data : Rows
        What to take batches of.
    batch_size : int
        Clips of a batch. A last batch of one clip joins the batch before it, since batch normalisation needs two.
    order : callable or None, default=None
        Gives the rows of the next epoch of a `Rows`; None takes them in their order.
    """

    def __init__(self, data: Rows, batch_size: int, order: Callable[[Rows], Tensor] | None = None) -> None:
        self.data, self.batch_size, self.order = data, batch_size, order

    def __len__(self) -> int:
        n, size = len(self.data), self.batch_size
        return max(1, -(-n // size) - (n % size == 1 and size > 1))

    def __iter__(self) -> Iterator[Batch]:
        clips = self.data.clips
        rows = self.data.rows if self.order is None else self.order(self.data)
        cuts = [index * self.batch_size for index in range(len(self))]
        parts = [rows[start:end] for start, end in pairwise([*cuts, len(rows)])]
        if not clips.is_mapped:
            return map(clips.take, parts)
        return _ahead(clips.take, parts)


def _ahead(take: Callable[[Tensor], Batch], parts: list[Tensor]) -> Iterator[Batch]:
    """What `take` gives for each part, each fetched while the one before it is worked on."""
    with ThreadPoolExecutor(1) as reader:
        coming = reader.submit(take, parts[0])
        for part in parts[1:]:
            batch, coming = coming.result(), reader.submit(take, part)
            yield batch
        yield coming.result()


def shuffled(data: Rows, generator: torch.Generator) -> Tensor:
    """All rows in random order."""
    return data.rows[torch.randperm(len(data), generator=generator)]


def balanced(data: Rows, generator: torch.Generator) -> Tensor:
    """As many rows as there are, drawn so that every class is as likely as any other."""
    _, label, counts = data.clips.label[data.rows].cpu().unique(return_inverse=True, return_counts=True)
    weight = 1.0 / counts[label].double()
    return data.rows[torch.multinomial(weight, len(data), replacement=True, generator=generator)]


SAMPLINGS: dict[str, Order] = {"shuffled": shuffled, "balanced": balanced}
