"""The check of a file in ONNX Runtime against the estimator that it was made of."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from skasd.clips import as_clips
from skasd.datasets import make_machine_clips
from skasd.decisions._calibration import Calibration
from skasd.export._calibrated import Scoring
from skasd.export._machine import Machine
from skasd.export._metadata import Usual
from skasd.export._refusal import refused

LARGEST_DIFFERENCE = 1e-3  # of scores, relative to their spread
_DURATION = 2.0  # seconds, of clips for models whose training length is not known
_FEWEST_TIMEPOINTS = 0.1  # seconds; synthetic clips are no shorter
_LOWEST_RATE = 2000  # Hz, of synthetic clips
_LONG, _SHORT = 2.4, 0.8  # training lengths of the clips that are not of that length
_ROUNDING = 1e-6  # relative; of scores in single precision
_TOGETHER = 4  # clips that the graph gets at once


@dataclass(frozen=True)
class Parity:
    """How well a file and its estimator agree.

    Parameters
    ----------
    n_clips : int
        Number of clips that both scored.
    largest_difference : float
        Largest difference of their anomaly scores.
    spread : float
        Standard deviation of the scores of the estimator.
    n_decisions : int
        Number of clips on which their decisions differ.
    """

    n_clips: int
    largest_difference: float
    spread: float
    n_decisions: int


def waveforms_to_check(check_on: Any, usual: Usual) -> list[np.ndarray]:
    """Waveforms, in single precision, that a file is checked on.

    Parameters
    ----------
    check_on : array, list of paths, clip table or None
        Clips; None makes synthetic ones, most of them of the length of the training clips.
    usual : Usual
        How clips are given to the model.
    """
    if check_on is not None:
        clips = as_clips(check_on, feature=None)
        if clips.kind != "waveform":
            raise ValueError("check_on holds features; waveforms or files are expected.")
        read = clips.map(np.asarray, usual.reader, title="checking", n_jobs=None, verbose=0)
        return [np.asarray(waveform, dtype=np.float32) for waveform in read if waveform is not None]
    rate = usual.reader.sample_rate
    if rate < _LOWEST_RATE:
        raise ValueError(f"There are no synthetic clips at {rate} Hz to check the file on; give some as check_on.")
    usual_length = usual.n_timepoints or round(_DURATION * rate)
    usual_ones, long_ones = _synthetic(usual_length, rate, 6), _synthetic(round(_LONG * usual_length), rate, 1)
    return [*usual_ones, *long_ones, *(clip[: max(1, round(_SHORT * usual_length))] for clip in usual_ones[:2])]


def _synthetic(n_timepoints: int, sample_rate: int, n_clips: int) -> list[np.ndarray]:
    made = make_machine_clips(
        ("fan", "valve"),
        n_train=0,
        n_test_normal=n_clips,
        n_test_anomaly=n_clips,
        duration=max(_FEWEST_TIMEPOINTS, np.ceil(n_timepoints / sample_rate * 100) / 100),
        sample_rate=sample_rate,
        random_state=0,
    ).data["waveform"]
    return [np.asarray(waveform, dtype=np.float32)[:n_timepoints] for waveform in made]


def checked(path: Path, scoring: Scoring, machine: Machine, waveforms: list[np.ndarray], usual: Usual) -> Parity:
    """Run a file in ONNX Runtime, and compare it with its estimator.

    Parameters
    ----------
    path : Path
        The file.
    scoring : Scoring
        Fitted estimator, and how it decides.
    machine : Machine
        Machine whose model is in the file.
    waveforms : list of ndarray of shape (n_timepoints,)
        Clips.
    usual : Usual
        How clips are given to the model.

    Raises
    ------
    ValueError
        If they disagree, or a score is not finite.
    """
    estimator = scoring.estimator
    score, is_anomaly, p_value = scores_in_runtime(path, waveforms)
    expected = _scores_of(estimator, machine, waveforms, usual)
    decided = scoring.threshold - expected
    difference, spread = np.abs(score - expected), float(expected.std())
    allowed = LARGEST_DIFFERENCE * spread + _ROUNDING * float(np.abs(expected).max())
    differs = is_anomaly != (decided < 0)
    if not (difference <= allowed).all():
        position = int(np.argmax(np.where(np.isnan(difference), np.inf, difference)))
        raise refused(
            f"this {type(estimator).__name__}: in ONNX Runtime, clip {position} of check_on has the anomaly score "
            f"{score[position]:.6g}, and {expected[position]:.6g} in skasd, while the scores spread by {spread:.3g}",
            "give other clips as check_on, or write to the developers if they are usual ones",
        )
    if (differs & (np.abs(decided) > allowed)).any():
        position = int(np.argmax(differs & (np.abs(decided) > allowed)))
        raise refused(
            f"this {type(estimator).__name__}: in ONNX Runtime, clip {position} of check_on gets another decision than in "
            f"skasd, {abs(decided[position]):.3g} away from the threshold",
            "write to the developers",
        )
    if scoring.calibration is not None:
        _check_p_values(p_value, expected, allowed, scoring.calibration)
    return Parity(len(score), float(difference.max()), spread, int(differs.sum()))


def _check_p_values(p_value: np.ndarray, expected: np.ndarray, allowed: float, calibration: Calibration) -> None:
    """Raise unless each p-value is that of a score that differs by no more than is allowed."""
    low, high = (calibration.p_values(expected + sign * allowed) for sign in (1, -1))
    rounding = 10 * np.finfo(np.float32).eps
    if not ((p_value >= low - rounding) & (p_value <= high + rounding)).all():
        raise refused(
            "this CalibratedDetector: in ONNX Runtime, clips of check_on get other p-values than in skasd",
            "write to the developers",
        )


def scores_in_runtime(path: Path, waveforms: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Anomaly scores, decisions and p-values of a file in ONNX Runtime, each (n_clips,), on one thread.

    Parameters
    ----------
    path : Path
        The file.
    waveforms : list of ndarray of shape (n_timepoints,)
        Clips; those of one length are given to the graph a few at a time.
    """
    run = _session(path)
    score, is_anomaly = np.empty(len(waveforms)), np.empty(len(waveforms), dtype=bool)
    p_value = np.full(len(waveforms), np.nan)
    for places in _batches([len(waveform) for waveform in waveforms]):
        score[places], is_anomaly[places], *others = run(np.stack([waveforms[place] for place in places]))
        if others:
            p_value[places] = others[0]
    return score, is_anomaly, p_value


