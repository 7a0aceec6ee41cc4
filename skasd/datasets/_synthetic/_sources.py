"""Sources of sound of the synthetic machines, which excite their housings.

Each source takes the random generator of a clip, the machine, its operating state and the timing of the clip, and
returns the excitation and the phase of the shaft in cycles, both of shape (n_timepoints,).
"""

import numpy as np

from skasd.datasets._synthetic._signals import decibel, harmonic_sum, harmonics, jitter_db, pulses, rotation_phase

LINE_HUM = 100.0  # Hz, twice the frequency of a 50 Hz supply
CLICK_BOUNCE = 0.0015  # s, time between the bounces of a contact


def _white(rng, timing):
    return rng.standard_normal(timing.n_timepoints, dtype=np.float32)


def _shaft(rng, state, timing):
    return rotation_phase(rng, timing.n_timepoints, timing.sample_rate, state.speed)


def _residual_imbalance(rng, turns):
    """Weak tone at the rotation frequency, which every rotor has; its level varies from clip to clip."""
    return 0.5 * jitter_db(rng, 4.0) * harmonic_sum(turns, np.ones(1), rng.uniform(0.0, 2.0 * np.pi, 1))


def _series(n_harmonics, decay):
    return np.arange(1, n_harmonics + 1) ** -float(decay)


def fan(rng, machine, state, timing):
    """Blade-pass harmonics and flow noise, which grows with the load."""
    rate, turns = timing.sample_rate, _shaft(rng, state, timing)
    blade_pass = harmonics(rng, machine.n_parts * turns, machine.n_parts * state.speed, rate, _series(8, 1.0))
    blade_pass += _residual_imbalance(rng, turns)
    return 0.35 * blade_pass + (0.5 + state.load) * _white(rng, timing), turns


def pump(rng, machine, state, timing):
    """Vane-pass harmonics, motor hum at twice the line frequency, and flow noise."""
    rate, turns = timing.sample_rate, _shaft(rng, state, timing)
    vane_pass = harmonics(rng, machine.n_parts * turns, machine.n_parts * state.speed, rate, _series(12, 0.7))
    vane_pass += _residual_imbalance(rng, turns)
    hum_phase = rotation_phase(rng, timing.n_timepoints, rate, LINE_HUM, wander=0.0003)
    hum = harmonics(rng, hum_phase, LINE_HUM, rate, _series(4, 1.0))
    return 0.6 * state.load * vane_pass + 0.2 * hum + (0.4 + 0.6 * state.load) * _white(rng, timing), turns


def compressor(rng, machine, state, timing):
    """Pressure pulses of the cylinders, a burst of valve noise with each pulse, and motor hum."""
    rate, turns = timing.sample_rate, _shaft(rng, state, timing)
    strokes = machine.n_parts * turns
    pulsation = harmonics(rng, strokes, machine.n_parts * state.speed, rate, _series(16, 1.2))
    pulsation += _residual_imbalance(rng, turns)
    hum_phase = rotation_phase(rng, timing.n_timepoints, rate, LINE_HUM, wander=0.0003)
    hum = harmonics(rng, hum_phase, LINE_HUM, rate, _series(6, 0.8))
    open_valve = np.exp(4.0 * (np.cos(2.0 * np.pi * strokes) - 1.0)).astype(np.float32)  # once a stroke
    noise = (0.3 + (0.5 + state.load) * open_valve) * _white(rng, timing)
    return 0.7 * state.load * pulsation + 0.15 * hum + noise, turns


def gearbox(rng, machine, state, timing):
    """Gear-mesh harmonics, which grow with the load, with sidebands at the rotation frequency, and rolling noise."""
    rate, turns = timing.sample_rate, _shaft(rng, state, timing)
    eccentricity = harmonic_sum(turns, np.ones(1), np.zeros(1))
    depth = rng.uniform(0.15, 0.25)
    mesh_phase = machine.n_parts * turns + 0.1 * depth * eccentricity
    mesh = harmonics(rng, mesh_phase, machine.n_parts * state.speed, rate, _series(8, 0.8))
    mesh *= 1.0 + np.float32(depth) * eccentricity
    mesh += _residual_imbalance(rng, turns)
    return 0.8 * state.load * mesh + 0.6 * _white(rng, timing), turns


def slider(rng, machine, state, timing):
    """Strokes: noise and belt whirr that follow the velocity, with a thud at both end stops."""
    ramp = np.float32(0.1 + 0.15 * state.load)  # share of a stroke spent on accelerating
    velocity = np.clip((0.5 - np.abs(timing.position - 0.5)) / ramp, 0.0, 1.0)
    pitch = 12.0 * state.speed  # turns of the belt pulley per second at full velocity
    turns = rng.random() + np.cumsum(velocity, dtype=np.float64) * (pitch / timing.sample_rate)
    whirr = harmonics(rng, machine.n_parts * turns, machine.n_parts * pitch, timing.sample_rate, _series(6, 0.8))
    stroke = jitter_db(rng, 1.5, len(timing.start)).astype(np.float32)[timing.event]
    moving = stroke * velocity * (0.4 * whirr + _white(rng, timing))
    thuds = _clicks(rng, timing, (0.02, 0.93), energy=0.01)
    return moving + thuds, turns


def valve(rng, machine, state, timing):
    """Opening and closing clicks, which ring down in the housing, and flow noise between them."""
    turns = np.zeros(timing.n_timepoints)
    flow = _white(rng, timing) * np.float32(0.3 + 0.4 * state.load)
    return flow + _clicks(rng, timing, (0.06, 0.7), energy=0.04), turns


def _clicks(rng, timing, places, energy):
    """Clicks of a few bounces at the given places (0 to 1) of every event; the energy is in seconds of unit noise."""
    n_bounces = 3
    height = np.sqrt(energy * timing.sample_rate / n_bounces)
    first = (timing.start[:, None] + np.asarray(places) * timing.length)[..., None]
    gap = CLICK_BOUNCE * timing.sample_rate * rng.uniform(0.8, 1.2, (len(timing.start), len(places), n_bounces))
    position = first + gap * np.arange(n_bounces)
    size = height * jitter_db(rng, 2.0, position.shape) * decibel(-6.0 * np.arange(n_bounces))
    sign = rng.choice([-1.0, 1.0], position.shape)
    return pulses(position.ravel(), (size * sign).ravel(), timing.n_timepoints)
