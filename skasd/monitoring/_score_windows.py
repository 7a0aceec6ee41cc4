"""score_windows: scores and decisions of the windows of a recording of any length."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from skasd._parameters import check_option
from skasd.clips._arrays import as_numpy
from skasd.clips._audio import array_channels
from skasd.clips._files import file_length, read_blocks, readable_name
from skasd.monitoring._window_scorer import WindowScorer
from skasd.monitoring._windows import Window, windows_of

_VALUES_AT_ONCE = 2**22  # samples of the windows that are scored in one call,
_MOST_AT_ONCE = 256  # and their number


def score_windows(
    detector: Any,
    source: Any,
    *,
    window: float | None = None,
    hop: float | None = None,
    machine: str | None = None,
    on_error: str = "raise",
    verbose: int = 0,
) -> pd.DataFrame:
    """Score a recording of any length in windows.

    The recording is read in blocks, so that memory does not depend on its length, and a window has the score that it would
    have by itself. Windows start at 0, `hop`, 2 `hop` and so on; one more ends with the recording, unless one does already.
    A recording that is shorter than a window is one, as it is.

    Parameters
    ----------
    detector : detector or Pipeline
        Fitted detector, such as :class:`~skasd.decisions.CalibratedDetector`, or a pipeline that ends in one.
    source : path or ndarray of shape (n_timepoints,) or (n_channels, n_timepoints)
        Audio file, or waveform at the sample rate of the detector.
    window : float or None, default=None
        Length of a window in s. None is the median length of the training clips, which is what thresholds and p-values hold
        for.
    hop : float or None, default=None
        From the start of a window to that of the next, in s, at most `window`; None is half of it.
    machine : str or None, default=None
        Machine that is heard, such as ``"fan/00"``, for a detector of several machines.
    on_error : {"raise", "skip"}, default="raise"
        What happens to windows that cannot be used, as they hold NaN, for example: an error that names the first one, or
        rows that are ``"unscored"``.
    verbose : int, default=0
        Shows a progress bar, in seconds of sound, if 1 or larger.

    Returns
    -------
    table : DataFrame of shape (n_windows, 7)
        `start` and `end` in s; `anomaly_score`, high for anomalous windows; `threshold` on it; `p_value`, NaN where there is
        none; `decision`, ``"normal"`` or ``"anomaly"``; and `is_provisional`, whether the decision is provisional. With
        "skip", also `reason`, "" for windows that were scored.

    Raises
    ------
    ValueError
        If the recording or a window cannot be used, or if `window` is None and the detector does not know the length of its
        training clips.

    Notes
    -----
    Scores are those of single windows bit for bit. Those of networks may differ in the last digits, as float32 results
    depend on the batch.

    A decision is about one window. Of many windows some exceed any threshold: with a false alarm rate of 1 %, an hour of
    normal sound in windows of 10 s that overlap by half raises seven alarms. :class:`Monitor` makes episodes of them.

    Examples
    --------
    >>> import numpy as np
    >>> from skasd.datasets import make_machine_clips
    >>> from skasd.decisions import CalibratedDetector
    >>> from skasd.detectors import TWFRDetector
    >>> from skasd.monitoring import score_windows
    >>> clips = make_machine_clips("fan", n_train=40, duration=2.0, random_state=0).data
    >>> normal = clips[clips["split"] == "train"].drop(columns="section")
    >>> detector = CalibratedDetector(TWFRDetector()).fit(normal[:39])
    >>> table = score_windows(detector, np.tile(normal["waveform"].iloc[39], 3), hop=1.0, machine="fan")
    >>> table[["start", "end"]].to_numpy().tolist()
    [[0.0, 2.0], [1.0, 3.0], [2.0, 4.0], [3.0, 5.0], [4.0, 6.0]]
    """
    check_option("on_error", on_error, ("raise", "skip"))
    skip = on_error == "skip"
    scorer = WindowScorer.of(detector, window=window, hop=hop, machine=machine)
    name, blocks, seconds = _opened(source, scorer.reader.sample_rate)
    progress = tqdm(total=seconds, desc="windows", unit="s", disable=verbose < 1, leave=False)
    tables = []
    try:
        with progress:
            for batch in batches(windows_of(blocks, scorer.cutter()), scorer.length):
                tables.append(_scored(scorer, batch, name, skip))
                progress.update(round(batch[-1].stop / scorer.reader.sample_rate) - progress.n)
    except _UnusableError as error:
        raise ValueError(f"{name}: {error}") from error
    return pd.concat(tables, ignore_index=True)


class _UnusableError(ValueError):
    """A recording, or a window of it, that cannot be used."""


def _opened(source: Any, sample_rate: int) -> tuple[str, Iterator[tuple[np.ndarray, int]], int | None]:
    """Name of a recording for messages, its samples in blocks, and its length in s if it is known."""
    if isinstance(source, str | os.PathLike):
        length = file_length(Path(source))
        return readable_name(source), _blocks(Path(source)), None if length is None else round(length[0] / length[1])
    array = as_numpy(source)
    if not isinstance(array, np.ndarray):
        raise TypeError(
            f"source is a {type(source).__name__}; the path of one recording, or a waveform (n_timepoints,) or (n_channels, "
            "n_timepoints), is expected."
        )
    try:
        channels = array_channels(array)
    except ValueError as error:
        raise ValueError(f"source {error}.") from error
    return "source", iter([(channels, sample_rate)]), round(channels.shape[1] / sample_rate)


def _blocks(path: Path) -> Iterator[tuple[np.ndarray, int]]:
    try:
        yield from read_blocks(path)
    except ValueError as error:
        raise _UnusableError(error) from error


def batches(windows: Iterable[Window], length: int) -> Iterator[list[Window]]:
    """Windows in lists that are scored in one call each.

    Parameters
    ----------
    windows : iterable of Window
        Windows.
    length : int
        Length of a window in time points.

    Yields
    ------
    batch : list of Window
        Some of them, in order.
    """
    size = int(np.clip(_VALUES_AT_ONCE // length, 1, _MOST_AT_ONCE))
    batch: list[Window] = []
    for window in windows:
        batch.append(window)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _scored(scorer: WindowScorer, batch: list[Window], name: str, skip: bool) -> pd.DataFrame:
    """Table of some windows; of those that cannot be used, an error that names the first, or rows without a score."""
    try:
        table = scorer.table(batch)
    except ValueError as error:
        reasons = [scorer.why_unusable(window) for window in batch]
        if not any(reasons):
            raise
        if not skip:
            first = next(window for window, reason in zip(batch, reasons, strict=True) if reason)
            raise _UnusableError(_of_window(scorer, first, next(filter(None, reasons)))) from error
        return _of_usable(scorer, batch, reasons)
    return table.assign(reason="") if skip else table


def _of_window(scorer: WindowScorer, window: Window, reason: str) -> str:
    rate = scorer.reader.sample_rate
    return (
        f"the window from {window.start / rate:.6g} to {window.stop / rate:.6g} s {reason}. Repair the recording, or give "
        "on_error='skip'."
    )


def _of_usable(scorer: WindowScorer, batch: list[Window], reasons: list[str]) -> pd.DataFrame:
    usable = [place for place, reason in enumerate(reasons) if not reason]
    rate = scorer.reader.sample_rate
    table = pd.DataFrame(
        {
            "start": [window.start / rate for window in batch],
            "end": [window.stop / rate for window in batch],
            **dict.fromkeys(("anomaly_score", "threshold", "p_value"), np.nan),
            "decision": np.full(len(batch), "unscored", dtype=object),
            "is_provisional": False,
            "reason": reasons,
        }
    )
    if usable:
        scored = scorer.table([batch[place] for place in usable])
        table.loc[usable, scored.columns] = scored.set_axis(usable)
    return table
