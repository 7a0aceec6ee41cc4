"""Read an audio file whole, in part or in blocks: soundfile opens it, and every error gives the reason."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import soundfile

from skasd.clips._file_length import is_unknown, refuse_cut
from skasd.clips._file_window import FileWindow
from skasd.clips._streams import through_pipe, uncounted_mp3, with_true_size
from skasd.clips._suffixes import CONVERT, FOREIGN_SUFFIXES

_FRAMES_PER_BLOCK = 2**16
_NO_AUDIO = "holds no audio: zero frames"


def read_channels(path: Path, window: FileWindow | None = None) -> tuple[np.ndarray, int]:
    """Read all channels of an audio file.

    Parameters
    ----------
    path : Path
        File in WAV, FLAC, OGG or another format that libsndfile reads.
    window : FileWindow or None, default=None
        Part of the file to read; None reads all of it.

    Returns
    -------
    channels : ndarray of shape (n_channels, n_timepoints), float32
        Samples in [-1, 1].
    sample_rate : int
        Sample rate in Hz.

    Raises
    ------
    ValueError
        If the file is missing, a folder, a named pipe or a device, unreadable, empty, not audio, cut short or without
        frames.
    """
    with _explained_errors(path):
        frames, sample_rate = _frames(path) if window is None else _frames_of_window(path, window)
    return frames.T, sample_rate


def read_blocks(path: Path) -> Iterator[tuple[np.ndarray, int]]:
    """Read all channels of an audio file from its start to its end, in blocks, so that its length does not matter.

    Parameters
    ----------
    path : Path
        File, as for :func:`read_channels`.

    Yields
    ------
    channels : ndarray of shape (n_channels, n_timepoints), float32
        The next samples, in [-1, 1].
    sample_rate : int
        Sample rate in Hz.

    Raises
    ------
    ValueError
        As :func:`read_channels`; what is wrong at the end of a file is found there.
    """
    with _explained_errors(path), _opened(path) as (file, n_promised):
        n_read = 0
        while len(frames := file.read(_FRAMES_PER_BLOCK, dtype="float32", always_2d=True)):
            n_read += len(frames)
            yield frames.T, file.samplerate
        _refuse_missing(n_read, n_promised)


@contextmanager
def _explained_errors(path: Path) -> Iterator[None]:
    """Raise the reason why a file cannot be read."""
    if path.exists() and not path.is_file():
        raise ValueError(
            "is a folder, not a file" if path.is_dir() else "is not a regular file, but a pipe or a device"
        )
    try:
        yield
    except (soundfile.LibsndfileError, TypeError) as error:  # TypeError: a suffix such as .raw, which has no header
        raise ValueError(_why_unreadable(path, error)) from error
    except MemoryError as error:
        raise ValueError("is damaged, or too long: the length in its header does not fit into memory") from error


def file_length(path: Path) -> tuple[int, int] | None:
    """Number of frames of an audio file and its sample rate, from the header if it can be relied on.

    Parameters
    ----------
    path : Path
        Audio file.

    Returns
    -------
    n_frames_and_rate : tuple of int or None
        Number of frames, and sample rate in Hz; None if the file cannot be read.
    """
    try:
        if not path.is_file():  # a named pipe would be waited for
            return None
        with _Stream(_name(path)) as file:
            if file.frames and not is_unknown(file.frames) and not _is_uncounted(file, path):
                return file.frames, file.samplerate
        channels, sample_rate = read_channels(path)
    except (soundfile.LibsndfileError, TypeError, OSError, ValueError):
        return None
    return channels.shape[1], sample_rate


def readable_name(path: str | os.PathLike[str]) -> str:
    r"""Path as text that can be printed and written: bytes that are not UTF-8 become ``\xfc``, for example."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def printable(text: str) -> str:
    """Text with ? for control characters, which a terminal would obey, and no bytes that are not UTF-8."""
    return "".join(character if character.isprintable() else "?" for character in readable_name(text))


