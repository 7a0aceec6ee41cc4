"""What the displays share: matplotlib, axes in Hz and seconds, and colours that colour-blind people tell apart."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from skasd.inspection._axes import MapAxes
from skasd.inspection._explain import band_edges
from skasd.inspection._sentences import in_hertz

NORMAL, ANOMALY, NEUTRAL = "#0072B2", "#D55E00", "0.45"  # of the palette of Okabe and Ito
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
_TICKS = (50, 100, 200, 500, 1000, 2000, 4000, 8000, 16000, 32000)  # Hz


def pyplot() -> Any:
    """matplotlib.pyplot, or an error that says how to install it."""
    try:
        from matplotlib import pyplot as plt
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("Displays need matplotlib: pip install matplotlib", name="matplotlib") from error
    return plt


def axes_and_figure(ax: Any, **size: Any) -> tuple[Any, Any]:
    """The axes that were given, or new ones, and their figure."""
    if ax is None:
        figure, ax = pyplot().subplots(layout="constrained", **size)
        return ax, figure
    return ax, ax.figure


def panels(ax: Any, n_panels: int, *, width: float, height: float) -> tuple[np.ndarray, Any]:
    """Axes (n_panels,), one above the other, and their figure; `ax` may be as many axes, or one for a single panel."""
    if ax is None:
        figure, made = pyplot().subplots(
            n_panels, 1, figsize=(width, height * n_panels), squeeze=False, layout="constrained"
        )
        return made[:, 0], figure
    given = np.atleast_1d(np.asarray(ax, dtype=object)).ravel()
    if len(given) != n_panels:
        raise ValueError(f"ax holds {len(given)} axes; {n_panels} are needed, one for each panel.")
    return given, given[0].figure


def draw_image(ax: Any, values: np.ndarray, axes: MapAxes, **style: Any) -> Any:
    """Draw an image (F, T) whose bands are equally high, with ticks at round frequencies, over seconds."""
    n_bands, n_frames = values.shape
    known = np.isfinite(axes.times).all()
    half = axes.hop / 2 if known and n_frames > 1 else 0.5
    start, end = (max(axes.times[0] - half, 0.0), axes.times[n_frames - 1] + half) if known else (-0.5, n_frames - 0.5)
    image = ax.imshow(
        values,
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        extent=(start, end, -0.5, n_bands - 0.5),
        **style,
    )
    ax.set_xlabel("time (s)" if known else "frame")
    _frequency_ticks(ax, axes.frequencies)
    return image


def band_place(frequencies: np.ndarray, hertz: Sequence[float]) -> np.ndarray:
    """Places of frequencies on an axis on which the bands are 0, 1, 2 ..."""
    return np.interp(hertz, band_edges(frequencies), np.arange(len(frequencies) + 1) - 0.5)


def draw_regions(ax: Any, regions: pd.DataFrame, frequencies: np.ndarray) -> None:
    """Draw a numbered frame around each row of :func:`skasd.inspection.explain` on an image of these bands."""
    from matplotlib.patches import Rectangle

    for number, row in enumerate(regions.to_dict("records"), 1):
        start, end, low_hz, high_hz = (float(row[name]) for name in ("start_s", "end_s", "low_hz", "high_hz"))
        if not np.isfinite([start, end, low_hz, high_hz]).all():
            continue
        low, high = band_place(frequencies, [low_hz, high_hz])
        for color, width in (("white", 3.0), ("black", 1.2)):
            style: dict[str, Any] = {"fill": False, "edgecolor": color, "linewidth": width}
            ax.add_patch(Rectangle((start, low), end - start, high - low, **style))
        ax.annotate(
            str(number),
            (start, high),
            xytext=(3, -3),
            textcoords="offset points",
            va="top",
            fontsize=8,
            bbox={"facecolor": "white", "pad": 1.0, "linewidth": 0.0},
        )


def _frequency_ticks(ax: Any, frequencies: np.ndarray) -> None:
    if not np.isfinite(frequencies).all() or len(frequencies) < 2:
        ax.set_ylabel("band")
        return
    edges = band_edges(frequencies)
    ticks = [tick for tick in _TICKS if edges[0] <= tick <= edges[-1]]
    place = band_place(frequencies, ticks)
    least = 0.06 * len(frequencies)
    shown = [0] if len(ticks) else []
    for index in range(1, len(ticks)):
        if place[index] - place[shown[-1]] >= least:
            shown.append(index)
    ax.set_yticks([place[index] for index in shown], [in_hertz(ticks[index]).replace(".0 ", " ") for index in shown])
    ax.set_ylabel("frequency")


def without_frame(ax: Any) -> None:
    """Take the upper and right line away."""
    ax.spines[["top", "right"]].set_visible(False)
