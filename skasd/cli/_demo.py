"""`skasd demo`: fit a detector on synthetic machines, print a table and draw a figure."""

import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from sklearn.utils import Bunch

from skasd.cli._detectors import make_detector
from skasd.datasets import make_machine_clips
from skasd.features import LogMelTransformer
from skasd.inspection import MapAxes, ScoreDisplay, explain, map_axes
from skasd.inspection._plotting import draw_image, draw_regions
from skasd.metrics import auc_score, score_table

_MACHINES = ("fan", "pump", "slider", "valve", "gearbox")
_PICTURES = (".png", ".pdf", ".svg", ".jpg")
_RANGE_DB = 60.0


def run_demo(out: Path, seed: int, *, verbose: int) -> str:
    """Return the report of the demo and write its figure to `out`."""
    if not out.resolve().parent.is_dir():
        raise FileNotFoundError(
            f"{out.resolve().parent} is not a folder; --out must name an image file in an existing folder."
        )
    if out.suffix.lower() not in _PICTURES:
        raise ValueError(
            f"--out={out} is not a supported image file; its name must end in one of {', '.join(_PICTURES)}."
        )
    start = time.perf_counter()
    clips = make_machine_clips(
        _MACHINES, n_train=40, n_test_normal=30, n_test_anomaly=30, duration=3.0, random_state=seed
    )
    is_test = (clips.data["split"] == "test").to_numpy()
    detector = make_detector("statistics", verbose=verbose).fit(clips.data[~is_test])
    test, y_true = clips.data[is_test], clips.target[is_test]
    score_samples = detector.score_samples(test)
    scores = score_table(y_true, score_samples, test, year=2020)
    _picture(clips, test, y_true, detector, score_samples).savefig(out, dpi=110)
    seconds = time.perf_counter() - start
    return (
        f"{len(clips.data)} clips of {len(_MACHINES)} synthetic machines; trained on {int((~is_test).sum())} normal clips, "
        f"scored {len(test)} others in {seconds:.0f} s.\n\n{scores.round(3).to_string(index=False)}\n\n"
        f"mean AUC {scores['auc'].mean():.3f}, mean pAUC {scores['pauc'].mean():.3f} (false positive rate up to 0.1, "
        f"standardised)\nThe figure was written to {out}."
    )


def _picture(clips: Bunch, test: pd.DataFrame, y_true: np.ndarray, detector: Any, score_samples: np.ndarray) -> Figure:
    """Figure with one row per machine: a normal clip, the most anomalous clip with its regions, and all scores."""
    figure = Figure(figsize=(13, 2.3 * len(_MACHINES)), layout="constrained")
    grid = figure.subplots(len(_MACHINES), 3, squeeze=False)
    kinds = np.asarray(clips.anomaly_kind)[(clips.data["split"] == "test").to_numpy()]
    axes = map_axes(detector, test)
    for row, machine in zip(grid, _MACHINES, strict=True):
        rows = np.flatnonzero((test["machine_type"] == machine).to_numpy())
        odd, usual = rows[y_true[rows] == -1], rows[y_true[rows] == 1]
        oddest, likeliest = odd[score_samples[odd].argmin()], usual[score_samples[usual].argmax()]
        pair = test.iloc[[likeliest, oddest]]
        _draw_spectrograms(row[:2], pair["waveform"].tolist(), axes)
        draw_regions(row[1], explain(detector, pair.iloc[[1]]), axes.frequencies)
        what = "alarm" if score_samples[oddest] < detector.offset_ else "no alarm"
        row[0].set_title(f"{machine}: a normal clip", fontsize=9)
        row[1].set_title(f"{machine}: the most anomalous clip ({kinds[oddest]}, {what})", fontsize=9)
        ScoreDisplay.from_predictions(
            y_true[rows], score_samples[rows], threshold=-float(detector.offset_), ax=[row[2]]
        )
        area = auc_score(y_true[rows], score_samples[rows])
        row[2].set_title(f"{machine}: AUC {area:.3f}", fontsize=9)
    for one in grid[:-1].ravel():
        one.set_xlabel("")
    return figure


def _draw_spectrograms(row: np.ndarray, waveforms: list[np.ndarray], axes: MapAxes) -> None:
    front_end = LogMelTransformer(norm=None, mel_scale="htk")
    spectrograms = front_end.fit_transform(np.stack(waveforms))
    top = spectrograms.max()
    for ax, spectrogram in zip(row, spectrograms, strict=True):
        draw_image(ax, spectrogram, axes, vmin=top - _RANGE_DB, vmax=top, cmap="cividis")
