"""The HTML page of a report: one file with everything inside, in which nothing but its own script can run."""

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from skasd.clips._files import printable
from skasd.clips._machine_names import split_names
from skasd.report._details import Detail, Figure, pictures
from skasd.report._groups import Group, Scores, order
from skasd.report._histogram import DEPTH, HEIGHT, WIDTH, Histogram, histogram
from skasd.report._html import rendered
from skasd.report._sound import as_files, gain

_ALL_CLIPS = "All clips"  # heading of the histogram of a detector without machines


@dataclass(frozen=True)
class Content:
    """What a report is made of.

    Parameters
    ----------
    title : str
        Heading.
    groups : sequence of Group
        The clips by detector.
    scores : sequence of Scores
        Scores of each group.
    details : sequence of dict of int to Detail
        What is shown of the clips of each group, by position.
    unusable : sequence of tuple of str
        Names of clips without a score, and why.
    about : dict
        Description of the model.
    audio : {"auto", "flac", "ogg"}
        Format of the sound.
    n_jobs : int or None
        Number of threads that encode it, as in joblib.
    """

    title: str
    groups: Sequence[Group]
    scores: Sequence[Scores]
    details: Sequence[Mapping[int, Detail]]
    unusable: Sequence[tuple[str, str]]
    about: Mapping[str, Any]
    audio: str
    n_jobs: int | None


def page(content: Content) -> str:
    """HTML of a report.

    Parameters
    ----------
    content : Content
        What it shows.
    """
    figures = [figure for each in content.details for figure in _figures_of(each)]
    number = {id(figure): place for place, figure in enumerate(figures)}
    assets, looks, audio = assets_of(figures, content.audio, content.n_jobs)
    rows = _rows(content, number)
    return rendered(
        "page.html",
        title=content.title,
        rows=rows,
        has_machines=len({row["machine"] for row in rows}) > 1,
        machines=sorted({row["machine"] for row in rows}),
        is_calibrated=any(scores.p_value is not None for scores in content.scores),
        alphas=sorted({float(group.detector.alpha_) for group in content.groups if hasattr(group.detector, "alpha_")}),
        has_normal=any(group.normal is not None for group in content.groups),
        n_hidden=sum(row["figure"] is None for row in rows),
        unusable=content.unusable,
        histograms=_histograms(content),
        size={"width": WIDTH, "height": HEIGHT, "depth": DEPTH},
        models=models_of(content.about),
        about=content.about,
        assets=assets,
        audio=audio,
        data=[figure_data(figure, number, looks) for figure in figures],
    )


def _figures_of(details: Mapping[int, Detail]) -> list[Figure]:
    """Figures of clips, and of the normal clips beside them, each once."""
    own = [detail.figure for detail in details.values() if detail.figure is not None]
    normal = {id(figure.nearest): figure.nearest for figure in own if figure.nearest is not None}
    return [*own, *normal.values()]


def assets_of(
    figures: Sequence[Figure], audio: str, n_jobs: int | None
) -> tuple[dict[str, str], dict[int, float], str]:
    """Base64 of the files of a page by their names, the gain in dB of each figure, and the format of the sound."""
    gains, assets = np.ones(len(figures)), {}
    for machine in sorted({figure.machine for figure in figures}):
        own = [place for place, figure in enumerate(figures) if figure.machine == machine]
        gains[own] = gain([figures[place].sound for place in own])
        spectra, maps = pictures([figures[place] for place in own])
        for place, spectrum, anomaly in zip(own, spectra, maps, strict=True):
            assets[f"spectrogram-{place}"] = spectrum
            if anomaly is not None:
                assets[f"map-{place}"] = anomaly
    files, audio = as_files([figure.sound for figure in figures], gains.tolist(), audio, n_jobs)
    assets |= {f"sound-{place}": file for place, file in enumerate(files)}
    texts = {name: base64.b64encode(content).decode() for name, content in assets.items()}
    return texts, {id(figure): 20 * math.log10(gains[place]) for place, figure in enumerate(figures)}, audio


def _rows(content: Content, number: Mapping[int, int]) -> list[dict[str, Any]]:
    """Rows of the table, the most anomalous clip first."""
    rows = []
    for group, scores, details in zip(content.groups, content.scores, content.details, strict=True):
        for position, name in enumerate(group.names):
            folder, _, file = name.replace("\\", "/").rpartition("/")
            detail = details.get(position)
            p_value = math.nan if scores.p_value is None else float(scores.p_value[position])
            figure = None if detail is None or detail.figure is None else number[id(detail.figure)]
            rows.append(
                {
                    "folder": folder,
                    "file": file or name,
                    "machine": group.machines[position],
                    "score": float(scores.anomaly_score[position]),
                    "threshold": float(scores.threshold[position]),
                    "p_value": None if math.isnan(p_value) else p_value,
                    "is_provisional": scores.p_value is not None and math.isnan(p_value),
                    "decision": "anomaly" if scores.is_anomaly[position] else "normal",
                    "sentence": "" if detail is None else detail.explanation.sentence,
                    "figure": figure,
                }
            )
    return [rows[place] for place in order(content.scores)]


def _histograms(content: Content) -> list[Histogram]:
    """One for each machine, beside the normal clips that set the threshold of its detector."""
    found = []
    for group, scores in zip(content.groups, content.scores, strict=True):
        machines = np.array(group.machines, dtype=object)
        for machine in sorted(set(machines)):
            own = machines == machine
            normal = scores.normal.get(machine, scores.normal.get("", np.empty(0)))
            each = scores.anomaly_score[own], scores.is_anomaly[own], scores.threshold[own]
            found.append(histogram(machine or _ALL_CLIPS, *each, normal))
    return found


def models_of(about: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Description of each detector of the model, with the machines that it learnt."""
    models = []
    for name, part in (about.get("machines") or {"": about}).items():
        training = part["training"] or {}
        learnt = training.get("machines", {})
        cells = split_names(learnt)
        counts = dict(zip(("/".join(filter(None, names)) for names in cells), learnt.values(), strict=True))
        models.append({"machine": name, **part, "training": training, "learnt": counts})
    return models


def figure_data(figure: Figure, number: Mapping[int, int], gains: Mapping[int, float]) -> dict[str, Any]:
    """What the script needs of a figure; places are percentages of the picture."""
    axes, sound = figure.axes, figure.sound
    return {
        "name": printable(figure.name),
        "start": round(axes.start, 3),
        "seconds": sound.seconds,
        "whole": sound.whole,
        "knowsFrequencies": figure.knows_frequencies,
        "gain": round(gains[id(figure)], 1),
        "ticks": [[round(100 * height, 2), label] for height, label in axes.ticks()],
        "regions": [_region(region, figure) for region in figure.regions],
        "nearest": None if figure.nearest is None else number[id(figure.nearest)],
    }


def _region(region: Mapping[str, Any], figure: Figure) -> dict[str, Any]:
    axes, seconds = figure.axes, figure.sound.seconds
    start, end = (float(np.clip(region[name] - axes.start, 0, seconds)) for name in ("start_s", "end_s"))
    low, high = 0.0, 1.0
    if figure.knows_frequencies:
        low, high = (float(axes.height(max(0.0, float(region[name])))) for name in ("low_hz", "high_hz"))
    return {
        "start": round(start, 3),
        "end": round(end, 3),
        "left": 100 * start / seconds,
        "width": 100 * (end - start) / seconds,
        "bottom": 100 * low,
        "height": 100 * (high - low),
        "sentence": str(region["sentence"]),
    }
