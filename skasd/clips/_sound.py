"""Sound: samples of a recording that were read already, at the sample rate of its file."""

import math
from dataclasses import dataclass
from typing import Self

import numpy as np


@dataclass(frozen=True, eq=False)
class Sound:
    """Part of a recording in memory, which stands for a waveform wherever one is read.

    Parameters
    ----------
    channels : ndarray of shape (n_channels, n_frames)
        Samples.
    sample_rate : int
        Sample rate in Hz, which need not be that of the reader.
    n_timepoints : int
        Length after it was read, at the sample rate of the reader.
    """

    channels: np.ndarray
    sample_rate: int
    n_timepoints: int

    def part(self, start: int, stop: int, sample_rate: int) -> Self:
        """Select a part, counted at the sample rate of the reader.

        Parameters
        ----------
        start, stop : int
            First time point of the part, and the one behind its last.
        sample_rate : int
            Sample rate of the reader, in Hz.
        """
        ratio = self.sample_rate / sample_rate
        first, last = math.floor(start * ratio), math.floor(start * ratio) + math.ceil((stop - start) * ratio)
        return type(self)(self.channels[:, first:last], self.sample_rate, min(stop, self.n_timepoints) - start)
