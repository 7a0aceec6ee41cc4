"""A waveform as the bytes of an audio file, and FLAC files that are written in blocks, by soundfile."""

import os
import sys
from io import BytesIO
from pathlib import Path

import numpy as np
import soundfile

_FORMATS = {"flac": ("FLAC", "PCM_16"), "ogg": ("OGG", "VORBIS")}
_BLOCK = 2**16  # samples; longer writes of Vorbis overflow the stack in some versions of libsndfile


def encoded(waveform: np.ndarray, sample_rate: int, audio: str) -> bytes:
    """Encode a waveform as an audio file in memory.

    Parameters
    ----------
    waveform : ndarray of shape (n_timepoints,)
        Samples in [-1, 1].
    sample_rate : int
        Sample rate in Hz.
    audio : {"flac", "ogg"}
        FLAC with 16 bits, which loses nothing more; or Ogg Vorbis, which is a fifth of its size.

    Returns
    -------
    content : bytes
        The file.
    """
    container, subtype = _FORMATS[audio]
    stream = BytesIO()
    with soundfile.SoundFile(
        stream, "w", samplerate=sample_rate, channels=1, format=container, subtype=subtype
    ) as file:
        for start in range(0, len(waveform), _BLOCK):
            file.write(waveform[start : start + _BLOCK])
    return stream.getvalue()


def flac_file(path: Path, sample_rate: int, n_channels: int) -> soundfile.SoundFile:
    """Open a FLAC file with 16 bits, to which ``write`` adds frames (n_frames, n_channels).

    Parameters
    ----------
    path : Path
        File to write.
    sample_rate : int
        Sample rate in Hz.
    n_channels : int
        Number of channels.
    """
    name = os.fspath(path) if sys.platform == "win32" else os.fsencode(path)
    return soundfile.SoundFile(name, "w", samplerate=sample_rate, channels=n_channels, format="FLAC", subtype="PCM_16")
