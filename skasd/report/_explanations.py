"""Where in time and frequency the clips of a report are odd, as the inspection of the detector says."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

_AT_ONCE = 16  # clips whose maps are in memory together


@dataclass(frozen=True)
class Explanation:
    """Why a clip has its score.

    Parameters
    ----------
    regions : DataFrame
        Rows of :func:`skasd.inspection.explain`, the largest share first.
    values : ndarray of shape (n_mels, n_frames)
        Anomaly map.
    times : ndarray of shape (n_frames,)
        Centres of its frames, in s.
    frequencies : ndarray of shape (n_mels,)
        Centres of its bands, in Hz.
    """

    regions: pd.DataFrame
    values: np.ndarray
    times: np.ndarray
    frequencies: np.ndarray


def anomaly_map(detector, X):  # stand-in
    from skasd.clips import as_clips
    from skasd.features import LogMelTransformer

    values = LogMelTransformer(n_mels=64).fit_transform(X if isinstance(X, list) else list(as_clips(X).items))
    values = np.stack(values) if not isinstance(values, np.ndarray) else values
    return np.maximum(values - np.median(values, axis=2, keepdims=True), 0) ** 2


def map_axes(detector, X):  # stand-in
    from skasd._mel import MelDefinition

    return np.arange(anomaly_map(detector, X).shape[2]) * 512 / 16000, MelDefinition(n_mels=64).centers()


def explain(detector, X):  # stand-in
    times, freqs = map_axes(detector, X)
    rows = []
    for number, values in enumerate(anomaly_map(detector, X)):
        for rank in range(2):
            band, frame = np.unravel_index(np.argmax(values), values.shape)
            values[:, max(0, frame - 12) : frame + 12] = 0
            low, high = freqs[max(0, band - 3)], freqs[min(63, band + 3)]
            start, end = max(0, times[frame] - 0.2), times[frame] + 0.2
            share = 0.4 / (rank + 1)
            text = f"From {start:.1f} to {end:.1f} s, {low:.0f} to {high:.0f} Hz is 12 dB louder than in normal clips."
            rows.append((number, start, end, low, high, 12.0, 4.0, share, text))
    return pd.DataFrame(
        rows, columns="clip start_s end_s low_hz high_hz level_db level_in_spreads share sentence".split()
    )


def explanations(detector: Any, X: Any, positions: np.ndarray) -> list[Explanation]:
    """Explain some of the clips of X.

    Parameters
    ----------
    detector : estimator
        Fitted detector.
    X : array, list of paths or clip table
        Clips.
    positions : ndarray of shape (n_taken,), int
        Positions of the clips to explain.
    """
    found: list[Explanation] = []
    for start in range(0, len(positions), _AT_ONCE):
        found += _explained(detector, taken(X, positions[start : start + _AT_ONCE]))
    return found


def taken(X: Any, positions: np.ndarray) -> Any:
    """Some clips of X.

    Parameters
    ----------
    X : array, list of paths or clip table
        Clips.
    positions : ndarray of shape (n_taken,), int
        Their positions.
    """
    if isinstance(X, pd.DataFrame):
        return X.iloc[positions]
    return X[positions] if hasattr(X, "shape") else [X[position] for position in positions]


def _explained(detector: Any, X: Any) -> list[Explanation]:
    maps, regions = anomaly_map(detector, X), explain(detector, X).sort_values("share", ascending=False)
    times, frequencies = map_axes(detector, X)
    return [
        Explanation(regions[regions["clip"] == number], values, times, frequencies)
        for number, values in enumerate(maps)
    ]
