"""FileWindow: a part of an audio file, which stands for a path wherever a path is read."""

import math
import os
from dataclasses import dataclass


@dataclass(frozen=True)
class FileWindow(os.PathLike):
    """A part of an audio file.

    Parameters
    ----------
    path : str or path-like
        Audio file.
    start : int
        First time point of the window.
    n_timepoints : int
        Length of the window.
    sample_rate : int
        Sample rate that `start` and `n_timepoints` are counted at, in Hz.
    """

    path: str | os.PathLike
    start: int
    n_timepoints: int
    sample_rate: int

    def __fspath__(self) -> str:
        return os.fspath(self.path)

    def frames(self, sample_rate: int, n_frames: int) -> tuple[int, int]:
        """First frame, and number of frames, of the window in a file of `n_frames` frames with this sample rate."""
        ratio = sample_rate / self.sample_rate
        start = min(math.floor(self.start * ratio), n_frames)
        return start, min(math.ceil(self.n_timepoints * ratio), n_frames - start)
