"""Building blocks of the synthetic sounds: noise, tones, impacts and resonances."""

import numpy as np
from scipy import fft, signal

WANDER_RATE = 4.0  # Hz, knots of a wandering curve per second


def decibel(level):
    """Amplitude ratio of a level in dB.

    Examples
    --------
    >>> print(decibel(-20.0))
    0.1
    """
    return 10.0 ** (level / 20.0)


def jitter_db(rng, spread, size=None):
    """Random amplitude ratio around 1, uniform within plus or minus ``spread`` dB."""
    return decibel(rng.uniform(-spread, spread, size))


def bin_frequencies(n_timepoints, sample_rate):
    """Centre frequencies of a real Fourier transform, in Hz: ndarray of shape (n_timepoints // 2 + 1,)."""
    return fft.rfftfreq(n_timepoints, 1.0 / sample_rate)


def resonance_response(frequency, sample_rate, centre, quality, gain_db):
    r"""Response of a stiff path in parallel with resonators, :math:`1 + \sum_m g_m H_m(f)`.

    Each :math:`H_m` is a second-order peak filter of gain 1 at ``centre[m]`` (Hz), whose ring-down lasts about
    ``quality[m] / (pi * centre[m])`` seconds. Peaks close to or above half the sample rate are left out.

    Parameters
    ----------
    frequency : ndarray of shape (n_bins,)
        Frequencies at which to evaluate the response, in Hz.
    sample_rate : int
        Sample rate, in Hz.
    centre, quality, gain_db : ndarray of shape (n_resonances,)
        Resonances in Hz, their dimensionless quality factors and their gains in dB.

    Returns
    -------
    ndarray of shape (n_bins,)
        Complex response.
    """
    response = np.ones(len(frequency), dtype=np.complex128)
    for f, q, g in zip(centre, quality, gain_db, strict=True):
        if f < 0.45 * sample_rate:
            numerator, denominator = signal.iirpeak(f, q, fs=sample_rate)
            response += decibel(g) * signal.freqz(numerator, denominator, worN=frequency, fs=sample_rate)[1]
    return response


def filter_spectrum(waveform, response):
    """Filter a waveform (n_timepoints,) with a response (n_timepoints // 2 + 1,); the waveform is taken as periodic."""
    return fft.irfft(fft.rfft(waveform) * response, n=len(waveform))


def unit_power(magnitude, n_timepoints):
    """Scale a magnitude (n_timepoints // 2 + 1,) so that noise shaped with it has a mean square of 1."""
    return magnitude * (n_timepoints / (2.0 * np.sqrt(np.sum(np.square(magnitude)))))


def shaped_noise(rng, n_timepoints, magnitude):
    """Gaussian noise whose spectrum follows a magnitude of :func:`unit_power`: float32 of shape (n_timepoints,)."""
    spectrum = rng.standard_normal((len(magnitude), 2), dtype=np.float32).view(np.complex64)[:, 0]
    return fft.irfft(spectrum * magnitude.astype(np.float32), n=n_timepoints)


def wandering(rng, n_timepoints, sample_rate):
    """Slow random curve (n_timepoints,) of mean 0 and spread about 1, with ``WANDER_RATE`` knots a second."""
    step = max(1, round(sample_rate / WANDER_RATE))
    knots = rng.standard_normal(n_timepoints // step + 3)
    lines = knots[:-1, None] + np.diff(knots)[:, None] * (np.arange(step) / step)
    first = rng.integers(step)
    return lines.ravel()[first : first + n_timepoints]


def rotation_phase(rng, n_timepoints, sample_rate, frequency, wander=0.002):
    """Phase of a rotating shaft, in cycles: float64 of shape (n_timepoints,).

    The speed wanders slowly around ``frequency`` (Hz) by a relative ``wander``.
    """
    speed = frequency * (1.0 + wander * wandering(rng, n_timepoints, sample_rate))
    return rng.random() + np.cumsum(speed) / sample_rate


def harmonic_sum(phase, amplitude, offset):
    r"""Harmonics of a phase, :math:`\sum_k a_k \cos(2 \pi k \varphi + \theta_k)`: float32 of shape (n_timepoints,).

    The sum is evaluated as a polynomial in :math:`e^{2 \pi i \varphi}`, with one multiplication per harmonic.

    Parameters
    ----------
    phase : ndarray of shape (n_timepoints,)
        Phase in cycles.
    amplitude, offset : ndarray of shape (n_harmonics,)
        Amplitude and phase (rad) of each harmonic, the fundamental first.

    Examples
    --------
    >>> harmonic_sum(np.array([0.0, 0.25, 0.5]), np.array([1.0, 0.5]), np.zeros(2)).round(3) + 0.0
    array([ 1.5, -0.5, -0.5], dtype=float32)
    """
    angle = (2.0 * np.pi * (phase - np.floor(phase))).astype(np.float32)
    turn = np.empty(len(angle), dtype=np.complex64)
    turn.real, turn.imag = np.cos(angle), np.sin(angle)
    total = np.zeros(len(angle), dtype=np.complex64)
    for coefficient in (amplitude * np.exp(1j * offset))[::-1].astype(np.complex64):
        total += coefficient
        total *= turn
    return total.real


def harmonics(rng, phase, frequency, sample_rate, amplitude):
    """Harmonics with random phases and slightly random levels; those above 0.45 ``sample_rate`` are left out.

    ``frequency`` is the frequency of the fundamental in Hz, ``phase`` (n_timepoints,) its phase in cycles.
    """
    level = amplitude * jitter_db(rng, 2.0, len(amplitude))
    offset = rng.uniform(0.0, 2.0 * np.pi, len(amplitude))
    n_audible = int(min(len(amplitude), 0.45 * sample_rate / frequency))
    return harmonic_sum(phase, level[:n_audible], offset[:n_audible])


def pulses(position, height, n_timepoints):
    """Single-timepoint pulses of the given heights (float32); positions outside the clip wrap around."""
    waveform = np.zeros(n_timepoints, dtype=np.float32)
    np.add.at(waveform, np.asarray(position, dtype=np.int64) % n_timepoints, np.asarray(height, dtype=np.float32))
    return waveform


def ring(waveform, sample_rate, centre, quality):
    """Pass pulses (n_timepoints,) through one resonator at ``centre`` Hz, so that each of them rings down."""
    numerator, denominator = signal.iirpeak(min(centre, 0.4 * sample_rate), quality, fs=sample_rate)
    return signal.lfilter(numerator.astype(np.float32), denominator.astype(np.float32), waveform)
