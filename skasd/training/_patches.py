"""Training patches: overlapping excerpts of a few frames, stored without duplication.

Axes: F mel bands, T frames, P frames of a patch, B patches of a batch.
"""

import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from skasd._device import dtype_on
from skasd.clips import Recordings
from skasd.training._data import Batch


class PatchStore:
    """Concatenated frames of clips of any length, with the start of each patch.

    Parameters
    ----------
    n_clips : int
        Number of clips.
    memory_budget : float
        Memory for all frames, in bytes, estimated from the first clip; larger data go to a temporary file.
    length, step : int
        Length of a patch and distance between patches, in frames. Clips shorter than a patch are repeated to its length.

    Attributes
    ----------
    is_mapped : bool
        Whether the frames are memory-mapped from a temporary file, which `close` removes.
    recordings : Recordings
        Machines and recordings of the clips, which decide what is held out together. Each clip is a recording of its own
        unless whoever fills the store sets it.
    """

    def __init__(self, n_clips: int, memory_budget: float, *, length: int, step: int) -> None:
        self.n_clips, self.memory_budget, self.length, self.step = n_clips, memory_budget, length, step
        self.is_mapped = False
        self.recordings = Recordings.alone(n_clips)
        self._folder: tempfile.TemporaryDirectory | None = None

    def fill(self, spectrograms: Iterable[np.ndarray | None]) -> None:
        """Store the spectrograms.

        Parameters
        ----------
        spectrograms : iterable of ndarray of shape (F, T)
            Spectrogram of each clip. None stands for an unreadable clip; the iterable raises for it at its end.
        """
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
        """Compute the first frame and the clip of each patch."""
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
        """Iterate over the spectrograms.

        Yields
        ------
        spectrogram : ndarray of shape (F, T)
            Spectrogram of a clip.
        """
        for first, last in zip(self._first, self._last, strict=True):
            yield self._frames[first:last].T

    def part(self, clips: np.ndarray) -> "PatchStore":
        """Subset of the clips, without copying their frames.

        Parameters
        ----------
        clips : ndarray of shape (n_selected,), int
            Indices of clips in ascending order.

        Returns
        -------
        part : PatchStore
            Store of the selected clips.
        """
        part = PatchStore(len(clips), self.memory_budget, length=self.length, step=self.step)
        part.is_mapped = self.is_mapped
        first, last = self._first[clips[0]], self._last[clips[-1]]
        part._frames = self._frames[first:last]
        part._first, part._last = self._first[clips] - first, self._last[clips] - first
        part.recordings = self.recordings.part(clips)
        part._place()
        return part

    def on(self, device: torch.device, dtype: torch.dtype, label: np.ndarray) -> "PatchClips":
        """Training patches on a device, with the labels of their clips.

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
        clips : PatchClips
            Patches to draw batches from.
        """
        frames = torch.from_numpy(self._frames)
        start, of_patch = torch.from_numpy(self.start), torch.from_numpy(label[self.clip]).to(device)
        if not self.is_mapped:
            frames, start = frames.to(device, dtype_on(device, frames.dtype)), start.to(device)
        return PatchClips(frames, start, of_patch, self.length, dtype, self.is_mapped)

    def mean_frame(self) -> np.ndarray:
        """Mean of the frames of all clips.

        Returns
        -------
        mean : ndarray of shape (F,), float64
            Mean spectrum, in the unit of the frames.
        """
        sums = [
            self._frames[first:last].sum(axis=0, dtype=np.float64)
            for first, last in zip(self._first, self._last, strict=True)
        ]
        return np.sum(sums, axis=0) / (self._last - self._first).sum()

    @property
    def n_bands(self) -> int:
        """Number of mel bands F."""
        return self._frames.shape[1]

    def rows_of(self, clips: np.ndarray) -> np.ndarray:
        """Rows of the patches of some clips.

        Parameters
        ----------
        clips : ndarray of shape (n_selected,), int
            Indices of clips.

        Returns
        -------
        rows : ndarray of shape (n_rows,), int
            Rows of their patches.
        """
        return np.flatnonzero(np.isin(self.clip, clips))

    def close(self) -> None:
        """Release the frames and remove the temporary file, if any."""
        self._frames = np.empty((0, 0))
        if self._folder is not None:
            self._folder.cleanup()


@dataclass(frozen=True)
class PatchClips:
    """Training patches and their labels; a batch is a selection of rows.

    Parameters
    ----------
    frames : Tensor of shape (n_frames, F)
        Frames of all clips, on the device or memory-mapped from a file.
    start : Tensor of shape (n_patches,), int64
        First frame of each patch.
    label : Tensor of shape (n_patches,), int64
        Class of each patch, on the device.
    length : int
        Length of a patch, in frames.
    dtype : torch.dtype
        Floating point type of the batches.
    is_mapped : bool, default=False
        Whether the frames are memory-mapped from a file.
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
        """Select a batch of patches, on the device.

        Parameters
        ----------
        rows : Tensor of shape (n_rows,), int64
            Rows to select.

        Returns
        -------
        inputs : dict of str to Tensor of shape (B, P, F)
            Patches, under the name ``patch``.
        label : Tensor of shape (n_rows,), int64
            Class of each row.
        """
        patches = as_patches(self.frames, self.length)[self.start[rows.to(self.start.device)]]
        taken = {"patch": patches.to(self.label.device, self.dtype)}
        return taken, self.label[rows.to(self.label.device)]


def as_patches(frames: Tensor, length: int) -> Tensor:
    """All patches (T - P + 1, P, F) of contiguous frames (T, F), as a view that needs no memory of its own."""
    n_frames, n_bands = frames.shape
    return frames.as_strided((n_frames - length + 1, length, n_bands), (n_bands, n_bands, 1))


def patch_starts(n_frames: int, length: int, step: int) -> np.ndarray:
    """Index of the first frame of each patch of a clip.

    Parameters
    ----------
    n_frames : int
        Length of the clip, in frames.
    length, step : int
        Length of a patch and distance between patches, in frames.

    Returns
    -------
    starts : ndarray of shape (n_patches,), int
        First frames.

    Examples
    --------
    >>> patch_starts(311, 64, 8).shape, int(patch_starts(311, 64, 8)[-1])
    ((31,), 240)
    """
    return np.arange(0, n_frames - length + 1, step)


def repeated(spectrogram: np.ndarray, length: int) -> np.ndarray:
    """Spectrogram (F, T), repeated to at least `length` frames."""
    n_frames = spectrogram.shape[1]
    return spectrogram if n_frames >= length else np.take(spectrogram, range(length), axis=1, mode="wrap")
