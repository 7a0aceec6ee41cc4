"""The patches of a training: parts of a few frames of clips, which overlap and are held once.

Axes: F mel bands, T frames, P frames of a patch, B patches of a batch.
"""

import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from skasd.training._data import Batch


class PatchStore:
    """Frames of clips of any length, one after another, and where the patches of each begin.

    Parameters
    ----------
    n_clips : int
        Clips to come.
    memory_budget : float
        Bytes of all frames, as far as the first clip tells, above which they go into a temporary file.
    length, step : int
        Frames of a patch, and from one to the next. A clip of fewer frames is repeated to one patch.

    Attributes
    ----------
    is_mapped : bool
        Whether the frames are in a temporary file, which `close` removes.
    """

    def __init__(self, n_clips: int, memory_budget: float, *, length: int, step: int) -> None:
        self.n_clips, self.memory_budget, self.length, self.step = n_clips, memory_budget, length, step
        self.is_mapped = False
        self._folder: tempfile.TemporaryDirectory | None = None

    def fill(self, spectrograms: Iterable[np.ndarray | None]) -> None:
        """Take in spectrograms (F, T); None stands for one that could not be read, for which they raise at their end."""
        lengths = [0]
        for spectrogram in spectrograms:
            if spectrogram is not None:
                frames = repeated(spectrogram, self.length).T
                self._append(frames, sum(lengths))
                lengths.append(len(frames))
        self._finish(sum(lengths))
        edges = np.cumsum(lengths)
        self._first, self._last = edges[:-1], edges[1:]
        self._place()

    def _place(self) -> None:
        """Where the patches of the clips begin."""
        n_frames = self._last - self._first
        starts = [
            first + patch_starts(n, self.length, self.step) for first, n in zip(self._first, n_frames, strict=True)
        ]
        self.start = np.concatenate(starts)
        self.clip = np.repeat(np.arange(len(starts)), [len(some) for some in starts])

    def _append(self, frames: np.ndarray, n_before: int) -> None:
        if n_before == 0:
            self._frames = np.empty((0, frames.shape[1]), frames.dtype)
            self._decide_where(frames)
        if self.is_mapped:
            with self._file.open("ab") as file:
                file.write(np.ascontiguousarray(frames, dtype=self._frames.dtype).tobytes())
            return
        n_needed = n_before + len(frames)
        if n_needed > len(self._frames):
            larger = np.empty((max(n_needed, 2 * len(self._frames)), frames.shape[1]), self._frames.dtype)
            larger[:n_before] = self._frames[:n_before]
            self._frames = larger
        self._frames[n_before:n_needed] = frames

    def _decide_where(self, first: np.ndarray) -> None:
        if first.nbytes * self.n_clips > self.memory_budget:
            self._folder = tempfile.TemporaryDirectory(prefix="skasd-", ignore_cleanup_errors=True)
            self._file = Path(self._folder.name) / "frames"
            self.is_mapped = True
        else:
            self._frames = np.empty((len(first) * self.n_clips, first.shape[1]), first.dtype)

    def _finish(self, n_frames: int) -> None:
        if self.is_mapped:
            shape = (n_frames, self._frames.shape[1])
            self._frames = np.memmap(self._file, self._frames.dtype, "r+", shape=shape)
        else:
            self._frames = self._frames[:n_frames]

    def clips(self) -> Iterator[np.ndarray]:
        """Spectrograms (F, T) of the clips one by one, as they came in."""
        for first, last in zip(self._first, self._last, strict=True):
            yield self._frames[first:last].T

    def part(self, clips: np.ndarray) -> "PatchStore":
        """Some of the clips, given by their positions in ascending order; their frames are not copied."""
        part = PatchStore(len(clips), self.memory_budget, length=self.length, step=self.step)
        part.is_mapped = self.is_mapped
        first, last = self._first[clips[0]], self._last[clips[-1]]
        part._frames = self._frames[first:last]
        part._first, part._last = self._first[clips] - first, self._last[clips] - first
        part._place()
        return part

    def on(self, device: torch.device, dtype: torch.dtype, label: np.ndarray) -> "PatchClips":
        """The patches for a training on a device, with the class (n_clips,) of each clip."""
        frames = torch.from_numpy(self._frames)
        start, of_patch = torch.from_numpy(self.start), torch.from_numpy(label[self.clip]).to(device)
        if not self.is_mapped:
            frames, start = frames.to(device), start.to(device)
        return PatchClips(frames, start, of_patch, self.length, dtype, self.is_mapped)

    def mean_frame(self) -> np.ndarray:
        """Mean (F,) of the frames of all clips."""
        sums = [
            self._frames[first:last].sum(axis=0, dtype=np.float64)
            for first, last in zip(self._first, self._last, strict=True)
        ]
        return np.sum(sums, axis=0) / (self._last - self._first).sum()

    @property
    def n_bands(self) -> int:
        """F."""
        return self._frames.shape[1]

    def rows_of(self, clips: np.ndarray) -> np.ndarray:
        """Patches of some clips, given by their positions."""
        return np.flatnonzero(np.isin(self.clip, clips))

    def close(self) -> None:
        """Remove the temporary file, if there is one."""
        self._frames = np.empty((0, 0))
        if self._folder is not None:
            self._folder.cleanup()


@dataclass(frozen=True)
class PatchClips:
    """Patches of a training and their labels; a batch is a selection of rows.

    Parameters
    ----------
    frames : Tensor of shape (n_frames, F)
        Of all clips, on the device, or mapped from a file.
    start : Tensor of shape (n_patches,), int64
        First frame of each patch.
    label : Tensor of shape (n_patches,), int64
        Class of each patch, on the device.
    length : int
        Frames of a patch.
    dtype : torch.dtype
        Of the batches.
    is_mapped : bool, default=False
        Whether the frames are mapped from a file.
    """

    frames: Tensor
    start: Tensor
    label: Tensor
    length: int
    dtype: torch.dtype
    is_mapped: bool = False

    def __len__(self) -> int:
        return len(self.start)

    def take(self, rows: Tensor) -> Batch:
        """Patches (B, P, F) and labels of some rows, on the device."""
        patches = as_patches(self.frames, self.length)[self.start[rows.to(self.start.device)]]
        taken = {"patch": patches.to(self.label.device).to(self.dtype)}
        return taken, self.label[rows.to(self.label.device)]


def as_patches(frames: Tensor, length: int) -> Tensor:
    """All patches (T - P + 1, P, F) of frames (T, F) that lie together in memory: a view, which holds nothing."""
    n_frames, n_bands = frames.shape
    return frames.as_strided((n_frames - length + 1, length, n_bands), (n_bands, n_bands, 1))


def patch_starts(n_frames: int, length: int, step: int) -> np.ndarray:
    """First frames of the patches of a clip.

    Examples
    --------
    >>> patch_starts(311, 64, 8).shape, patch_starts(311, 64, 8)[-1]
    ((31,), np.int64(240))
    """
    return np.arange(0, n_frames - length + 1, step)


def repeated(spectrogram: np.ndarray, length: int) -> np.ndarray:
    """A spectrogram (F, T), repeated to at least so many frames."""
    n_frames = spectrogram.shape[1]
    return spectrogram if n_frames >= length else np.take(spectrogram, range(length), axis=1, mode="wrap")
