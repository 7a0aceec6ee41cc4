"""Faults of the synthetic machines: each changes the sound of a healthy machine."""

from typing import NamedTuple

import numpy as np

from skasd.datasets._synthetic._parts import Machine, State
from skasd.datasets._synthetic._signals import (
    bin_frequencies,
    decibel,
    harmonic_sum,
    jitter_db,
    pulses,
    ring,
    shaped_noise,
    unit_power,
    wandering,
)
from skasd.datasets._synthetic._timing import Timing

LEVEL_SPREAD = 2.0  # dB, plus or minus, from one faulty clip to the next
BEARING_QUALITY = 12.0
SLIP = 0.02  # random displacement of the impacts of a bearing, as a share of the time between them
BAND_OCTAVES = 0.25  # half width of the band in which a fault is compared with the machine
LEAK_OCTAVES = 0.25  # half width of the band of a leak
SQUEAL_RATE = 6.0  # Hz, possible bursts of squeal per second
SQUEAL_WANDER = 0.01  # relative wander of the frequency of a squeal
MODULATION = 0.35  # depth of the amplitude modulation by an imbalance at severity 1


class Scene(NamedTuple):
    """What a fault depends on in a clip: machine, operating state, timing, shaft and housing.

    ``turns`` (n_timepoints,) is the phase of the shaft in cycles, ``housing`` (n_timepoints // 2 + 1,) the response of
    the housing.
    """

    machine: Machine
    state: State
    timing: Timing
    turns: np.ndarray
    housing: np.ndarray

    def band_share(self, centre):
        """Amplitude of unit noise, filtered by the housing, in a band around ``centre`` (Hz), as a share of the whole."""
        power = np.square(np.abs(self.housing))
        edges = centre * 2.0 ** np.array([-BAND_OCTAVES, BAND_OCTAVES]) * self.timing.n_timepoints
        low, high = (edges / self.timing.sample_rate).astype(int)
        return np.float32(np.sqrt(power[low : high + 1].sum() / power.sum()))


def add_fault(rng, kind, scene, sound, severity):
    """Add a fault to the sound of a healthy machine.

    Parameters
    ----------
    rng : numpy.random.Generator
        Draws the fault; the draws do not depend on the severity.
    kind : str
        Kind of the fault, a key of ``FAULTS``.
    scene : Scene
        The clip that the fault is added to.
    sound : ndarray of shape (n_timepoints,)
        Sound of the healthy machine without background, with unit RMS while it sounds.
    severity : float
        Factor on the amplitude of the fault, dimensionless; 0 changes nothing.

    Returns
    -------
    ndarray of shape (n_timepoints,)
        Sound of the faulty machine.
    """
    level = scene.machine.kind.faults[kind]
    size = np.float32(severity * decibel(level) * jitter_db(rng, LEVEL_SPREAD))
    return FAULTS[kind](rng, scene, sound, size, severity)


def bearing(rng, scene, sound, size, severity):
    """Impacts that excite a resonance ``bearing_order`` times per turn, strongest in the loaded zone."""
    machine, timing, turns = scene.machine, scene.timing, scene.turns
    step = np.floor(machine.bearing_order * turns)
    when = np.flatnonzero(np.diff(step))
    spacing = timing.n_timepoints / max(len(when), 1)
    height = (1.0 + 0.6 * np.cos(2.0 * np.pi * turns[when])) * jitter_db(rng, 3.0, len(when))
    slipped = when + spacing * SLIP * rng.standard_normal(len(when))
    if machine.kind.rhythmic:
        height = height * (np.abs(timing.position[when] - rng.uniform(0.25, 0.75)) < 0.12)
    impacts = pulses(slipped, height, timing.n_timepoints)
    centre = machine.bearing_centre * rng.uniform(0.95, 1.05)
    return sound + size * scene.band_share(centre) * _level(
        ring(impacts, timing.sample_rate, centre, BEARING_QUALITY), timing
    )


def imbalance(rng, scene, sound, size, severity):
    """Tones at once and twice the rotation frequency, and an amplitude modulation once per turn."""
    depth = np.float32(min(MODULATION * severity, 1.0))
    offset = rng.uniform(0.0, 2.0 * np.pi, 2)
    once = harmonic_sum(scene.turns, np.ones(1), offset[:1])
    low = harmonic_sum(scene.turns, np.array([1.0, 0.5]), offset)
    return sound * (1.0 + depth * once) + size * _level(low, scene.timing)


def leak(rng, scene, sound, size, severity):
    """Hiss: noise in a band about half an octave wide, centred between 3 and 6 kHz."""
    timing = scene.timing
    frequency = bin_frequencies(timing.n_timepoints, timing.sample_rate)
    centre = min(rng.uniform(3000.0, 6000.0), 0.4 * timing.sample_rate)
    octaves = np.log2(np.maximum(frequency, 1.0) / centre)
    band = unit_power(np.exp(-0.5 * np.square(octaves / LEAK_OCTAVES)), timing.n_timepoints)
    return sound + size * scene.band_share(centre) * _level(shaped_noise(rng, timing.n_timepoints, band), timing)


def squeal(rng, scene, sound, size, severity):
    """Bursts of a tone with one overtone, whose frequency wanders around a centre between 1.2 and 3 kHz."""
    timing = scene.timing
    centre = min(rng.uniform(1200.0, 3000.0), 0.2 * timing.sample_rate)
    frequency = centre * (1.0 + SQUEAL_WANDER * wandering(rng, timing.n_timepoints, timing.sample_rate))
    tone = harmonic_sum(np.cumsum(frequency) / timing.sample_rate, np.array([1.0, 0.4]), np.zeros(2))
    return sound + size * scene.band_share(centre) * _level(tone * _bursts(rng, scene), timing)


def missing(rng, scene, sound, size, severity):
    """Leave out the share 1 - 2 ** -severity of the events, rounded up or down at random."""
    n_events = len(scene.timing.start)
    n_missing = int(-np.expm1(-np.log(2.0) * severity) * n_events + rng.random())
    played = np.ones(n_events, dtype=np.float32)
    played[rng.permutation(n_events)[:n_missing]] = 0.0
    return sound * played[scene.timing.event]


def _bursts(rng, scene):
    """Half-sine envelopes over half of the events of a rhythmic machine, or over 80 % of equal parts of the clip."""
    timing = scene.timing
    if scene.machine.kind.rhythmic:
        share, n_parts = 0.5, len(timing.start)
        part, place = timing.event, np.clip(timing.position, 0.0, 1.0)
    else:
        share, n_parts = 0.8, max(1, round(timing.n_timepoints / timing.sample_rate * SQUEAL_RATE))
        whole = np.arange(timing.n_timepoints, dtype=np.float32) * np.float32(n_parts / timing.n_timepoints)
        part = np.minimum(whole.astype(np.int32), n_parts - 1)
        place = whole - part.astype(np.float32)
    squeals = np.zeros(n_parts, dtype=np.float32)
    squeals[rng.permutation(n_parts)[: int(np.ceil(share * n_parts))]] = 1.0
    return np.sin(np.float32(np.pi) * place) * squeals[part]


def _level(waveform, timing):
    """Silence a waveform while the machine is silent, and scale it to unit RMS while the machine sounds."""
    gated = waveform * timing.gate
    rms = timing.active_rms(gated)
    return gated / np.float32(rms) if rms else gated


FAULTS = {"bearing": bearing, "imbalance": imbalance, "leak": leak, "missing": missing, "squeal": squeal}
