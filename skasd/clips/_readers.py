"""How an estimator reads clips, found in its parameters."""

from dataclasses import fields
from typing import Any

from skasd.clips._audio import ClipReader

_NAMES = tuple(field.name for field in fields(ClipReader))


def readers_of(estimator: Any) -> list[ClipReader]:
    """Readers of an estimator, of its front end and of the estimators inside of it; the default reader if there is none.

    Parameters
    ----------
    estimator : estimator
        A transformer with the parameters of :class:`ClipReader`, or an estimator with such a transformer, or another front
        end with a `sample_rate`, among its parameters.

    Returns
    -------
    readers : list of ClipReader
        Different readers, in the order of the parameters; at least one.
    """
    params = estimator.get_params(deep=True)
    front_ends = [value for name, value in params.items() if name.rpartition("__")[2] == "frontend"]
    found: list[ClipReader] = []
    for part in (estimator, *params.values()):
        if isinstance(part, type):
            continue
        if all(hasattr(part, name) for name in _NAMES):
            reader = ClipReader(*(getattr(part, name) for name in _NAMES))
        elif any(part is front_end for front_end in front_ends) and hasattr(part, "sample_rate"):
            reader = ClipReader(part.sample_rate)
        else:
            continue
        if reader not in found:
            found.append(reader)
    return found or [ClipReader()]