def _batches(lengths: list[int]) -> Iterator[list[int]]:
    """Positions of clips of equal length, a few at a time."""
    for length in dict.fromkeys(lengths):
        places = [place for place, other in enumerate(lengths) if other == length]
        for start in range(0, len(places), _TOGETHER):
            yield places[start : start + _TOGETHER]


def _session(path: Path) -> Any:
    """Function from waveforms (n_clips, n_timepoints) to the outputs of a file."""
    import onnxruntime  # imported here, as it is optional

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors only
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return lambda waveform: session.run(None, {"waveform": waveform})


def _scores_of(estimator: Any, machine: Machine, waveforms: list[np.ndarray], usual: Usual) -> np.ndarray:
    """Anomaly scores (n_clips,) of an estimator."""
    n_channels = usual.reader.channel + 1  # type: ignore[operator]
    cells = [waveform if n_channels == 1 else np.tile(waveform, (n_channels, 1)) for waveform in waveforms]
    columns = {"waveform": pd.Series(cells, dtype=object)}
    table = pd.DataFrame(columns | dict.fromkeys(machine.cells, None))
    for column, cell in machine.cells.items():
        table[column] = cell
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of lengths, levels and the like, which do not matter here
        return -np.asarray(estimator.score_samples(table), dtype=np.float64)
