"""Occlusion of waveforms: what a block of a spectrogram would have at normal levels is made by a filter over time."""

import numpy as np
from scipy.signal import istft, stft

from skasd.inputs._frontend import DECIBEL, Frontend

_SHORTEST = 16  # time points
_MOST_DB = 40.0  # more is not amplified or attenuated


class WaveformEdits:
    """A waveform whose levels can be changed place by place of its spectrogram.

    Parameters
    ----------
    waveform : ndarray of shape (n_timepoints,)
        The waveform.
    gain_db : ndarray of shape (F, T)
        Gain that brings each place to the level of normal clips.
    frequencies : ndarray of shape (F,)
        Centres of the bands, in Hz.
    hop, sample_rate : float
        Seconds from frame to frame, and sample rate in Hz.
    """

    def __init__(
        self, waveform: np.ndarray, gain_db: np.ndarray, frequencies: np.ndarray, hop: float, sample_rate: float
    ) -> None:
        self.waveform, self._gain = waveform, np.clip(gain_db, -_MOST_DB, _MOST_DB)
        length = max(_SHORTEST, 2 ** round(np.log2(2 * hop * sample_rate)))  # of the front end, usually
        self._form = {"fs": sample_rate, "nperseg": length, "noverlap": length * 3 // 4}
        padded = np.pad(waveform.astype(np.float64), (0, max(0, length - len(waveform))))
        bins, times, self._spectrum = stft(padded, **self._form)
        self._band = np.abs(np.log(bins[:, None] + 100.0) - np.log(frequencies + 100.0)).argmin(axis=1)
        self._frame = np.clip(np.round(times / hop).astype(int), 0, gain_db.shape[1] - 1)

    def with_kept(self, kept: np.ndarray) -> np.ndarray:
        """The waveform (n_timepoints,) with normal levels except where `kept` (F, T) is 1."""
        gain_db = (1.0 - kept) * self._gain
        gain = 10 ** (gain_db[np.ix_(self._band, self._frame)] / 20) - 1
        _, change = istft(self._spectrum * gain, **self._form)
        return (self.waveform + change[: len(self.waveform)]).astype(self.waveform.dtype)


def in_decibel(frontend: Frontend) -> float:
    """Decibels of one unit of the spectrograms of a front end."""
    return frontend.log_unit / DECIBEL
