"""Checks of constructor parameters: a message says what was got and what is expected."""

import numbers
from collections.abc import Iterable
from typing import Any

import numpy as np


def check_integer(name: str, value: Any, *, low: float, other: str = "") -> None:
    """Raise unless `value` is an integer of at least `low`; `other` names what else the caller takes."""
    expected = (
        f"an integer{'' if low == -np.inf else f' of at least {low}'}{f' or {other}' if other else ''} is expected."
    )
    if isinstance(value, bool | np.bool_) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{name}={value!r} is a {type(value).__name__}; {expected}")
    if value < low:
        raise ValueError(f"{name}={value!r} is too small; {expected}")


def check_number(name: str, value: Any, *, low: float = -np.inf, high: float = np.inf, above: bool = False) -> None:
    """Raise unless `value` is a finite number in [low, high], or in (low, high] with `above`."""
    interval = f"{'(' if above or low == -np.inf else '['}{low:g}, {high:g}{']' if high < np.inf else ')'}"
    if isinstance(value, bool | np.bool_) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name}={value!r} is a {type(value).__name__}; a number in {interval} is expected.")
    value = float(value)
    if not np.isfinite(value) or value < low or value > high or (above and value == low):
        raise ValueError(f"{name}={value!r} is out of range; a number in {interval} is expected.")


def check_option(name: str, value: Any, options: Iterable[Any]) -> None:
    """Raise unless `value` is one of `options`."""
    options = list(options)
    if not any(value is option or (type(value) is type(option) and value == option) for option in options):
        raise ValueError(f"{name}={value!r} is unknown; expected one of {', '.join(map(repr, options))}.")


def checked_names(name: str, values: Any, n_clips: int) -> np.ndarray:
    """Names (n_clips,) of a parameter that has one for each clip; raise unless it does."""
    names = np.asarray(values, dtype=object)
    if names.ndim != 1:
        raise TypeError(f"{name}={values!r}; a sequence of {n_clips} names is expected, one for each clip.")
    if len(names) != n_clips:
        raise ValueError(f"{name} has {len(names)} names and there are {n_clips} clips; one for each is expected.")
    strange = [value for value in names if not isinstance(value, str)]
    if strange:
        raise ValueError(f"{name} holds {strange[0]!r}; a name is expected for each clip.")
    return names.astype(str)
