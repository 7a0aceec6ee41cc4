"""The normal clip that sounds most like another one, to compare them by ear."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from skasd.clips import ClipReader, Clips
from skasd.report._pictures import spectrogram
from skasd.report._sound import Sound

_LOUD = 90  # percentile over time, beside the mean


def signatures(clips: Clips, reader: ClipReader, n_jobs: int | None = None, verbose: int = 0) -> np.ndarray:
    """Mean and loud level of each band of clips, in dB.

    Parameters
    ----------
    clips : Clips
        Waveforms or files.
    reader : ClipReader
        How they are read.
    n_jobs : int or None, default=None
        Number of threads, as in joblib.
    verbose : int, default=0
        Shows a progress bar if 1 or larger.

    Returns
    -------
    signatures : ndarray of shape (n_clips, n_values)
        Levels.
    """

    def of(waveform: np.ndarray) -> np.ndarray:
        return signature(Sound.around(waveform, reader.sample_rate))

    return np.array(list(clips.map(of, reader, n_jobs=n_jobs, verbose=verbose, title="normal clips")))


def signature(sound: Sound) -> np.ndarray:
    """Mean and loud level of each band of a sound, in dB.

    Parameters
    ----------
    sound : Sound
        A clip.
    """
    level = spectrogram(sound)
    return np.concatenate([level.mean(axis=1), np.percentile(level, _LOUD, axis=1)])


def nearest(own: np.ndarray, machine: str, normal: np.ndarray, machines: Sequence[str]) -> int | None:
    """Position of the nearest normal clip of the same machine; of all where no normal clip has a machine.

    Parameters
    ----------
    own : ndarray of shape (n_values,)
        Signature of a clip.
    machine : str
        Its machine.
    normal : ndarray of shape (n_normal, n_values)
        Signatures of normal clips.
    machines : sequence of str
        Their machines.
    """
    fits = np.array([not other or other == machine for other in machines], dtype=bool)
    if not fits.any():
        return None
    distance: Any = np.square(normal - own).sum(axis=1)
    return int(np.argmin(np.where(fits, distance, np.inf)))
