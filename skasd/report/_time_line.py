"""Picture of the scores of a machine over time: what was heard, thresholds, episodes, drift; gaps stay empty."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from skasd.report._watched import N_COLUMNS, Watched

WIDTH, HEIGHT = N_COLUMNS, 150
_FARTHEST = 4.0  # distances of the threshold from the median score that the picture reaches above the threshold
_NARROWEST = 3.0  # of an episode in the picture
_N_TICKS = 5


@dataclass(frozen=True)
class TimeLine:
    """The picture of a machine, in units of its width and height.

    Parameters
    ----------
    band, mean : str
        Paths of an SVG: from the smallest to the largest score of each column, and through their means.
    threshold : str
        Path of the thresholds, or "".
    episodes : list of tuple of int, float and float
        Id, left end and width of each.
    drifts : list of float
        Places of alarms of the test of drift.
    times, scores : list of str
        Labels from left to right at equal distances, and from the top to the bottom.
    """

    band: str
    mean: str
    threshold: str
    episodes: list[tuple[int, float, float]]
    drifts: list[float]
    times: list[str]
    scores: tuple[str, str]


def time_line(watched: Watched, start: datetime, end: datetime) -> TimeLine:
    """Draw a machine.

    Parameters
    ----------
    watched : Watched
        The machine.
    start, end : datetime
        Time of the page.
    """
    length = max((end - start).total_seconds(), 1.0)
    low, high, is_cut = _limits(watched, start, end)

    def place(time: datetime) -> float:
        return float(np.clip((time - start).total_seconds() / length, 0, 1)) * WIDTH

    heights = HEIGHT * (1 - (np.clip(watched.columns, low, high) - low) / (high - low))
    runs = _runs(np.isfinite(watched.columns[:, 0]))
    label = "%d %b %H:%M" if length < 10 * 86400 else "%d %b"
    moments = [start + timedelta(seconds=length * part / (_N_TICKS - 1)) for part in range(_N_TICKS)]
    return TimeLine(
        " ".join(_band(heights[run], run.start) for run in runs),
        " ".join(_line(heights[run, 1], run.start) for run in runs),
        _thresholds(watched, start, end, place, low, high),
        [_span(each.id, place(each.started_at), place(each.ended_at or end)) for each in watched.episodes],
        [place(drift["noticed_at"]) for drift in watched.drifts],
        [moment.strftime(label).lstrip("0") for moment in moments],
        (f"{high:.4g}{' and more' if is_cut else ''}", f"{low:.4g}"),
    )


def _used(watched: Watched, end: datetime) -> list[tuple[dict[str, Any], datetime]]:
    """Learnings, each with the end of the time in which its threshold was used."""
    last = watched.learns_since or end
    return list(zip(watched.learnings, [*(row["learnt_at"] for row in watched.learnings[1:]), last], strict=False))


def _limits(watched: Watched, start: datetime, end: datetime) -> tuple[float, float, bool]:
    """Lowest and highest score of the picture, and whether higher ones are drawn at the top."""
    scores = watched.columns[np.isfinite(watched.columns)]
    thresholds = [row["threshold"] for row, until in _used(watched, end) if until > start]
    low, high = min([*scores, *thresholds], default=0.0), max([*scores, *thresholds], default=1.0)
    if thresholds:
        farthest = thresholds[-1] + _FARTHEST * (thresholds[-1] - float(np.median(scores)))
        if farthest > max(thresholds) and high > farthest:
            return low, farthest, True
    margin = 0.05 * (high - low) or max(1.0, abs(low)) * 0.05
    return low - margin, high + margin, False


def _runs(is_heard: np.ndarray) -> list[slice]:
    """Columns without a gap between them."""
    edges = np.flatnonzero(np.diff(np.r_[False, is_heard, False].astype(int)))
    return [slice(int(first), int(last)) for first, last in zip(edges[::2], edges[1::2], strict=True)]


def _band(heights: np.ndarray, first: int) -> str:
    """Path around columns (n, 3), whose lower edge is their smallest score."""
    places = np.arange(first, first + len(heights) + 1)
    top = [f"{x} {y:.1f}" for column, y in enumerate(heights[:, 2]) for x in places[column : column + 2]]
    bottom = [f"{x} {y:.1f}" for column, y in enumerate(heights[:, 0]) for x in places[column : column + 2]]
    return f"M{' L'.join([*top, *reversed(bottom)])} Z"


def _line(heights: np.ndarray, first: int) -> str:
    points = [f"{first + column + 0.5} {y:.1f}" for column, y in enumerate(heights)]
    return f"M{' L'.join(points if len(points) > 1 else points * 2)}"


def _span(number: int, left: float, right: float) -> tuple[int, float, float]:
    width = max(right - left, _NARROWEST)
    return number, round(min(left, WIDTH - width), 2), round(width, 2)


def _thresholds(watched: Watched, start, end, place, low: float, high: float) -> str:
    """Path of the thresholds, each from when it was learnt to the next."""
    path = []
    for row, until in _used(watched, end):
        if until > start:
            y = HEIGHT * (1 - (row["threshold"] - low) / (high - low))
            path.append(f"M{place(row['learnt_at']):.1f} {y:.1f} L{place(until):.1f} {y:.1f}")
    return " ".join(path)
