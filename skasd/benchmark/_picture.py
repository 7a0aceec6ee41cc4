"""Figure of results: a panel for each data set, and within it a group of dots for each machine type."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

_CHANCE = 0.5


def draw(rows: list[dict[str, Any]]) -> Figure:
    """AUC of each machine type and detector: a dot for each seed, and a line at their mean."""
    datas = list(dict.fromkeys(row["data"] for row in rows))
    detectors = list(dict.fromkeys(row["detector"] for row in rows))
    colors = dict(zip(detectors, colormaps["tab10"](np.arange(len(detectors)) % 10), strict=True))
    figure = Figure(figsize=(11, 1.2 + 3.1 * len(datas)), layout="constrained")
    for axes, data in zip(figure.subplots(len(datas), 1, squeeze=False)[:, 0], datas, strict=True):
        _panel(axes, [row for row in rows if row["data"] == data], colors)
        axes.set_title(data)
    handles = [Line2D([], [], color=color, marker="o", linewidth=2.5, label=name) for name, color in colors.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(len(detectors), 5), frameon=False)
    return figure


def _panel(axes: Axes, rows: list[dict[str, Any]], colors: dict[str, Any]) -> None:
    every = pd.DataFrame(
        [
            {"detector": row["detector"], "machine": machine["machine_type"], "auc": machine["auc_official"]}
            for row in rows
            for machine in row["machines"]
        ]
    )
    machines = list(dict.fromkeys(every["machine"]))
    if len(machines) == 2:  # one type, and "ALL", which is the same
        machines = machines[:1]
    width = 0.8 / len(colors)
    for place, (detector, color) in enumerate(colors.items()):
        for index, machine in enumerate(machines):
            values = every[(every["detector"] == detector) & (every["machine"] == machine)]["auc"].to_numpy()
            x = index + (place - (len(colors) - 1) / 2) * width
            if len(values):
                axes.plot(np.full(len(values), x), values, "o", color=color, markersize=5, alpha=0.6)
                axes.hlines(values.mean(), x - 0.45 * width, x + 0.45 * width, color=color, linewidth=2.5)
    axes.axhline(_CHANCE, color="0.6", linewidth=0.8, linestyle=":")
    axes.set_xticks(range(len(machines)), ["all" if name == "ALL" else name for name in machines])
    axes.set_xlim(-0.5, len(machines) - 0.5)
    axes.set_ylabel("AUC")
    axes.set_ylim(min(_CHANCE - 0.05, every["auc"].min() - 0.02), 1.01)
