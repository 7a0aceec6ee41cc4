"""Stream: samples that come in pieces, of which only those are kept that are no whole window yet."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from skasd.clips._arrays import as_float, as_numpy
from skasd.clips._audio import array_channels
from skasd.clips._sound import Sound
from skasd.monitoring._window_scorer import WindowScorer
from skasd.monitoring._windows import Window

TOLERANCE = 1.0  # s, between the clock and the count of samples, as clocks differ
_MOST_CHANNELS = 16  # of a piece that has fewer time points than channels


@dataclass(frozen=True)
class Stream:
    """What is left of a stream.

    Parameters
    ----------
    started : float
        Time of its first sample, in seconds since 1970.
    sample_rate : int
        Sample rate in Hz.
    position : int
        Time point of the stream at which the next window starts.
    samples : ndarray of shape (n_channels, n_timepoints)
        Samples from there on.
    """

    started: float
    sample_rate: int
    position: int
    samples: np.ndarray

    @classmethod
    def beginning(cls, at: float, scorer: WindowScorer, channels: np.ndarray) -> "Stream":
        """A stream of which nothing was heard.

        Parameters
        ----------
        at : float
            Time of its first sample.
        scorer : WindowScorer
            What scores its windows.
        channels : ndarray of shape (n_channels, n_timepoints)
            Its first samples, for their number of channels and type.
        """
        return cls(at, scorer.reader.sample_rate, 0, channels[:, :0])

    @property
    def heard_until(self) -> float:
        """Time of the next sample."""
        return self.time(self.position + self.samples.shape[1])

    def time(self, timepoint: int) -> float:
        """Time of a time point, in seconds since 1970.

        Parameters
        ----------
        timepoint : int
            Time point of the stream.
        """
        return self.started + timepoint / self.sample_rate

    def set_to(self, at: float) -> "Stream | None":
        """The stream with the clock set; None if there is a break before the next sample.

        Parameters
        ----------
        at : float
            Time of the next sample.
        """
        difference = at - self.heard_until
        if difference < -TOLERANCE:
            raise ValueError(
                f"at is {-difference:.1f} s before the end of what was heard of the stream; give the time of the first "
                "sample of this piece."
            )
        return replace(self, started=self.started + difference) if difference <= TOLERANCE else None

    def longer(self, channels: np.ndarray, scorer: WindowScorer) -> tuple["Stream", list[Window]]:
        """The stream with its next samples, and the windows that they complete.

        Parameters
        ----------
        channels : ndarray of shape (n_channels, n_timepoints)
            Samples.
        scorer : WindowScorer
            Says how long windows are.
        """
        samples = np.concatenate([self.samples, channels], axis=1)
        n_windows = max(0, (samples.shape[1] - scorer.length) // scorer.hop + 1)
        windows = [
            Window(
                self.position + start, Sound(samples[:, start : start + scorer.length], self.sample_rate, scorer.length)
            )
            for start in range(0, n_windows * scorer.hop, scorer.hop)
        ]
        used = n_windows * scorer.hop
        return replace(self, position=self.position + used, samples=samples[:, used:].copy()), windows


def piece_of(samples: Any, stream: Stream | None) -> np.ndarray:
    """Samples (n_channels, n_timepoints) of a piece of a stream, floating point.

    Parameters
    ----------
    samples : array of shape (n_timepoints,) or (n_channels, n_timepoints)
        The piece; it may be empty.
    stream : Stream or None
        Stream that it continues.

    Raises
    ------
    TypeError
        If it is no array.
    ValueError
        If it has another number of channels, or holds NaN or infinity; the message names the place.
    """
    array = as_numpy(samples)
    if not isinstance(array, np.ndarray):
        raise TypeError(
            f"samples is a {type(samples).__name__}; an array (n_timepoints,) or (n_channels, n_timepoints) is expected."
        )
    is_short = array.dtype.kind in "fiub" and array.ndim == 2 and 0 < len(array) <= _MOST_CHANNELS
    try:
        channels = (
            as_float(array) if is_short else array_channels(array) if array.size else np.empty((1, 0), np.float32)
        )
    except ValueError as error:
        raise ValueError(f"samples {error}.") from error
    if stream is not None and channels.size and len(channels) != len(stream.samples):
        raise ValueError(
            f"samples has {len(channels)} channels, and the stream has {len(stream.samples)}; all pieces need the same."
        )
    bad = np.argwhere(~np.isfinite(channels))
    if len(bad):
        channel, place = bad[np.argmin(bad[:, 1])]
        raise ValueError(
            f"samples holds {channels[channel, place]} at time point {place} of channel {channel}; nothing of this piece "
            "was used. Repair it, or leave it out and give `at` with the next one."
        )
    return channels
