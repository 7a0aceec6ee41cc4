"""The sound of a report: clips as their detector hears them, with one gain for a machine, small enough for a page."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import gcd

import joblib
import numpy as np
from scipy.signal import resample_poly

from skasd.clips._encode import encoded

LONGEST = 60.0  # s of one clip that a page holds
_LOWEST_RATE, _HIGHEST_RATE = 8000, 48000  # Hz that every browser plays
_PEAK = 0.9  # of full scale, of the loudest clip of a machine
_FLAC_BYTES = 1.6  # of a sample of a noisy machine
_MOST_FLAC = 24 * 2**20  # bytes of all clips, above which "auto" takes Ogg


@dataclass(frozen=True)
class Sound:
    """A clip, or the part of a long one that a report holds.

    Parameters
    ----------
    waveform : ndarray of shape (n_timepoints,)
        Samples as the detector hears them.
    sample_rate : int
        Sample rate in Hz.
    start : float
        Where the part begins in the clip, in s.
    whole : float
        Length of the whole clip in s.
    """

    waveform: np.ndarray
    sample_rate: int
    start: float
    whole: float

    @property
    def seconds(self) -> float:
        """Length of the part in s."""
        return len(self.waveform) / self.sample_rate

    @classmethod
    def around(cls, waveform: np.ndarray, sample_rate: int, center: float = 0.0) -> "Sound":
        """The part of a clip around a moment, which is all of it unless the clip is long.

        Parameters
        ----------
        waveform : ndarray of shape (n_timepoints,)
            The whole clip.
        sample_rate : int
            Sample rate in Hz.
        center : float, default=0.0
            Moment in s.
        """
        whole, n_kept = len(waveform), round(LONGEST * sample_rate)
        first = int(np.clip(round(center * sample_rate) - n_kept // 2, 0, max(0, whole - n_kept)))
        return cls(waveform[first : first + n_kept].copy(), sample_rate, first / sample_rate, whole / sample_rate)


def gain(sounds: Sequence[Sound]) -> float:
    """Factor, dimensionless, that brings the loudest sample of several sounds close to full scale; 1 for silence.

    Parameters
    ----------
    sounds : sequence of Sound
        Sounds that are compared by ear, and so stay as loud as they are beside each other.
    """
    peak = max((float(np.abs(sound.waveform).max(initial=0)) for sound in sounds), default=0.0)
    return _PEAK / peak if peak > 0 else 1.0


def as_files(
    sounds: Sequence[Sound], gains: Sequence[float], audio: str, n_jobs: int | None = None
) -> tuple[list[bytes], str]:
    """Encode sounds.

    Parameters
    ----------
    sounds : sequence of Sound
        Sounds of a page.
    gains : sequence of float
        Factor on each of them, dimensionless.
    audio : {"auto", "flac", "ogg"}
        Format; "auto" is FLAC, or Ogg Vorbis for many clips.
    n_jobs : int or None, default=None
        Number of threads, as in joblib.

    Returns
    -------
    files : list of bytes
        An audio file for each sound.
    audio : {"flac", "ogg"}
        Their format.
    """
    if audio == "auto":
        n_samples = sum(len(sound.waveform) for sound in sounds)
        audio = "flac" if n_samples * _FLAC_BYTES < _MOST_FLAC else "ogg"
    encode = joblib.delayed(_file)
    pairs = zip(sounds, gains, strict=True)
    return joblib.Parallel(n_jobs, prefer="threads")(encode(sound, factor, audio) for sound, factor in pairs), audio


def _file(sound: Sound, factor: float, audio: str) -> bytes:
    rate = int(np.clip(sound.sample_rate, _LOWEST_RATE, _HIGHEST_RATE))
    waveform = np.asarray(sound.waveform, dtype=np.float64) * factor
    if rate != sound.sample_rate:
        common = gcd(rate, sound.sample_rate)
        waveform = resample_poly(waveform, rate // common, sound.sample_rate // common)
    return encoded(np.clip(waveform, -1.0, 1.0), rate, audio)
