"""Which arrays of two axes are waveforms with channels, and which are features with bands.

An array (n_channels, n_timepoints) and an array (n_bands, n_frames) cannot be told apart but by their shape. Audio has few
channels and thousands of time points; features have many bands, or few frames.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np

Kind = Literal["waveform", "feature"]

_MOST_CHANNELS = 8
_FEWEST_BANDS = 4  # fewer bands are hardly a spectrogram
_FEWEST_TIMEPOINTS = 1000  # 62 ms at 16 kHz; no clip is shorter


def kind_of_shapes(shapes: Sequence[tuple[int, ...]], known: Kind | None, n_bands: int | None) -> Kind:
    """Kind of clips that are arrays of two axes.

    Parameters
    ----------
    shapes : sequence of tuple of int
        Shapes of the clips, of which the longest decides.
    known : {"waveform", "feature"} or None
        Kind that the estimator was fitted on or is made for; it holds for all shapes that it can have.
    n_bands : int or None
        Number of bands that the estimator was fitted on.

    Returns
    -------
    kind : {"waveform", "feature"}
        ``"waveform"`` for (n_channels, n_timepoints).

    Raises
    ------
    ValueError
        If the clips are waveforms with time along the first axis.
    """
    few_rows = all(shape[0] <= _MOST_CHANNELS for shape in shapes)
    if known == "feature" and n_bands in {shape[0] for shape in shapes}:
        return "feature"
    if known == "waveform" and few_rows:
        return "waveform"
    longest = max(shapes, key=max)
    if is_time_first(longest):
        raise ValueError(
            f"X holds clips of shape {longest}, which look like waveforms with time along the first axis, as soundfile.read "
            "returns them; a clip is (n_channels, n_timepoints) here. Transpose each clip: clip.T in a list, "
            "numpy.swapaxes(X, 1, 2) for an array. If they are features, put them into a column of a clip table and name "
            "that column in feature."
        )
    return "waveform" if few_rows and has_channels(longest) else "feature"


def has_channels(shape: tuple[int, ...]) -> bool:
    """Whether a shape is that of a waveform with channels.

    It has up to 3 rows and at least 1000 columns, or 4 to 8 rows and at least 1000 columns for each row.
    """
    n_rows, n_columns = shape
    least = _FEWEST_TIMEPOINTS * (n_rows if n_rows >= _FEWEST_BANDS else 1)
    return 1 <= n_rows <= _MOST_CHANNELS and n_columns >= least


def is_time_first(shape: tuple[int, ...]) -> bool:
    """Whether a shape is that of a waveform with channels, transposed."""
    return has_channels(shape[::-1])


def channel_shapes(items: Sequence | np.ndarray) -> list[tuple[int, ...]]:
    """Shapes of the clips that have two axes."""
    if isinstance(items, np.ndarray):
        return [items.shape[1:]] if items.ndim == 3 else []
    return [np.shape(item) for item in items if np.ndim(item) == 2]
