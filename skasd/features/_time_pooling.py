"""Pooling of the frames of an encoder over time.

Axes: T frames, D values of a frame.
"""

from dataclasses import dataclass

import numpy as np

from skasd._parameters import check_number, check_option
from skasd._rank_pooling import twfr

RULES = ("mean", "max", "power", "rank")
_POWER, _R = 3.0, 0.9  # of the parameters that are None


@dataclass(frozen=True)
class TimePooling:
    """A rule that pools frames (T, D) to a vector (D,); without a rule, frames are kept as (D, T).

    Parameters
    ----------
    rule : {"mean", "max", "power", "rank"} or None
        The rule.
    power : float or None
        Exponent of "power"; None is 3.
    r : float or None
        Decay of the weights of "rank"; None is 0.9.
    """

    rule: str | None
    power: float | None = None
    r: float | None = None

    def __post_init__(self) -> None:
        check_option("time_pooling", self.rule, (*RULES, None))
        if self.power is not None:
            check_number("power", self.power, low=0, above=True)
        if self.r is not None:
            check_number("r", self.r, low=0, high=1)

    def __call__(self, frames: np.ndarray) -> np.ndarray:
        """Pool the frames (T, D) of a clip."""
        frames = frames.astype(np.float64)
        if self.rule is None:
            pooled = frames.T
        elif self.rule == "mean":
            pooled = frames.mean(axis=0)
        elif self.rule == "max":
            pooled = frames.max(axis=0)
        elif self.rule == "power":
            pooled = power_mean(frames, _POWER if self.power is None else self.power)
        else:
            pooled = twfr(frames.T, (_R if self.r is None else self.r,))[0]
        return pooled.astype(np.float32)


def power_mean(frames: np.ndarray, power: float) -> np.ndarray:
    """Generalised mean over time, which keeps signs.

    Parameters
    ----------
    frames : ndarray of shape (T, D)
        Values in any unit.
    power : float
        Exponent, above 0.

    Returns
    -------
    pooled : ndarray of shape (D,)
        The root of the mean of the powers, with signs; in the unit of `frames`.

    Examples
    --------
    >>> power_mean(np.array([[3.0, 1.0], [4.0, -1.0]]), 2.0).round(4)
    array([3.5355, 0.    ])
    """
    largest = np.abs(frames).max(axis=0)
    share = frames / np.where(largest > 0, largest, 1)  # powers of shares do not overflow
    mean = (np.sign(share) * np.abs(share) ** power).mean(axis=0)
    return largest * np.sign(mean) * np.abs(mean) ** (1 / power)
