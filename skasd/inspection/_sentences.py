"""Sentences about regions, which say no more than the numbers do."""

from typing import Any

import numpy as np

_EQUAL_DB = 1.0  # a smaller difference is called about equal
_KILO = 1000.0


def sentence_of(row: dict[str, Any], rectangle: tuple[slice, slice], offset_db: float) -> str:
    """Sentence about a region: where it is, how loud it and the whole clip are, and its share of the score.

    Examples
    --------
    >>> row = {"start_s": 0.5, "end_s": 1.25, "low_hz": 800.0, "high_hz": 2400.0, "level_db": 6.04,
    ...        "level_in_spreads": 3.0, "share": 0.416}
    >>> sentence_of(row, (slice(0, 1), slice(0, 1)), offset_db=0.2)
    '0.50 to 1.25 s, 800 Hz to 2.4 kHz: 6.0 dB louder than in normal clips (3.0 times their spread); 42 % of what adds ...'
    """
    share = f"{100 * row['share']:.0f} % of what adds to the anomaly score"
    return f"{_where(row, rectangle)}: {_how_loud(row)}{_on_the_whole(row['level_db'], offset_db)}; {share}."


def _where(row: dict[str, Any], rectangle: tuple[slice, slice]) -> str:
    bands, frames = rectangle
    time = f"{row['start_s']:.2f} to {row['end_s']:.2f} s"
    if np.isnan(row["start_s"]) or np.isnan(row["end_s"]):
        time = f"frames {frames.start} to {frames.stop - 1}"
    if np.isnan(row["low_hz"]):
        return f"{time}, bands {bands.start} to {bands.stop - 1}"
    return f"{time}, {in_hertz(row['low_hz'])} to {in_hertz(row['high_hz'])}"


def in_hertz(frequency: float) -> str:
    """Frequency as text, in Hz or kHz."""
    return f"{frequency:.0f} Hz" if frequency < _KILO else f"{frequency / _KILO:.1f} kHz"


def _on_the_whole(level_db: float, offset_db: float) -> str:
    """How loud the clip is, if that is not as in normal clips, and the region beside that."""
    if abs(offset_db) < _EQUAL_DB:
        return ""
    relative = level_db - offset_db
    return (
        f", and {abs(relative):.1f} dB {_which(relative)} relative to the whole clip, which is {abs(offset_db):.1f} dB "
        f"{_which(offset_db)}"
    )


def _which(level_db: float) -> str:
    return "louder" if level_db > 0 else "quieter"


def _how_loud(row: dict[str, Any]) -> str:
    level, spreads = row["level_db"], row["level_in_spreads"]
    if abs(level) < _EQUAL_DB:
        return f"about as loud as in normal clips ({level:+.1f} dB)"
    return f"{abs(level):.1f} dB {_which(level)} than in normal clips ({abs(spreads):.1f} times their spread)"
