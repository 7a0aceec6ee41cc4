"""Read one clip as a waveform, from a file or an array; soxr resamples it, and every error gives the reason."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from skasd._parameters import check_integer, check_number, check_option
from skasd.clips._arrays import as_float, as_numpy, checked_samples, looks_unscaled
from skasd.clips._file_window import FileWindow
from skasd.clips._files import file_length, read_channels
from skasd.clips._residual import Residual, check_channel, one_waveform
from skasd.clips._sound import Sound


@dataclass(frozen=True)
class ClipReader:
    """Read a clip as one waveform.

    Parameters
    ----------
    sample_rate : int, default=16000
        Sample rate of the waveform, in Hz. Files with another sample rate are resampled.
    channel : int, {"mean", "residual"} or Residual, default=0
        Channel to use, counted from 0. ``"mean"`` averages all channels; ``"residual"`` is the near microphone (channel 0)
        without what the far one (channel 1) hears too, see :class:`Residual`.
    duration : float or None, default=None
        Length in seconds. Longer clips are cut at the end; None leaves the length unchanged.
    short_clips : {"zero", "tile"}, default="zero"
        How clips shorter than `duration` are padded: with zeros, or by repeating the clip.
    resample : bool, default=True
        Whether files with another sample rate are resampled (True) or raise an error (False).
    """

    sample_rate: int = 16000
    channel: int | str | Residual = 0
    duration: float | None = None
    short_clips: str = "zero"
    resample: bool = True

    def __post_init__(self) -> None:
        check_integer("sample_rate", self.sample_rate, low=1)
        if self.duration is not None:
            check_number("duration", self.duration, low=0, above=True)
        check_channel(self.channel)
        check_option("short_clips", self.short_clips, ("zero", "tile"))

    def __call__(self, clip: str | os.PathLike | np.ndarray) -> np.ndarray:
        """Read a file, or convert an array, to one waveform.

        Parameters
        ----------
        clip : path or ndarray of shape (n_timepoints,) or (n_channels, n_timepoints)
            Audio file or waveform.

        Returns
        -------
        waveform : ndarray of shape (n_timepoints,)
            float32 in [-1, 1] for files, and for arrays of integer PCM (int8, uint8, int16, int32). Other arrays keep their
            scale, and float64 its precision.

        Raises
        ------
        ValueError
            If the clip cannot be used. The message gives the reason, but not the name of the clip.
        """
        return self.read(clip)[0]

    def read(self, clip: str | os.PathLike | np.ndarray | Sound) -> tuple[np.ndarray, float]:
        """Read a clip as in a call, and say whether its scale looks wrong.

        Parameters
        ----------
        clip : path, Sound, or ndarray of shape (n_timepoints,) or (n_channels, n_timepoints)
            Audio file or waveform.

        Returns
        -------
        waveform : ndarray of shape (n_timepoints,)
            Samples.
        unscaled : float
            Largest magnitude, dimensionless, if the samples look like integer PCM that was not scaled to [-1, 1]; else 0.
        """
        channels, sample_rate, n_timepoints = self._channels(clip)
        waveform, peak = checked_samples(one_waveform(channels, self.channel, sample_rate))
        unscaled = peak if looks_unscaled(waveform, peak) else 0.0
        if sample_rate != self.sample_rate:
            waveform = self._resampled(waveform, sample_rate)
        return self._fitted(waveform[:n_timepoints]), unscaled

    def _channels(self, clip: Any) -> tuple[np.ndarray, int, int | None]:
        """Samples of a clip, their sample rate, and its length in time points if it is a part of a recording."""
        if isinstance(clip, Sound):
            return clip.channels, clip.sample_rate, clip.n_timepoints
        if isinstance(clip, FileWindow):
            return *read_channels(Path(clip), clip), clip.n_timepoints
        if isinstance(clip, str | os.PathLike):
            return *read_channels(Path(clip)), None
        return array_channels(np.asarray(as_numpy(clip))), self.sample_rate, None

    def _resampled(self, waveform: np.ndarray, sample_rate: int) -> np.ndarray:
        if not self.resample:
            raise ValueError(
                f"has a sample rate of {sample_rate} Hz where {self.sample_rate} Hz is expected; "
                "set sample_rate to the rate of the files, or resample=True"
            )
        import soxr

        resampled = soxr.resample(waveform, sample_rate, self.sample_rate)
        if not len(resampled):
            raise ValueError(
                f"has {len(waveform)} time points at {sample_rate} Hz, which leaves none at {self.sample_rate} Hz"
            )
        return resampled

    def _fitted(self, waveform: np.ndarray) -> np.ndarray:
        if self.duration is None:
            return waveform
        n_timepoints = max(1, round(self.duration * self.sample_rate))
        if len(waveform) >= n_timepoints:
            return waveform[:n_timepoints]
        if self.short_clips == "tile":
            return np.resize(waveform, n_timepoints)
        return np.pad(waveform, (0, n_timepoints - len(waveform)))


def clip_length(clip: Any, sample_rate: int) -> int | None:
    """Length of a clip after reading; the audio of a file is read only if its header does not know the length.

    Parameters
    ----------
    clip : path, Sound, or ndarray of shape (n_timepoints,) or (n_channels, n_timepoints)
        Audio file or waveform, as for :class:`ClipReader`.
    sample_rate : int
        Sample rate that files are resampled to, in Hz.

    Returns
    -------
    n_timepoints : int or None
        Number of time points; None if the header cannot be read or the array is not a waveform.
    """
    if isinstance(clip, Sound):
        return clip.n_timepoints
    if not isinstance(clip, str | os.PathLike):
        return np.shape(clip)[-1] if np.ndim(clip) in (1, 2) else None
    length = file_length(Path(clip))
    return None if length is None else round(length[0] * sample_rate / length[1])


def array_channels(array: np.ndarray) -> np.ndarray:
    """Waveforms (n_channels, n_timepoints) of an array, float32 or float64; raises if it cannot be a clip.

    Parameters
    ----------
    array : ndarray of shape (n_timepoints,) or (n_channels, n_timepoints)
        Samples.
    """
    if array.ndim not in (1, 2) or array.size == 0:
        raise ValueError(
            f"has shape {array.shape}; a waveform has shape (n_timepoints,) or (n_channels, n_timepoints) and is not empty"
        )
    if array.dtype.kind not in "fiub":
        raise ValueError(f"holds values of type {array.dtype}; a waveform holds numbers")
    if array.ndim == 2 and len(array) > array.shape[1]:
        raise ValueError(
            f"has shape {array.shape}, more channels than time points; transpose it to (n_channels, n_timepoints)"
        )
    return np.atleast_2d(as_float(array))
