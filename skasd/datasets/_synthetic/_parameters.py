"""Checks of the parameters of the synthetic machines, and their error messages."""

from numbers import Integral, Real

import numpy as np

from skasd.datasets._synthetic._parts import MACHINES

SHORTEST = 0.1  # s
LOWEST_SAMPLE_RATE = 2000  # Hz
LONGEST = 86400.0  # s
HIGHEST_SAMPLE_RATE = 10_000_000  # Hz
MOST_CLIPS = 1_000_000  # of a section
_LARGEST = 2**53  # integers up to here are floats
MOST_SECTIONS = 100  # a section has two digits


def check_number(name, value, *, kind=Real, least=-np.inf, most=np.inf, unit=""):
    """Raise unless ``value`` is a finite number of this kind from ``least`` to ``most``."""
    known = isinstance(value, kind) and not isinstance(value, (bool, np.bool_))
    if known and abs(value) <= _LARGEST and np.isfinite(float(value)) and least <= value <= most:
        return
    what = "an integer" if kind is Integral else "a finite number"
    least_text = f" of at least {least}{unit}" if np.isfinite(least) else ""
    most_text = f"{' and' if least_text else ' of'} at most {most}{unit}" if np.isfinite(most) else ""
    raise ValueError(f"{name}={value!r}: expected {what}{least_text}{most_text}.")


def check_lengths(duration, sample_rate):
    """Number of timepoints of a clip of ``duration`` s at ``sample_rate`` Hz."""
    check_number(
        "sample_rate", sample_rate, kind=Integral, least=LOWEST_SAMPLE_RATE, most=HIGHEST_SAMPLE_RATE, unit=" Hz"
    )
    check_number("duration", duration, least=SHORTEST, most=LONGEST, unit=" s")
    return round(duration * sample_rate)


def check_counts(n_sections, **n_clips):
    """Raise unless the numbers of clips are integers of at least 0, and that of sections is from 1 to 100."""
    check_number("n_sections", n_sections, kind=Integral, least=1, most=MOST_SECTIONS)
    for name, value in n_clips.items():
        check_number(name, value, kind=Integral, least=0, most=MOST_CLIPS)


def check_sound(severity, duty_cycle):
    """Raise unless severity and duty cycle are in their ranges."""
    check_number("severity", severity, least=0, most=1000)
    if duty_cycle is not None:
        check_number("duty_cycle", duty_cycle, most=1)
        if duty_cycle <= 0:
            raise ValueError(f"duty_cycle={duty_cycle!r}: expected None or a number above 0 and at most 1.")


def check_snr(snr_db):
    """Signal-to-noise ratio of the training clips and of the test clips, in dB."""
    pair = _pair("snr_db", snr_db)
    for level in pair:
        if not (isinstance(level, Real) and level == np.inf):
            check_number("snr_db", level, least=-200, most=200, unit=" dB")
    return pair


def check_surroundings(event_db, far_db):
    """Raise unless the level of events, and that of the machine at the far microphone, are None or in their range."""
    for name, level in {"event_db": event_db, "far_db": far_db}.items():
        if level is not None:
            check_number(name, level, least=-200, most=200, unit=" dB")


def check_machine_types(machine_types):
    """Machine types as a tuple; a string is a single machine type.

    Examples
    --------
    >>> check_machine_types("fan")
    ('fan',)
    >>> check_machine_types(("fan", "lathe"))
    Traceback (most recent call last):
    ...
    ValueError: machine_types holds 'lathe': expected some of 'fan', 'pump', 'slider', 'valve', 'gearbox', 'compressor'.
    """
    machine_types = _names("machine_types", machine_types, list(MACHINES))
    twice = sorted({name for name in machine_types if machine_types.count(name) > 1})
    if twice:
        raise ValueError(f"machine_types names {', '.join(twice)} more than once: expected each at most once.")
    return machine_types


def check_anomalies(anomalies, machine_type):
    """Requested kinds of anomalies that a machine type can have; ``"all"`` requests all of them.

    Examples
    --------
    >>> check_anomalies("all", "valve")
    ('leak', 'missing', 'squeal')
    >>> check_anomalies(("squeal", "bearing"), "fan")
    ('bearing', 'squeal')
    """
    own = tuple(MACHINES[machine_type].faults)
    if isinstance(anomalies, str) and anomalies == "all":
        return own
    asked = _names("anomalies", anomalies, sorted({kind for machine in MACHINES.values() for kind in machine.faults}))
    kinds = tuple(kind for kind in own if kind in asked)
    if not kinds:
        raise ValueError(
            f"anomalies={asked!r} holds none that a {machine_type} can have: expected at least one of {_listed(own)}, "
            f'anomalies="all", or other machine_types.'
        )
    return kinds


def check_target_share(target_share):
    """Share of target-domain clips among the training clips and among the test clips."""
    pair = _pair("target_share", target_share)
    for share in pair:
        check_number("target_share", share, least=0, most=1)
    return pair


def _pair(name, value):
    """A value for the training clips and one for the test clips; a single value is for both."""
    pair = value if isinstance(value, (tuple, list)) else (value, value)
    if len(pair) != 2:
        raise ValueError(f"{name}={value!r}: expected a number, or two for the training and the test clips.")
    return tuple(pair)


def check_seed(random_state):
    """Seed of all random numbers, as entropy for a :class:`numpy.random.SeedSequence`."""
    if random_state is None:
        return np.random.SeedSequence().entropy
    if isinstance(random_state, Integral):
        check_number("random_state", random_state, kind=Integral, least=0)
        return int(random_state)
    if isinstance(random_state, np.random.RandomState):
        return random_state.randint(2**31, size=4, dtype=np.int64).tolist()
    raise ValueError(f"random_state={random_state!r}: expected an integer of at least 0, a RandomState or None.")


def _names(parameter, names, known):
    """Names as a tuple; raises if there are none or one is unknown."""
    if not isinstance(names, (str, tuple, list)):
        raise ValueError(f"{parameter}={names!r}: expected a name or a tuple of names among {_listed(known)}.")
    names = (names,) if isinstance(names, str) else tuple(names)
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        held = f"holds {_listed(unknown)}" if unknown else "is empty"
        raise ValueError(f"{parameter} {held}: expected some of {_listed(known)}.")
    return names


def _listed(names):
    return ", ".join(map(repr, names))
