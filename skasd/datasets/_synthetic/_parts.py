"""Machine types, their sections, and the operating states of the synthetic machines."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple
from zlib import crc32

import numpy as np

from skasd.datasets._synthetic._sources import compressor, fan, gearbox, pump, slider, valve

N_RESONANCES = 6
LOWEST_RESONANCE, HIGHEST_RESONANCE = 180.0, 6500.0  # Hz
GOLDEN = 0.618034  # golden ratio: the step in speed between sections, as a share of the range; no two speeds are equal
SPEED_STEP = 0.05  # relative change of speed between neighbouring operating states
SOURCE_STATES = ((-1, 60), (0, 80), (1, 70))  # (steps away from the usual speed, load in percent)
TARGET_STATES = ((-3, 50), (3, 90))
PATTERNS = ((0.1,), (0.0, 0.8), (0.0, 0.4, 0.8), (0.5, 0.1), (0.0, 0.7, 0.2), (0.6, 0.0, 0.3), (0.3,))


@dataclass(frozen=True)
class Machine:
    """One section of a machine type: the properties that stay the same from clip to clip.

    Attributes
    ----------
    kind : MachineType
        Type of the machine.
    speed : float
        Usual speed: turns per second (Hz), or the rate of events per second.
    n_parts : int
        Blades, vanes or teeth.
    centre, quality, gain_db : ndarray of shape (n_resonances,)
        Resonances of the housing: Hz, dimensionless, dB.
    tilt : float
        Corner frequency above which the housing attenuates by 6 dB per octave, in Hz.
    bearing_order, bearing_centre : float
        Number of impacts of a worn bearing per turn, and frequency of the resonance that they excite, in Hz.
    """

    kind: "MachineType"
    speed: float
    n_parts: int
    centre: np.ndarray
    quality: np.ndarray
    gain_db: np.ndarray
    tilt: float
    bearing_order: float
    bearing_centre: float


class State(NamedTuple):
    """Operating state of a machine during one clip: speed, load from 0 to 1, rhythm, and the text that describes them."""

    speed: float
    load: float
    pattern: tuple[float, ...]
    attributes: str


class MachineType(NamedTuple):
    """Properties that the sections of a machine type have in common.

    Attributes
    ----------
    source : callable
        ``source(rng, machine, state, timing)`` returns the excitation and the phase of the shaft in cycles, both of
        shape (n_timepoints,).
    speed : tuple of two floats
        Speed of the slowest and the fastest section: events per second of a rhythmic machine, otherwise turns per
        second (Hz).
    n_parts : tuple of two ints
        Smallest and largest number of blades, vanes or teeth.
    rhythmic : bool
        Whether the machine sounds in strokes or switching events.
    duty_cycle : float
        Usual share of the time in which the machine sounds.
    level_db : float
        Level of the machine while it sounds, relative to full scale, in dB.
    quality : float
        Factor on the quality factors of the housing, dimensionless.
    state : callable
        ``state(machine, step, load)`` returns the :class:`State`.
    faults : dict of str to float
        Kinds of anomalies and their level at severity 1, in dB relative to the machine in the same half octave, or to
        the whole machine for an imbalance.
    """

    source: Callable
    speed: tuple[float, float]
    n_parts: tuple[int, int]
    rhythmic: bool
    duty_cycle: float
    level_db: float
    quality: float
    state: Callable
    faults: dict[str, float]


def make_machine(machine_type, section):
    """The machine of a section (int), which is always the same."""
    kind = MACHINES[machine_type]
    rng = np.random.default_rng([crc32(machine_type.encode()), section])
    place = (section * GOLDEN + 0.3) % 1.0
    slowest, fastest = kind.speed
    band = (np.arange(N_RESONANCES) + rng.uniform(0.1, 0.9, N_RESONANCES)) / N_RESONANCES
    return Machine(
        kind=kind,
        speed=slowest * (fastest / slowest) ** place,
        n_parts=int(rng.integers(kind.n_parts[0], kind.n_parts[1] + 1)),
        centre=LOWEST_RESONANCE * (HIGHEST_RESONANCE / LOWEST_RESONANCE) ** band,
        quality=kind.quality * rng.uniform(5.0, 12.0, N_RESONANCES),
        gain_db=rng.uniform(6.0, 16.0, N_RESONANCES),
        tilt=rng.uniform(300.0, 600.0),
        bearing_order=rng.uniform(3.1, 4.9),
        bearing_centre=rng.uniform(2500.0, 4500.0),
    )


def draw_state(rng, machine, domain):
    """Draw one of the operating states of a domain, ``"source"`` or ``"target"``."""
    states = SOURCE_STATES if domain == "source" else TARGET_STATES
    step, load = states[rng.integers(len(states))]
    return machine.kind.state(machine, step, load)


def _rotating_state(machine, step, load):
    speed = round(machine.speed * (1.0 + SPEED_STEP * step))
    return State(float(speed), load / 100, (0.0,), f"speed_{speed}_load_{load}")


def _sliding_state(machine, step, load):
    velocity = 10 * round(machine.speed * 20 * (1.0 + SPEED_STEP * step))  # mm/s
    return State(velocity / 200, load / 100, (0.0,), f"vel_{velocity}_ac_{load / 1000:.3f}")


def _switching_state(machine, step, load):
    pattern = step + 3
    speed = machine.speed * (1.0 + SPEED_STEP * step)
    return State(speed, load / 100, PATTERNS[pattern], f"pat_{pattern:02d}_bar_{load // 10}")


MACHINES = {
    "fan": MachineType(
        source=fan,
        speed=(20.0, 36.0),
        n_parts=(5, 9),
        rhythmic=False,
        duty_cycle=1.0,
        level_db=-26.0,
        quality=1.0,
        state=_rotating_state,
        faults={"bearing": -4.5, "imbalance": -10.0, "squeal": -5.0},
    ),
    "pump": MachineType(
        source=pump,
        speed=(22.0, 30.0),
        n_parts=(4, 7),
        rhythmic=False,
        duty_cycle=1.0,
        level_db=-26.0,
        quality=1.0,
        state=_rotating_state,
        faults={"bearing": -5.0, "imbalance": -11.0, "leak": -4.0},
    ),
    "slider": MachineType(
        source=slider,
        speed=(1.6, 2.6),
        n_parts=(14, 26),
        rhythmic=True,
        duty_cycle=0.5,
        level_db=-28.0,
        quality=1.0,
        state=_sliding_state,
        faults={"bearing": -4.0, "missing": 0.0, "squeal": -3.0},
    ),
    "valve": MachineType(
        source=valve,
        speed=(1.6, 3.2),
        n_parts=(1, 1),
        rhythmic=True,
        duty_cycle=0.15,
        level_db=-30.0,
        quality=2.0,
        state=_switching_state,
        faults={"leak": 0.5, "missing": 0.0, "squeal": -3.0},
    ),
    "gearbox": MachineType(
        source=gearbox,
        speed=(12.0, 22.0),
        n_parts=(19, 37),
        rhythmic=False,
        duty_cycle=1.0,
        level_db=-26.0,
        quality=1.0,
        state=_rotating_state,
        faults={"bearing": -1.0, "imbalance": -9.0, "squeal": -4.5},
    ),
    "compressor": MachineType(
        source=compressor,
        speed=(15.0, 24.0),
        n_parts=(2, 4),
        rhythmic=False,
        duty_cycle=1.0,
        level_db=-26.0,
        quality=1.0,
        state=_rotating_state,
        faults={"bearing": -4.5, "imbalance": -10.0, "leak": -4.0},
    ),
}
