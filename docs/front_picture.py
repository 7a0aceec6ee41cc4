"""The picture of the landing page: a normal clip, an odd one with what is odd in it, and the scores of all clips."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from skasd.datasets import make_machine_clips
from skasd.detectors import StatisticsDetector
from skasd.features import LogMelTransformer
from skasd.inspection import ScoreDisplay, explain, map_axes
from skasd.inspection._plotting import draw_image, draw_regions

RANGE_DB = 60.0


def draw(path: Path) -> None:
    """Fit a detector to sixty normal clips of a slider, score sixty others, and draw, unless the picture is there."""
    if path.exists():
        return
    counts = {"n_train": 60, "n_test_normal": 30, "n_test_anomaly": 30}
    clips = make_machine_clips("slider", **counts, duration=3.0, random_state=0)
    train, test, y_true = clips.data[:60], clips.data[60:], clips.target[60:]
    detector = StatisticsDetector().fit(train)
    scores, kinds = detector.score_samples(test), np.asarray(clips.anomaly_kind)[60:]
    squeals = np.flatnonzero(kinds == "squeal")
    odd = test.iloc[[squeals[scores[squeals].argmin()]]]

    figure = Figure(figsize=(9, 5), layout="constrained")
    left, right, below = figure.subplot_mosaic([["normal", "odd"], ["scores", "scores"]], height_ratios=(5, 3)).values()
    axes = map_axes(detector, test)
    pair = np.stack([test.iloc[scores.argmax()]["waveform"], odd.iloc[0]["waveform"]])
    levels = LogMelTransformer(norm=None, mel_scale="htk").fit_transform(pair)
    for one, level, title in zip(
        (left, right), levels, ("a normal clip", "an anomaly, and what is odd in it"), strict=True
    ):
        draw_image(one, level, axes, vmin=levels.max() - RANGE_DB, vmax=levels.max(), cmap="cividis")
        one.set_title(title)
    right.set_ylabel("")
    draw_regions(right, explain(detector, odd), axes.frequencies)
    ScoreDisplay.from_predictions(y_true, scores, threshold=-float(detector.offset_), ax=[below])
    below.set_title("the scores of sixty new clips")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
