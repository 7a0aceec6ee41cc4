"""Validation of constructor parameters; error messages say what was given and what is expected."""

import numbers
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

_LARGEST = 2**31 - 1  # counts beyond it do not fit into an index, and stand for a mistake


def check_integer(name: str, value: Any, *, low: float, other: str = "") -> None:
    """Raise unless `value` is an integer of at least `low` and of no more than 31 bits.

    Parameters
    ----------
    name : str
        Name of the parameter, for the message.
    value : object
        Value to check.
    low : float
        Smallest allowed value.
    other : str, default=""
        Other values that the caller accepts, for the message.
    """
    expected = (
        f"an integer{'' if low == -np.inf else f' of at least {low}'}{f' or {other}' if other else ''} is expected."
    )
    if isinstance(value, bool | np.bool_) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{name}={value!r} is a {type(value).__name__}; {expected}")
    value = int(value)
    if value < low:
        raise ValueError(f"{name}={value!r} is too small; {expected}")
    if abs(value) > _LARGEST:
        raise ValueError(f"{name}={value!r} is too large; at most {_LARGEST} is possible.")


def check_flag(name: str, value: Any) -> None:
    """Raise unless `value` is True or False.

    Parameters
    ----------
    name : str
        Name of the parameter, for the message.
    value : object
        Value to check.
    """
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name}={value!r} is a {type(value).__name__}; True or False is expected.")


def check_number(name: str, value: Any, *, low: float = -np.inf, high: float = np.inf, above: bool = False) -> None:
    """Raise unless `value` is a finite number in [low, high].

    Parameters
    ----------
    name : str
        Name of the parameter, for the message.
    value : object
        Value to check.
    low, high : float
        Limits of the interval.
    above : bool, default=False
        Whether `low` itself is excluded.
    """
    interval = f"{'(' if above or low == -np.inf else '['}{low:g}, {high:g}{']' if high < np.inf else ')'}"
    if isinstance(value, bool | np.bool_) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name}={value!r} is a {type(value).__name__}; a number in {interval} is expected.")
    value = float(value)
    if not np.isfinite(value) or value < low or value > high or (above and value == low):
        raise ValueError(f"{name}={value!r} is out of range; a number in {interval} is expected.")


def check_option(name: str, value: Any, options: Iterable[Any]) -> None:
    """Raise unless `value` is one of `options`.

    Parameters
    ----------
    name : str
        Name of the parameter, for the message.
    value : object
        Value to check.
    options : iterable
        Allowed values.
    """
    options = list(options)
    if not any(value is option or (type(value) is type(option) and value == option) for option in options):
        raise ValueError(f"{name}={value!r} is unknown; expected one of {', '.join(map(repr, options))}.")


def check_path(name: str, value: Any) -> None:
    """Raise unless `value` is a path: a string or an object such as :class:`pathlib.Path`.

    Parameters
    ----------
    name : str
        Name of the parameter, for the message.
    value : object
        Value to check.
    """
    if not isinstance(value, str | os.PathLike):
        raise TypeError(f"{name}={value!r} is a {type(value).__name__}; a path is expected, as a str or pathlib.Path.")


def checked_names(name: str, values: Any, n_clips: int) -> np.ndarray:
    """Check a parameter that holds one name per clip.

    Parameters
    ----------
    name : str
        Name of the parameter, for the message.
    values : array-like of str
        Value to check.
    n_clips : int
        Number of clips.

    Returns
    -------
    names : ndarray of shape (n_clips,), str
        The names as an array.
    """
    with naming(name):
        names = np.asarray(values, dtype=object)
    if names.ndim != 1:
        raise TypeError(f"{name}={values!r}; a sequence of {n_clips} names is expected, one per clip.")
    if len(names) != n_clips:
        raise ValueError(f"{name} has {len(names)} names for {n_clips} clips; one name per clip is expected.")
    strange = [value for value in names if not isinstance(value, str)]
    if strange:
        raise ValueError(f"{name} contains {strange[0]!r}; a string is expected for each clip.")
    return names.astype(str)


def check_columns(name: str, columns: Any, other: str = "") -> None:
    """Raise unless the parameter `name` is a list or tuple of column names.

    Parameters
    ----------
    name : str
        Name of the parameter, for the message.
    columns : object
        Value to check.
    other : str, default=""
        Other values that the caller accepts, for the message.
    """
    expected = f"a tuple of column names{f' or {other}' if other else ''} is expected."
    if not isinstance(columns, list | tuple):
        raise TypeError(f"{name}={columns!r} is a {type(columns).__name__}; {expected}")
    for column in columns:
        if not isinstance(column, str):
            raise TypeError(f"{name}={columns!r} contains {column!r}, a {type(column).__name__}; {expected}")


def check_n_jobs(n_jobs: Any) -> None:
    """Raise unless `n_jobs` is None or an integer other than 0, as joblib takes it."""
    if n_jobs is not None:
        check_integer("n_jobs", n_jobs, low=-np.inf, other="None")
        if n_jobs == 0:
            raise ValueError("n_jobs=0 means no thread at all; give a number of threads, or -1 for all cores.")


def check_contamination(contamination: Any) -> None:
    """Raise unless `contamination` is ``"auto"`` or a share in (0, 0.5]."""
    if isinstance(contamination, str):
        check_option("contamination", contamination, ("auto",))
    else:
        check_number("contamination", contamination, low=0, high=0.5, above=True)


@contextmanager
def naming(name: str) -> Iterator[None]:
    """Put a name before the message of an error raised within a ``with`` block, if the message lacks it.

    Parameters
    ----------
    name : str
        Parameter or argument that is being checked by another library.
    """
    try:
        yield
    except (TypeError, ValueError) as error:
        if re.search(rf"\b{re.escape(name)}\b", str(error)):
            raise
        raise type(error)(f"{name}: {error}") from error


def numeric_labels(labels: Any) -> np.ndarray:
    """Labels as an array, as numbers if all of them are numbers in an array of objects, such as one column of a mixed table.

    Parameters
    ----------
    labels : array-like
        Labels of clips.

    Returns
    -------
    labels : ndarray
        The labels; of dtype object only if some are no numbers.
    """
    labels = np.asarray(labels)
    kinds = (numbers.Real, np.number)
    if labels.dtype == object and all(isinstance(one, kinds) and not isinstance(one, bool) for one in labels.flat):
        return labels.astype(np.float64)
    return labels
