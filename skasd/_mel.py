r"""Definition of the log-mel spectrogram in float64 and plain NumPy.

The implementations on the CPU (`skasd.features`) and on a device (`skasd.networks`) share the window, filters and framing
defined here, so they differ by rounding only.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

# Slaney's scale is linear below 1000 Hz (3 mel per 200 Hz) and logarithmic above (27 mel per factor of 6.4).
_SLANEY_KNEE_HZ = 1000.0
_SLANEY_HZ_PER_MEL = 200.0 / 3.0
_SLANEY_KNEE_MEL = _SLANEY_KNEE_HZ / _SLANEY_HZ_PER_MEL
_SLANEY_LOG_STEP = np.log(6.4) / 27.0

# padding modes: torch's names and NumPy's
PAD_MODES = {"reflect": "reflect", "constant": "constant", "replicate": "edge", "circular": "wrap"}


@dataclass(frozen=True)
class MelDefinition:
    r"""Parameters of a log-mel spectrogram and quantities derived from them.

    With :math:`x` the padded waveform, :math:`w` the window, :math:`H` the hop, :math:`p` the power, :math:`M` the
    filterbank and :math:`a` the floor `amin`, the mel spectrogram is

    .. math::
        X_{k,t} &= \sum_{n} w_n\, x_{n + tH}\, e^{-2 \pi i k n / N} \\
        S_{b,t} &= \max\Big(\sum_k M_{b,k}\, |X_{k,t}|^p,\ a\Big)

    and the result is :math:`(20 / p) \log_{10} S` in dB, or :math:`\ln S`.

    The parameters are those of :class:`skasd.features.LogMelTransformer`.

    Parameters
    ----------
    sample_rate, n_fft, win_length, hop_length, n_mels : int
        Sample rate in Hz, lengths in samples, and number of filters.
    f_min, f_max, power, amin, top_db : float
        Frequency limits in Hz, exponent of the magnitude, smallest mel value, and dynamic range in dB.
    norm, mel_scale, pad_mode, log : str
        Variants of the filters, the padding and the logarithm.
    center : bool
        Whether frames are centred on multiples of the hop.
    """

    sample_rate: int = 16000
    n_fft: int = 1024
    win_length: int | None = None
    hop_length: int = 512
    f_min: float = 0.0
    f_max: float | None = None
    n_mels: int = 128
    power: float = 2.0
    norm: str | None = "slaney"
    mel_scale: str = "slaney"
    center: bool = True
    pad_mode: str = "reflect"
    log: str = "db"
    amin: float = 1e-10
    top_db: float | None = None

    @property
    def margin(self) -> int:
        """Padding at each end, in samples."""
        return self.n_fft // 2 if self.center else 0

    @property
    def shortest(self) -> int:
        """Minimum length of a clip, in samples; shorter clips are zero-padded at the end."""
        return self.margin + 1 if self.center else self.n_fft

    @property
    def log_scale(self) -> float:
        """Factor that converts the natural logarithm to the output unit."""
        return 20.0 / self.power / np.log(10.0) if self.log == "db" else 1.0

    def n_frames(self, n_timepoints: int) -> int:
        """Number of frames of a clip: ``1 + n_timepoints // hop_length`` if frames are centred and `n_fft` is even.

        Parameters
        ----------
        n_timepoints : int
            Length of the clip, in samples.

        Returns
        -------
        n_frames : int
            Number of frames, at least 1.
        """
        n_timepoints = max(n_timepoints, self.shortest) + 2 * self.margin
        return 1 + (n_timepoints - self.n_fft) // self.hop_length

    def window(self) -> np.ndarray:
        """Periodic Hann window of `win_length`, centred in `n_fft` zeros.

        Returns
        -------
        window : ndarray of shape (n_fft,)
            Window, dimensionless.
        """
        win_length = self.n_fft if self.win_length is None else self.win_length
        window = np.zeros(self.n_fft)
        start = (self.n_fft - win_length) // 2
        window[start : start + win_length] = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(win_length) / win_length)
        return window

    def filterbank(self) -> np.ndarray:
        """Triangular mel filters.

        Returns
        -------
        filterbank : ndarray of shape (n_mels, n_fft // 2 + 1)
            Filters, one per row.
        """
        return mel_filterbank(
            n_fft=self.n_fft,
            sample_rate=self.sample_rate,
            n_mels=self.n_mels,
            f_min=self.f_min,
            f_max=self.sample_rate / 2 if self.f_max is None else self.f_max,
            norm=self.norm,
            mel_scale=self.mel_scale,
        )

    def empty_bands(self) -> np.ndarray:
        """Bands without any frequency of the FFT, whose value is `amin` in every clip.

        Returns
        -------
        bands : ndarray of shape (n_empty,), int
            Numbers of the bands, counted from 0.
        """
        return _empty_bands(self)

    def centers(self) -> np.ndarray:
        """Centre frequencies of the filters.

        Returns
        -------
        centers : ndarray of shape (n_mels,)
            Frequencies in Hz.

        Examples
        --------
        >>> MelDefinition(n_mels=3, mel_scale="htk").centers().round()
        array([ 614., 1768., 3934.])
        """
        f_max = self.sample_rate / 2 if self.f_max is None else self.f_max
        low, high = (float(hz_to_mel(frequency, self.mel_scale)) for frequency in (self.f_min, f_max))
        return mel_to_hz(np.linspace(low, high, self.n_mels + 2)[1:-1], self.mel_scale)

    def padded(self, waveform: np.ndarray) -> np.ndarray:
        """Waveform extended to the minimum length and padded at both ends.

        Parameters
        ----------
        waveform : ndarray of shape (n_timepoints,)
            Waveform of a clip.

        Returns
        -------
        padded : ndarray of shape (n_padded,)
            Waveform that is ready to be cut into frames.
        """
        missing = self.shortest - len(waveform)
        if missing > 0:
            waveform = np.pad(waveform, (0, missing))
        if self.center and self.pad_mode == "reflect":  # the default, several times as fast as np.pad
            before, after = waveform[self.margin : 0 : -1], waveform[-2 : -self.margin - 2 : -1]
            return np.concatenate([before, waveform, after])
        return np.pad(waveform, self.margin, mode=PAD_MODES[self.pad_mode])  # type: ignore[call-overload]


@lru_cache(maxsize=64)
def _empty_bands(definition: MelDefinition) -> np.ndarray:
    return np.flatnonzero(~definition.filterbank().any(axis=1))


def hz_to_mel(frequency: np.ndarray | float, mel_scale: str) -> np.ndarray:
    r"""Convert frequencies from Hz to mel.

    HTK: :math:`2595 \log_{10}(1 + f / 700)`. Slaney: linear below 1 kHz, logarithmic above.

    Parameters
    ----------
    frequency : ndarray or float
        Frequency in Hz.
    mel_scale : {"slaney", "htk"}
        Mel scale.

    Returns
    -------
    mel : ndarray or float
        Frequency in mel.

    Examples
    --------
    >>> hz_to_mel(1000.0, "slaney")
    array(15.)
    >>> float(hz_to_mel(700.0, "htk").round(2))
    781.17
    """
    frequency = np.asarray(frequency, dtype=float)
    if mel_scale == "htk":
        return 2595.0 * np.log10(1.0 + frequency / 700.0)
    above = _SLANEY_KNEE_MEL + np.log(np.maximum(frequency, _SLANEY_KNEE_HZ) / _SLANEY_KNEE_HZ) / _SLANEY_LOG_STEP
    return np.where(frequency < _SLANEY_KNEE_HZ, frequency / _SLANEY_HZ_PER_MEL, above)


def mel_to_hz(mel: np.ndarray | float, mel_scale: str) -> np.ndarray:
    """Convert frequencies from mel to Hz, the inverse of `hz_to_mel`.

    Parameters
    ----------
    mel : ndarray or float
        Frequency in mel.
    mel_scale : {"slaney", "htk"}
        Mel scale.

    Returns
    -------
    frequency : ndarray or float
        Frequency in Hz.

    Examples
    --------
    >>> mel_to_hz(15.0, "slaney")
    array(1000.)
    """
    mel = np.asarray(mel, dtype=float)
    if mel_scale == "htk":
        return 700.0 * (10.0 ** (mel / 2595.0) - 1.0)
    above = _SLANEY_KNEE_HZ * np.exp(_SLANEY_LOG_STEP * (np.maximum(mel, _SLANEY_KNEE_MEL) - _SLANEY_KNEE_MEL))
    return np.where(mel < _SLANEY_KNEE_MEL, mel * _SLANEY_HZ_PER_MEL, above)


def mel_filterbank(
    *, n_fft: int, sample_rate: float, n_mels: int, f_min: float, f_max: float, norm: str | None, mel_scale: str
) -> np.ndarray:
    """Triangular filters, equally wide in mel, at the frequencies of a real FFT.

    Parameters
    ----------
    n_fft : int
        FFT length, in samples.
    sample_rate, f_min, f_max : float
        Sample rate, lowest and highest frequency of the filters, in Hz.
    n_mels : int
        Number of filters.
    norm : {"slaney", None}
        ``"slaney"`` gives each filter unit area (in Hz), None unit height.
    mel_scale : {"slaney", "htk"}
        Scale on which the corner frequencies are equally spaced.

    Returns
    -------
    filterbank : ndarray of shape (n_mels, n_fft // 2 + 1)
        Filters, one per row.
    """
    bins = np.arange(n_fft // 2 + 1) * (sample_rate / n_fft)
    corners = mel_to_hz(np.linspace(hz_to_mel(f_min, mel_scale), hz_to_mel(f_max, mel_scale), n_mels + 2), mel_scale)
    low, peak, high = corners[:-2, None], corners[1:-1, None], corners[2:, None]
    filterbank = np.maximum(0.0, np.minimum((bins - low) / (peak - low), (high - bins) / (high - peak)))
    if norm == "slaney":
        filterbank *= 2.0 / (high - low)
    return filterbank
