"""`skasd demo`: fit a detector on synthetic machines, print a table and draw a figure."""

import time
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.utils import Bunch

from skasd.cli._detectors import make_detector
from skasd.datasets import make_machine_clips
from skasd.features import LogMelTransformer
from skasd.metrics import score_table

_MACHINES = ("fan", "pump", "slider", "valve", "gearbox")
_PICTURES = (".png", ".pdf", ".svg", ".jpg")
_COLORS = {1: "tab:blue", -1: "tab:red"}


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
    _picture(clips, test, y_true, score_samples, scores).savefig(out, dpi=110)
    seconds = time.perf_counter() - start
    return (
        f"{len(clips.data)} clips of {len(_MACHINES)} synthetic machines; trained on {int((~is_test).sum())} normal clips, "
        f"scored {len(test)} others in {seconds:.0f} s.\n\n{scores.round(3).to_string(index=False)}\n\n"
        f"mean AUC {scores['auc'].mean():.3f}, mean pAUC {scores['pauc'].mean():.3f} (false positive rate up to 0.1, "
        f"standardised)\nThe figure was written to {out}."
    )


def _picture(
    clips: Bunch, test: pd.DataFrame, y_true: np.ndarray, score_samples: np.ndarray, scores: pd.DataFrame
) -> Figure:
    """Figure with one row per machine: a normal clip, the most anomalous clip and all scores."""
    figure = Figure(figsize=(12, 2.1 * len(_MACHINES)), layout="constrained")
    grid = figure.subplots(len(_MACHINES), 3, squeeze=False)
    kinds = np.asarray(clips.anomaly_kind)[(clips.data["split"] == "test").to_numpy()]
    for row, machine in zip(grid, _MACHINES, strict=True):
        of_machine = (test["machine_type"] == machine).to_numpy()
        normal = np.flatnonzero(of_machine & (y_true == 1))
        anomalous = np.flatnonzero(of_machine & (y_true == -1))
        oddest = anomalous[score_samples[anomalous].argmin()]
        likeliest = normal[score_samples[normal].argmax()]
        _draw_spectrograms(row[:2], test["waveform"].iloc[[likeliest, oddest]].tolist())
        row[0].set_title(f"{machine}: a normal clip", fontsize=9)
        row[1].set_title(f"{machine}: the most anomalous clip ({kinds[oddest]})", fontsize=9)
        _draw_scores(row[2], {1: -score_samples[normal], -1: -score_samples[anomalous]})
        area = scores.loc[scores["machine_type"] == machine, "auc"].item()
        row[2].set_title(f"{machine}: AUC {area:.3f}", fontsize=9)
    for axes in grid[-1, :2]:
        axes.set_xlabel("time / s")
    grid[-1, 2].set_xlabel("anomaly score")
    return figure


def _draw_spectrograms(row: np.ndarray, waveforms: list[np.ndarray]) -> None:
    spectrograms = LogMelTransformer(n_mels=64).fit_transform(np.stack(waveforms))
    top = spectrograms.max()
    for axes, spectrogram, waveform in zip(row, spectrograms, waveforms, strict=True):
        extent = (0, len(waveform) / 16000, 0, len(spectrogram))
        axes.imshow(spectrogram, origin="lower", aspect="auto", vmin=top - 60, vmax=top, extent=extent, cmap="magma")
        axes.set_ylabel("mel band", fontsize=8)


def _draw_scores(axes: Axes, groups: dict[int, np.ndarray]) -> None:
    for height, (label, values) in enumerate(groups.items()):
        spread = np.linspace(-0.3, 0.3, len(values))
        axes.plot(values, height + spread, ".", color=_COLORS[label])
    axes.set_yticks([0, 1], ["normal", "anomaly"])
