"""Histogram of the scores of a machine: new clips above the axis, below it normal clips of the fit, and the threshold."""

from dataclasses import dataclass

import numpy as np

_N_BINS = 30
_FARTHEST = 6.0  # distances of the threshold from the median of normal clips that the axis reaches
WIDTH, HEIGHT, DEPTH = 600, 120, 50  # of the picture, above and below the axis
_GAP = 2
_EQUAL = 1e-6  # relative difference of thresholds that are one


@dataclass(frozen=True)
class Bar:
    """A rectangle of the picture, and what it stands for: "anomaly", "normal" or "learnt"."""

    x: float
    y: float
    width: float
    height: float
    kind: str
    title: str


@dataclass(frozen=True)
class Histogram:
    """The picture of a machine.

    Parameters
    ----------
    machine : str
        Name of the machine.
    bars : list of Bar
        Rectangles.
    threshold : tuple of float or None
        Place on the axis and value, if the machine has one threshold.
    ticks : list of tuple of float and str
        Places on the axis and labels.
    n_new, n_anomalies, n_learnt : int
        Numbers of clips.
    """

    machine: str
    bars: list[Bar]
    threshold: tuple[float, float] | None
    ticks: list[tuple[float, str]]
    n_new: int
    n_anomalies: int
    n_learnt: int


def histogram(
    machine: str, score: np.ndarray, is_anomaly: np.ndarray, threshold: np.ndarray, learnt: np.ndarray
) -> Histogram:
    """Draw the scores of a machine.

    Parameters
    ----------
    machine : str
        Name of the machine.
    score, threshold : ndarray of shape (n_clips,)
        Anomaly scores of new clips, and the threshold of each.
    is_anomaly : ndarray of shape (n_clips,), bool
        Their decisions.
    learnt : ndarray of shape (n_learnt,)
        Anomaly scores of the normal clips that set the threshold.
    """
    score, threshold = np.nan_to_num(score), threshold[np.isfinite(threshold)]
    same = len(threshold) > 0 and np.ptp(threshold) <= _EQUAL * max(1.0, abs(float(threshold[0])))
    one = float(threshold[0]) if same else None
    low, high, is_cut = _limits(score, learnt, float(np.median(threshold)) if len(threshold) else float(score.max()))
    edges = np.linspace(low, high, _N_BINS + 1)
    counts = {
        kind: np.histogram(np.clip(values, low, high), edges)[0]
        for kind, values in (("normal", score[~is_anomaly]), ("anomaly", score[is_anomaly]), ("learnt", learnt))
    }
    ticks = [(100 * (value - low) / (high - low), f"{value:.4g}") for value in np.linspace(low, high, 5)]
    if is_cut:
        ticks[-1] = (100.0, f"{high:.4g} and more")
    return Histogram(
        machine,
        _bars(counts, edges, is_cut),
        None if one is None else (100 * (one - low) / (high - low), one),
        ticks,
        len(score),
        int(is_anomaly.sum()),
        len(learnt),
    )


def _limits(score: np.ndarray, learnt: np.ndarray, threshold: float) -> tuple[float, float, bool]:
    """Lowest and highest score of the axis, and whether higher ones are drawn in the last bin."""
    both = np.concatenate([score, learnt, [threshold]])
    low, high = float(both.min()), float(both.max())
    below = both[both <= threshold]
    farthest = threshold + _FARTHEST * (threshold - float(np.median(below)))
    if farthest > threshold and high > farthest:
        return low, farthest, True
    margin = 0.05 * (high - low) or max(1.0, abs(low)) * 0.05
    return low - margin, high + margin, False


def _bars(counts: dict[str, np.ndarray], edges: np.ndarray, is_cut: bool) -> list[Bar]:
    step = WIDTH / _N_BINS
    tallest = max(1, int((counts["normal"] + counts["anomaly"]).max()))
    deepest = max(1, int(counts["learnt"].max()))
    bars = []
    for number in range(_N_BINS):
        where = f"{edges[number]:.4g} to {edges[number + 1]:.4g}"
        where = f"{edges[number]:.4g} and more" if is_cut and number == _N_BINS - 1 else where
        top = float(HEIGHT)
        for kind, size, full in (("normal", HEIGHT, tallest), ("anomaly", HEIGHT, tallest), ("learnt", DEPTH, deepest)):
            count = int(counts[kind][number])
            height = size * count / full
            y = HEIGHT + 1.0 if kind == "learnt" else top - height
            top = top if kind == "learnt" else y
            what = "normal when the threshold was set" if kind == "learnt" else kind
            if count:
                bars.append(
                    Bar(number * step + _GAP / 2, y, step - _GAP, height, kind, f"{count} {what}: score {where}")
                )
    return bars
