"""Recording of a synthetic machine: housing, background noise and microphone."""

from typing import NamedTuple
from zlib import crc32

import numpy as np

from skasd.datasets._synthetic._faults import Scene, add_fault
from skasd.datasets._synthetic._microphones import (
    GAIN_MISMATCH,
    SPACING,
    SPEED_OF_SOUND,
    diffuse_pair,
    distant_response,
    passing_events,
)
from skasd.datasets._synthetic._parts import Machine, draw_state, make_machine
from skasd.datasets._synthetic._signals import (
    bin_frequencies,
    decibel,
    filter_spectrum,
    jitter_db,
    resonance_response,
    shaped_noise,
    unit_power,
    wandering,
)
from skasd.datasets._synthetic._timing import make_timing

N_RIPPLES = 8
RIPPLE_DB = 0.7  # dB, standard deviation of each ripple of the response from clip to clip
DB_PER_NEPER = 8.685890
GAIN_SPREAD = 5.0  # dB, plus or minus: distance and gain of the microphone
SNR_SPREAD = 1.0  # dB, plus or minus: level of the machine
LOWEST_FREQUENCY = 25.0  # Hz, corner below which housing and microphone attenuate
CYCLE = 1.0  # s, time between the starts of a rotating machine that is given a duty cycle
SWELL = 0.1  # relative slow variation of the background
DOMAINS = ("source", "target")


class Site(NamedTuple):
    """One section in its surroundings: machine, response of the housing, and background spectrum of each domain.

    ``housing``, ``to_far`` (from the machine to the far microphone) and each ``background`` have the shape
    (n_timepoints // 2 + 1,), ``ripple`` has (N_RIPPLES, n_bins).
    """

    machine: Machine
    n_timepoints: int
    sample_rate: int
    housing: np.ndarray
    ripple: np.ndarray
    background: dict[str, np.ndarray]
    to_far: np.ndarray


class Surroundings(NamedTuple):
    """What is heard beside the machine, and by how many microphones.

    Parameters
    ----------
    snr_db : float
        Level of the machine, while it sounds, above the background, in dB.
    event_db : float or None
        Level of the loudest passing events above the background, in dB; None for no events.
    far_db : float or None
        Level of the machine in a second, far microphone, relative to the near one, in dB; None for one microphone.
    with_machine, with_noise : bool
        Whether the machine sounds, and whether there is background noise.
    """

    snr_db: float = 6.0
    event_db: float | None = None
    far_db: float | None = None
    with_machine: bool = True
    with_noise: bool = True


class Clip(NamedTuple):
    """Waveform, float32 (n_timepoints,) or (2, n_timepoints) in [-1, 1], and the operating state as text; None of noise."""

    waveform: np.ndarray
    attributes: str | None


def make_site(machine_type, section, n_timepoints, sample_rate):
    """Set up a section (int) of a machine type for clips of a given length."""
    machine = make_machine(machine_type, section)
    frequency = bin_frequencies(n_timepoints, sample_rate)
    resonances = (machine.centre, machine.quality, machine.gain_db)
    damping = _high_pass(frequency) / (1.0 + frequency / machine.tilt)
    housing = damping * resonance_response(frequency, sample_rate, *resonances)
    rng = np.random.default_rng([crc32(machine_type.encode()), section, 1])
    background = {domain: _background(rng, frequency, n_timepoints) for domain in DOMAINS}
    far_rng = np.random.default_rng([crc32(machine_type.encode()), section, 2])
    to_far = distant_response(far_rng, n_timepoints, sample_rate, SPACING / SPEED_OF_SOUND)
    ripple = _ripple(frequency)
    return Site(machine, n_timepoints, sample_rate, housing.astype(np.complex64), ripple, background, to_far)


def _ripple(frequency):
    """Cosines over log-frequency, slow ones first: the effect of a moved microphone or a warm housing on a spectrum."""
    octaves = np.log2(np.maximum(frequency, LOWEST_FREQUENCY) / LOWEST_FREQUENCY)
    order = np.arange(1, N_RIPPLES + 1)[:, None]
    return np.cos(np.pi * order * octaves / octaves[-1]).astype(np.float32)


