"""Read one clip: soundfile opens the file, soxr resamples it, and every error gives the reason."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr

from skasd._parameters import check_integer, check_option

_CUT_DATA_CHUNK = re.compile(r"^data\s*:\s*(\d+) \(should be (\d+)\)", re.MULTILINE)
_CUT_OGG_STREAM = re.compile(r"lacks an end-of-stream bit|without an End-Of-Stream flag|Junk after the last page")
_UNKNOWN_LENGTH = 2**31 - 1  # streaming recorders write a size this large and never correct it
_INT16_FULL_SCALE = 2**15
_MOST_FRAMES = 2**48  # older versions of libsndfile report 2**63 - 1 frames for a stream without an end


@dataclass(frozen=True)
class ClipReader:
    """Read a clip as one waveform.

    Parameters
    ----------
    sample_rate : int, default=16000
        Sample rate of the waveform, in Hz. Files with another sample rate are resampled.
    channel : int or "mean", default=0
        Channel to use, counted from 0. ``"mean"`` averages all channels.
    duration : float or None, default=None
        Length in seconds. Longer clips are cut at the end; None leaves the length unchanged.
    short_clips : {"zero", "tile"}, default="zero"
        How clips shorter than `duration` are padded: with zeros, or by repeating the clip.
    resample : bool, default=True
        Whether files with another sample rate are resampled (True) or raise an error (False).
    """

    sample_rate: int = 16000
    channel: int | str = 0
    duration: float | None = None
    short_clips: str = "zero"
    resample: bool = True

    def __post_init__(self) -> None:
        if self.channel != "mean":
            check_integer("channel", self.channel, low=0, other="'mean'")
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
            float32 in [-1, 1] for files and int16 arrays. Other arrays keep their scale, and float64 its precision.

        Raises
        ------
        ValueError
            If the clip cannot be used. The message gives the reason, but not the name of the clip.
        """
        if isinstance(clip, str | os.PathLike):
            channels, sample_rate = read_channels(Path(clip))
        else:
            channels, sample_rate = _array_channels(np.asarray(clip)), self.sample_rate
        waveform = _finite(self._pick(channels))
        if sample_rate != self.sample_rate:
            waveform = self._resampled(waveform, sample_rate)
        return self._fitted(waveform)

    def _pick(self, channels: np.ndarray) -> np.ndarray:
        if isinstance(self.channel, str):
            return channels[0] if len(channels) == 1 else channels.mean(axis=0)
        if self.channel >= len(channels):
            raise ValueError(
                f"has {len(channels)} channel(s), so there is no channel={self.channel}; "
                "channels are counted from 0, and channel='mean' averages them"
            )
        return channels[self.channel]

    def _resampled(self, waveform: np.ndarray, sample_rate: int) -> np.ndarray:
        if not self.resample:
            raise ValueError(
                f"has a sample rate of {sample_rate} Hz where {self.sample_rate} Hz is expected; "
                "set sample_rate to the rate of the files, or resample=True"
            )
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
    """Length of a clip after reading, without reading its audio: only the header of a file is opened.

    Parameters
    ----------
    clip : path or ndarray of shape (n_timepoints,) or (n_channels, n_timepoints)
        Audio file or waveform, as for :class:`ClipReader`.
    sample_rate : int
        Sample rate that files are resampled to, in Hz.

    Returns
    -------
    n_timepoints : int or None
        Number of time points; None if the header cannot be read or the array is not a waveform.
    """
    if not isinstance(clip, str | os.PathLike):
        return np.shape(clip)[-1] if np.ndim(clip) in (1, 2) else None
    if not os.path.isfile(clip):  # noqa: PTH113 (a Path takes longer); opening a named pipe would wait for ever
        return None
    try:
        header = soundfile.info(os.fspath(clip))
    except (soundfile.LibsndfileError, TypeError, OSError):
        return None
    return round(header.frames * sample_rate / header.samplerate)


def read_channels(path: Path) -> tuple[np.ndarray, int]:
    """Read all channels of an audio file.

    Parameters
    ----------
    path : Path
        File in WAV, FLAC, OGG or another format that libsndfile reads.

    Returns
    -------
    channels : ndarray of shape (n_channels, n_timepoints), float32
        Samples in [-1, 1].
    sample_rate : int
        Sample rate in Hz.

    Raises
    ------
    ValueError
        If the file is missing, a folder, unreadable, empty, not audio, cut short or without frames.
    """
    if path.exists() and not path.is_file():
        raise ValueError("is a folder, not a file" if path.is_dir() else "is not a regular file")
    try:
        with soundfile.SoundFile(path) as file:
            _refuse_cut(file)
            frames = file.read(dtype="float32", always_2d=True)
            expected, sample_rate = file.frames, file.samplerate
    except (soundfile.LibsndfileError, TypeError) as error:  # TypeError: a suffix such as .raw, which has no header
        raise ValueError(_why_unreadable(path, error)) from error
    except MemoryError as error:
        raise ValueError("is damaged, or too long: the length in its header does not fit into memory") from error
    if len(frames) < expected:
        raise ValueError(f"is cut short: its header promises {expected} frames, but only {len(frames)} can be read")
    return frames.T, sample_rate


def _refuse_cut(file: soundfile.SoundFile) -> None:
    """Raise if a file has no frames, or ends before the length in its header (which libsndfile only logs)."""
    cut = _CUT_DATA_CHUNK.search(file.extra_info)
    if cut and int(cut[1]) < _UNKNOWN_LENGTH:
        raise ValueError(f"is cut short: its header promises {cut[1]} bytes of sound, but only {cut[2]} are there")
    if _CUT_OGG_STREAM.search(file.extra_info) or file.frames > _MOST_FRAMES:
        raise ValueError("is cut short: the end of its OGG stream is missing")
    if file.frames == 0:
        raise ValueError("holds no audio: zero frames")


def _why_unreadable(path: Path, error: Exception) -> str:
    if not path.exists():
        return "does not exist"
    try:
        with path.open("rb") as file:
            start = file.read(1)
    except PermissionError:
        return "cannot be opened: no permission to read it"
    except OSError as problem:
        return f"cannot be opened: {problem.strerror}"
    if not start:
        return "is empty: zero bytes"
    return f"is not audio that can be read, or is damaged ({getattr(error, 'error_string', error)})"


def _array_channels(array: np.ndarray) -> np.ndarray:
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


def as_float(array: np.ndarray) -> np.ndarray:
    """Convert to floating point: int16 is read as PCM and scaled to [-1, 1), float32 and float64 stay unchanged."""
    if array.dtype == np.int16:
        return array.astype(np.float32) / np.float32(_INT16_FULL_SCALE)
    if array.dtype in (np.float32, np.float64):
        return array
    return array.astype(np.float32 if array.dtype == np.float16 else np.float64)


def _finite(values: np.ndarray) -> np.ndarray:
    if not np.isfinite(values).all():
        raise ValueError(why_not_finite(values))
    return values


def why_not_finite(values: np.ndarray) -> str:
    """Say whether `values` holds NaN or infinity, how often, and where the first one is."""
    bad = ~np.isfinite(values)
    kind = "NaN" if np.isnan(values).any() else "infinity"
    where = tuple(int(axis) for axis in np.unravel_index(np.argmax(bad), values.shape))
    return f"holds {kind} ({int(bad.sum())} of {values.size} values, the first at {where[0] if len(where) == 1 else where})"
