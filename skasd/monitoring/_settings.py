"""Parameters of a Monitor, checked."""

from dataclasses import dataclass
from typing import Any

from skasd._parameters import check_number

_MOST_PER_DAY = 1000.0
_LARGEST_SHARE = 0.2
_LARGEST_LEVEL = 0.5


@dataclass(frozen=True)
class Settings:
    """Parameters of :class:`Monitor`, apart from the detector, under the same names.

    Parameters
    ----------
    false_episodes_per_day, window, hop, machine, learning_hours, end_share, least_duration, longest_gap : object
        See :class:`Monitor`.
    drift_level, drift_interval : object
        See :class:`Monitor`.
    """

    false_episodes_per_day: float
    window: float | None
    hop: float | None
    machine: str | None
    learning_hours: float
    end_share: float
    least_duration: float
    longest_gap: float
    drift_level: float
    drift_interval: float

    def __post_init__(self) -> None:
        """Raise if a parameter is of another type or out of range."""
        self._check("false_episodes_per_day", low=0, high=_MOST_PER_DAY, above=True)
        self._check("learning_hours", low=0, above=True)
        self._check("end_share", low=0, high=_LARGEST_SHARE, above=True)
        self._check("least_duration", low=0)
        self._check("longest_gap", low=0)
        self._check("drift_level", low=0, high=_LARGEST_LEVEL, above=True)
        self._check("drift_interval", low=0, above=True)

    def check_interval(self, window: float) -> None:
        """Raise if windows that the test of drift looks at would overlap.

        Parameters
        ----------
        window : float
            Length of a window, in s.
        """
        if self.drift_interval < window:
            raise ValueError(
                f"drift_interval={self.drift_interval!r} is shorter than a window of {window:g} s; windows that the test "
                "of drift looks at must not overlap."
            )

    def _check(self, name: str, **limits: Any) -> None:
        check_number(name, getattr(self, name), **limits)
