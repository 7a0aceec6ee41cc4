"""Surroundings of two microphones: diffuse noise, passing events, and a room with an echo.

The near microphone stands at the machine, the far one ``SPACING`` away from it. Diffuse noise has the same spectrum at both,
but its waveforms agree only at wavelengths that are long beside the spacing. An event is one source in the room: both
microphones hear the same sound, each with a delay and an echo of its own.
"""

import numpy as np
from scipy import fft

from skasd.datasets._synthetic._signals import (
    bin_frequencies,
    decibel,
    filter_spectrum,
    harmonic_sum,
    jitter_db,
    shaped_noise,
    unit_power,
)

SPEED_OF_SOUND = 343.0  # m/s
SPACING = 1.5  # m
ECHO_TIME = 0.05  # s, in which the amplitude of the echo falls to 1 / e: a reverberation time of 0.35 s
ECHO_LENGTH = 0.3  # s
ECHO_DB = -3.0  # energy of the echo, relative to the direct sound of a distant source
FARTHEST = 0.02  # s, longest delay of a distant source
EVENTS_PER_SECOND = 0.5
EVENT_LENGTH = (0.2, 1.5)  # s
EVENT_SPREAD = 6.0  # dB, by which events differ in level
EVENT_TONE = 0.5  # share of the power of an event in its tone
GAIN_MISMATCH = 0.5  # dB, plus or minus: gain of the far microphone relative to the near one, from clip to clip


def distant_response(rng, n_timepoints, sample_rate, delay):
    """Response (n_timepoints // 2 + 1,) from a distant source: direct sound after ``delay`` s, then an echo; unit energy."""
    n_echo = min(n_timepoints, round(ECHO_LENGTH * sample_rate))
    echo = np.exp(-np.arange(n_echo) / (ECHO_TIME * sample_rate)) * rng.standard_normal(n_echo)
    echo *= decibel(ECHO_DB) / np.sqrt(np.sum(np.square(echo)))
    turns = bin_frequencies(n_timepoints, sample_rate) * delay
    response = (1.0 + fft.rfft(echo, n=n_timepoints)) * np.exp(-2j * np.pi * turns)
    return (response / np.sqrt(1.0 + decibel(ECHO_DB) ** 2)).astype(np.complex64)


def diffuse_pair(rng, noise, magnitude, sample_rate):
    r"""The same diffuse noise at the far microphone: (n_timepoints,) with the spectrum of the noise at the near one.

    The coherence of the two is :math:`|\mathrm{sinc}(2 f d / c)|` with the spacing :math:`d`.
    """
    n_timepoints = len(noise)
    coherence = np.abs(np.sinc(2.0 * bin_frequencies(n_timepoints, sample_rate) * SPACING / SPEED_OF_SOUND))
    own = shaped_noise(rng, n_timepoints, magnitude * np.sqrt(1.0 - np.square(coherence)))
    return filter_spectrum(noise, coherence.astype(np.float32)) + own


def passing_events(rng, n_timepoints, sample_rate):
    """Events at the near and the far microphone, each (n_timepoints,); about one begins every two seconds, or none."""
    near, far = (np.zeros(n_timepoints, dtype=np.float32) for _ in range(2))
    for _ in range(rng.poisson(EVENTS_PER_SECOND * n_timepoints / sample_rate)):
        event = _event(rng, n_timepoints, sample_rate) * np.float32(decibel(-rng.uniform(0.0, EVENT_SPREAD)))
        for heard in (near, far):
            response = distant_response(rng, n_timepoints, sample_rate, rng.uniform(0.0, FARTHEST))
            heard += filter_spectrum(event, response) * np.float32(jitter_db(rng, 1.0))
    return near, far


def _event(rng, n_timepoints, sample_rate):
    """Hum with harmonics and noise in a band of two octaves, which swell and fade: unit power at the loudest moment."""
    frequency = bin_frequencies(n_timepoints, sample_rate)
    centre = min(300.0 * (3000.0 / 300.0) ** rng.random(), 0.2 * sample_rate)
    octaves = np.log2(np.maximum(frequency, 1.0) / centre)
    band = shaped_noise(rng, n_timepoints, unit_power(np.exp(-0.5 * np.square(octaves)), n_timepoints))
    pitch = 80.0 * (400.0 / 80.0) ** rng.random()
    turns = rng.random() + pitch * np.arange(n_timepoints) / sample_rate
    weight = 0.7 ** np.arange(8)
    weight *= np.sqrt(2.0 / np.sum(np.square(weight)))
    hum = harmonic_sum(turns, weight, rng.uniform(0.0, 2.0 * np.pi, 8))
    length = max(2, round(rng.uniform(*EVENT_LENGTH) * sample_rate))
    place = (np.arange(n_timepoints) - rng.integers(-length // 2, n_timepoints)) / length
    swell = np.square(np.sin(np.pi * np.clip(place, 0.0, 1.0))).astype(np.float32)
    return (np.sqrt(EVENT_TONE) * hum + np.sqrt(1.0 - EVENT_TONE) * band).astype(np.float32) * swell
