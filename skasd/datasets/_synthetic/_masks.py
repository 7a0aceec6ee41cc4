"""Masks of planted faults: where in time and frequency a clip differs from the same clip of the healthy machine."""

import numpy as np
from scipy.ndimage import uniform_filter
from scipy.signal import stft

WINDOW, HOP = 1024, 512  # time points
LEAST_SHARE = 0.5  # power of the difference, as a share of the quieter recording: a change of about 2 dB
SMOOTHED = 3  # neighbouring places over which powers are averaged


def mask_axes(n_timepoints, sample_rate):
    """Frequencies (n_bins,) in Hz and times (n_frames,) in s of the masks of clips of this length."""
    n_frames = 1 + n_timepoints // HOP
    return np.fft.rfftfreq(WINDOW, 1.0 / sample_rate), np.arange(n_frames) * (HOP / sample_rate)


def fault_mask(faulty, healthy):
    """Places where a fault is heard.

    Parameters
    ----------
    faulty, healthy : ndarray of shape (n_timepoints,)
        The same recording with and without the fault.

    Returns
    -------
    ndarray of shape (n_bins, n_frames), bool
        True where the power of the difference of the two is at least half the power of the quieter one, each averaged over
        three by three places.
    """
    change, quieter = _power(faulty - healthy), np.minimum(_power(faulty), _power(healthy))
    return (change > 0.0) & (change >= LEAST_SHARE * quieter)


def _power(waveform):
    """Power (n_bins, n_frames) around each place."""
    n_frames = 1 + len(waveform) // HOP
    padded = np.pad(waveform.astype(np.float64), (WINDOW // 2, WINDOW // 2 + HOP))
    spectrum = stft(padded, nperseg=WINDOW, noverlap=WINDOW - HOP, boundary=None, padded=False)[2][:, :n_frames]
    return uniform_filter(np.square(np.abs(spectrum)), SMOOTHED, mode="nearest").clip(min=0.0)
