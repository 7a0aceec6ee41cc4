"""Windows of a recording of any length, which is read in blocks: only the last window or so is kept.

Symbols: L length of a window, H hop, T length of the recording, all in time points at the sample rate of the detector.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from skasd.clips._sound import Sound


@dataclass(frozen=True)
class Window:
    """A window of a recording.

    Parameters
    ----------
    start : int
        First time point.
    sound : Sound
        Its samples, of all channels.
    """

    start: int
    sound: Sound

    @property
    def stop(self) -> int:
        """Time point behind its last."""
        return self.start + self.sound.n_timepoints


@dataclass
class WindowCutter:
    """Cuts samples that come in blocks into windows that start at 0, H, 2 H ...

    Parameters
    ----------
    length, hop : int
        L and H.
    sample_rate : int
        Sample rate of the detector, in Hz.
    n_windows : int, default=0
        Number of windows that were cut so far.
    """

    length: int
    hop: int
    sample_rate: int
    n_windows: int = 0
    _rate: int = field(default=0, init=False)  # of the samples
    _first: int = field(default=0, init=False)  # frame of the recording that the buffer starts with
    _buffer: np.ndarray = field(default_factory=lambda: np.empty((1, 0), dtype=np.float32), init=False)

    def push(self, channels: np.ndarray, rate: int) -> Iterator[Window]:
        """Take the next samples, and yield the windows that they complete.

        Parameters
        ----------
        channels : ndarray of shape (n_channels, n_frames)
            Samples.
        rate : int
            Their sample rate in Hz.
        """
        self._rate = rate
        self._buffer = channels if not self._buffer.size else np.concatenate([self._buffer, channels], axis=1)
        while self._frame(self.n_windows * self.hop) + self._span <= self._n_frames:
            yield self._window(self.n_windows * self.hop, self.length)
            self.n_windows += 1
        self._forget()

    def finish(self) -> Iterator[Window]:
        """Yield what is left at the end of the recording: a window that ends with it, unless there is one already.

        A recording that is shorter than a window is one, as it is.
        """
        total = max(1, round(self._n_frames * self.sample_rate / self._rate))  # T
        while (
            self.n_windows * self.hop + self.length <= total
        ):  # lacks part of a time point, as file and window are rounded
            yield self._window(self.n_windows * self.hop, self.length)
            self.n_windows += 1
        if not self.n_windows:
            yield self._window(0, total)
        elif (self.n_windows - 1) * self.hop + self.length < total:
            yield self._window(total - self.length, self.length)

    @property
    def _n_frames(self) -> int:
        """Frames of the recording so far."""
        return self._first + self._buffer.shape[1]

    @property
    def _span(self) -> int:
        """Frames of a window."""
        return math.ceil(self.length * self._ratio)

    @property
    def _ratio(self) -> float:
        return self._rate / self.sample_rate

    def _frame(self, start: int) -> int:
        return math.floor(start * self._ratio)

    def _window(self, start: int, length: int) -> Window:
        first = self._frame(start) - self._first
        n_frames = math.ceil(length * self._ratio)
        return Window(start, Sound(self._buffer[:, first : first + n_frames], self._rate, length))

    def _forget(self) -> None:
        """Drop the samples that neither the next window nor one that ends with the recording needs."""
        last = self._n_frames - self._span - math.ceil(self._ratio) - 1  # its end is rounded to a time point
        earliest = min(self._frame(self.n_windows * self.hop), last)
        n_dropped = max(0, earliest - self._first)
        if n_dropped:
            self._buffer = self._buffer[:, n_dropped:].copy()
            self._first += n_dropped


def windows_of(blocks: Iterable[tuple[np.ndarray, int]], cutter: WindowCutter) -> Iterator[Window]:
    """Windows of a recording.

    Parameters
    ----------
    blocks : iterable of tuple of ndarray of shape (n_channels, n_frames) and int
        Its samples, and their sample rate in Hz.
    cutter : WindowCutter
        Cuts them; a new one.

    Yields
    ------
    window : Window
        Windows in order; see :meth:`WindowCutter.finish` for the last one.
    """
    for channels, rate in blocks:
        yield from cutter.push(channels, rate)
    yield from cutter.finish()
