"""Maps on other axes: the value of each place goes to the nearest place."""

import numpy as np

from skasd.inspection._axes import MapAxes


def onto_axes(values: np.ndarray, axes: MapAxes, other: MapAxes) -> np.ndarray:
    """Values (F, T) of places on some axes, summed where they are nearest to on other axes; their sum is kept."""
    shape = len(other.frequencies), len(other.times)
    if values.shape == shape:
        return values
    bands = _nearest(axes.frequencies, other.frequencies)
    frames = _nearest(axes.times, other.times)
    placed = np.zeros(shape)
    np.add.at(placed, np.ix_(bands, frames), values)
    return placed


def _nearest(places: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Index (n,) of the nearest other place; by share of the range where places are not known."""
    if np.isnan(places).any() or np.isnan(others).any():
        return np.round(np.linspace(0, len(others) - 1, len(places))).astype(int)
    return np.abs(places[:, None] - others).argmin(axis=1)