class _Stream(soundfile.SoundFile):
    """A file that is read from its start to its end: files of unknown length, and GSM, have no positions to seek."""

    def seekable(self) -> bool:
        return False

    def read_to_end(self) -> np.ndarray:
        """Frames (n_frames, n_channels) up to the end of the file, float32."""
        if not is_unknown(self.frames):
            return self.read(self.frames, dtype="float32", always_2d=True)
        blocks = [self.read(_FRAMES_PER_BLOCK, dtype="float32", always_2d=True)]
        while len(blocks[-1]):
            blocks.append(self.read(_FRAMES_PER_BLOCK, dtype="float32", always_2d=True))
        return np.concatenate(blocks)


@contextmanager
def _opened(path: Path) -> Iterator[tuple[_Stream, int | None]]:
    """A file to read from its start, and the number of frames that its header promises, if that can be relied on."""
    with _Stream(_name(path)) as file:
        is_uncounted = _is_uncounted(file, path)
        if file.frames and not is_uncounted:
            refuse_cut(file, path)
            yield file, None if is_unknown(file.frames) else file.frames
            return
    if is_uncounted:
        with through_pipe(path) as end, _Stream(end, closefd=False) as file:
            yield file, None
        return
    corrected = with_true_size(path)
    if corrected is None:
        raise ValueError(_NO_AUDIO)
    with _Stream(corrected) as file:
        yield file, None


def _frames(path: Path) -> tuple[np.ndarray, int]:
    """Frames (n_frames, n_channels) of a file, and its sample rate."""
    with _opened(path) as (file, n_promised):
        frames = file.read_to_end()
        _refuse_missing(len(frames), n_promised)
        return frames, file.samplerate


def _frames_of_window(path: Path, window: FileWindow) -> tuple[np.ndarray, int]:
    """Frames (n_frames, n_channels) of a part of a file, and its sample rate; only this part is read if it can be sought."""
    with soundfile.SoundFile(_name(path)) as file:
        if file.seekable() and file.frames and not is_unknown(file.frames) and file.format != "MP3":
            refuse_cut(file, path)
            start, n_frames = window.frames(file.samplerate, file.frames)
            if file.seek(start) == start:
                frames = file.read(n_frames, dtype="float32", always_2d=True)
                if len(frames) < n_frames:
                    raise ValueError(
                        f"is cut short: its header promises {file.frames} frames, but only {start + len(frames)} can be read"
                    )
                return _not_empty(frames), file.samplerate
    frames, sample_rate = _frames(path)
    start, n_frames = window.frames(sample_rate, len(frames))
    return frames[start : start + n_frames], sample_rate


def _is_uncounted(file: soundfile.SoundFile, path: Path) -> bool:
    return file.format == "MP3" and uncounted_mp3(path)


def _refuse_missing(n_frames: int, n_promised: int | None) -> None:
    """Raise if fewer frames could be read than the header promises, or none."""
    if n_promised is not None and n_frames < n_promised:
        raise ValueError(f"is cut short: its header promises {n_promised} frames, but only {n_frames} can be read")
    if not n_frames:
        raise ValueError(_NO_AUDIO)


def _not_empty(frames: np.ndarray) -> np.ndarray:
    if not len(frames):
        raise ValueError(_NO_AUDIO)
    return frames


def _name(path: Path) -> str | bytes:
    """Name for soundfile, which encodes text as UTF-8 and so fails on names in another encoding."""
    return os.fspath(path) if sys.platform == "win32" else os.fsencode(path)


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
    if path.suffix.lower() in FOREIGN_SUFFIXES:
        return f"is in a format that libsndfile does not read ({path.suffix}); {CONVERT}"
    why = str(getattr(error, "error_string", error))
    if "does not exist" in why:  # what libsndfile says of a short piece of an MP3 file, for example
        why = "no audio was found in it"
    return f"is not audio that can be read, or is damaged ({why})"
