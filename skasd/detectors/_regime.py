"""How a machine sounds over time: steadily, intermittently, or in short clicks; found from its normal clips.

Axes: n clips, F bands.
"""

from collections.abc import Mapping

import numpy as np

NEEDED = ("spread", "r0", "q0.98")  # statistics that the regime follows from
_STEADY = 8.5  # dB; largest spread of a steady machine
_IMPULSIVE = 4.0  # dB; smallest peak of an impulsive machine


def spread_and_peak(values: Mapping[str, np.ndarray], log_unit: float) -> tuple[float, float]:
    """Spread and peak of a machine, in dB.

    Parameters
    ----------
    values : mapping of str to ndarray of shape (n, d)
        Statistics of its normal clips.
    log_unit : float
        Natural logarithm of the power ratio of one unit of the statistics.
    """
    decibels = 10 / np.log(10) * log_unit
    peak = (values["r0"] - values["q0.98"]).mean(axis=1)
    return float(decibels * np.median(values["spread"], axis=0).max()), float(decibels * np.median(peak))


def regime(spread: float, peak: float) -> str:
    """Regime of a machine.

    Parameters
    ----------
    spread : float
        Difference of loud and quiet levels over time, in dB.
    peak : float
        Level of the loudest frame above the 98 % quantile, in dB.

    Returns
    -------
    regime : {"steady", "intermittent", "impulsive"}
        Impulsive is a machine whose loudest frame stands out from the loud 2 %, as clicks do that fill less than that.
    """
    if peak > _IMPULSIVE:
        return "impulsive"
    return "steady" if spread <= _STEADY else "intermittent"