def _background(rng, frequency, n_timepoints):
    """Spectrum of the noise of a hall, which falls with frequency and has a few broad bumps: magnitude of unit power."""
    centre = 120.0 * (5000.0 / 120.0) ** rng.random((4, 1))
    octaves = np.log2(np.maximum(frequency, LOWEST_FREQUENCY) / centre)
    bumps_db = np.einsum("b,bf->f", rng.uniform(0.0, 8.0, 4), np.exp(-2.0 * octaves**2))
    magnitude = _high_pass(frequency) * decibel(bumps_db) / (1.0 + frequency / 400.0)
    return unit_power(magnitude, n_timepoints).astype(np.float32)


def _high_pass(frequency):
    return frequency**2 / (frequency**2 + LOWEST_FREQUENCY**2)


def record(site, seed, domain, *, anomaly_kind="", severity=1.0, duty_cycle=None, surroundings=None):
    """Record one clip.

    Parameters
    ----------
    site : Site
        The machine and its surroundings.
    seed : numpy.random.SeedSequence
        Seeds the clip. Machine, fault, background, events and far microphone have separate random streams, so that the
        healthy part of a clip is the same with and without a fault, and the near channel with and without a far one.
    domain : {"source", "target"}
        Domain of the operating state and the background.
    anomaly_kind : str, default=""
        Kind of the fault; empty for a healthy machine.
    severity : float, default=1.0
        Factor on the amplitude of the fault, dimensionless.
    duty_cycle : float or None, default=None
        Share of the time in which the machine sounds; ``None`` is the usual share of the machine.
    surroundings : Surroundings or None, default=None
        Background and microphones; ``None`` is the default of each.

    Returns
    -------
    Clip
        Waveform and operating state.
    """
    around = surroundings or Surroundings()
    machine_rng, fault_rng, room_rng, event_rng, far_rng = (np.random.default_rng(child) for child in seed.spawn(5))
    state = draw_state(machine_rng, site.machine, domain)
    scene, sound = _run(machine_rng, site, state, duty_cycle)
    if anomaly_kind:
        sound = add_fault(fault_rng, anomaly_kind, scene, sound, severity)
    hiss = shaped_noise(room_rng, site.n_timepoints, site.background[domain])
    swell = (1.0 + SWELL * wandering(room_rng, site.n_timepoints, site.sample_rate)).astype(np.float32)
    level = jitter_db(room_rng, SNR_SPREAD) if around.with_machine else 0.0
    gain = decibel(site.machine.kind.level_db) * jitter_db(room_rng, GAIN_SPREAD)
    noise_gain = gain * decibel(-around.snr_db) if around.with_noise else 0.0
    mixture = np.float32(gain * level) * sound + np.float32(noise_gain) * (hiss * swell)
    if around.event_db is not None:
        events = passing_events(event_rng, site.n_timepoints, site.sample_rate)
        events = np.float32(noise_gain * decibel(around.event_db)) * np.stack(events)
        mixture += events[0]
    if around.far_db is not None:
        other = diffuse_pair(far_rng, hiss, site.background[domain], site.sample_rate) * swell
        far = np.float32(gain * level * decibel(around.far_db)) * filter_spectrum(sound, site.to_far)
        far += np.float32(noise_gain) * other + (0.0 if around.event_db is None else events[1])
        mixture = np.stack([mixture, far * np.float32(jitter_db(far_rng, GAIN_MISMATCH))])
    attributes = state.attributes if around.with_machine else None
    return Clip(np.clip(mixture, -1.0, 1.0, dtype=np.float32), attributes)


def _run(rng, site, state, duty_cycle):
    """The scene, and the sound (n_timepoints,) of the healthy machine: no background, unit RMS while it sounds."""
    rhythmic = site.machine.kind.rhythmic
    usual = site.machine.kind.duty_cycle * (rng.uniform(0.8, 1.25) if rhythmic else 1.0)
    timing = make_timing(
        rng,
        site.n_timepoints,
        site.sample_rate,
        period=1.0 / state.speed if rhythmic else CYCLE,
        duty_cycle=usual if duty_cycle is None else duty_cycle,
        pattern=state.pattern,
    )
    excitation, turns = site.machine.kind.source(rng, site.machine, state, timing)
    size = rng.normal(0.0, RIPPLE_DB / DB_PER_NEPER, N_RIPPLES).astype(np.float32)
    ripple = np.einsum("r,rf->f", size, site.ripple)  # BLAS is avoided, because its sums can differ from run to run
    sound = filter_spectrum(excitation, site.housing * np.exp(ripple)) * timing.gate
    sound /= np.float32(timing.active_rms(sound) or 1.0)
    return Scene(site.machine, state, timing, turns, site.housing), sound
