"""Maps of planted faults: does the largest value lie on the fault, do the largest values cover it, and is the score there?

    python benchmarks/accuracy/explanations.py

writes results/explanations/results.jsonl, a line for each detector, way to make a map, machine, seed and kind of fault; the
page "Why is this clip odd?" of the guide has the tables that tables.py makes of it. With real valves in ../shared/data or
$SKASD_REAL_DATA, there are lines of those too; nobody knows where their faults are, so they have only the deletion area.

- pointing: share of clips whose largest value lies on the fault;
- overlap: of as many of the largest places as the fault has, the share that lies on it;
- deletion: area below the anomaly score while the places, the largest first, are set to the levels of normal clips that are
  as loud; 1 is the score of the clip, 0 that of the normal levels. Small is good, 0.5 to 0.6 is a random order.
"""

import json
import os
import warnings
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from stamp import stamp

from skasd.clips._normal_levels import loudness_offset
from skasd.datasets import make_machine_clips
from skasd.detectors import AutoencoderDetector, StatisticsDetector, TWFRDetector
from skasd.inspection._axes import axes_of_shape
from skasd.inspection._maps import Way, _edited, clip_maps
from skasd.inspection._subject import Subject
from skasd.training._patches import patch_starts

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results" / "explanations" / "results.jsonl"
REAL = Path(os.environ.get("SKASD_REAL_DATA") or HERE.parents[2] / "shared" / "data")
MACHINES = ("fan", "pump", "slider", "valve", "gearbox")
SEVERITY = 2.0  # faults that detectors find: a map of an unnoticed one could not show it
SEEDS = range(3)
STEPS = np.linspace(0.0, 1.0, 11) ** 2  # shares of the places
DETECTORS = {
    "StatisticsDetector": lambda seed: StatisticsDetector(n_jobs=1),
    "TWFRDetector": lambda seed: TWFRDetector(n_jobs=1),
    "AutoencoderDetector": lambda seed: AutoencoderDetector(max_epochs=10, n_jobs=1, device="cpu", random_state=seed),
}
WAYS = {"StatisticsDetector": ("insertion", "occlusion")}


def main():
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    tasks = [(of_machine, *task) for task in product(DETECTORS, MACHINES, SEEDS)]
    if (REAL / "clips.csv").is_file():
        tasks += [(of_valves, *task) for task in product(DETECTORS, SEEDS)]
    lines = [line for function, *task in tasks for line in function(*task)]
    RESULTS.write_text("".join(json.dumps(line | stamp()) + "\n" for line in lines), encoding="utf-8")


def of_machine(name, machine, seed):
    """Lines of one detector on the faults of one machine."""
    counts = {"n_train": 60, "n_test_normal": 0, "n_test_anomaly": 9}
    settings = {"duration": 2.0, "severity": SEVERITY, "return_masks": True, "random_state": seed}
    clips = make_machine_clips(machine, **counts, **settings)
    is_train = (clips.data["split"] == "train").to_numpy()
    detector = DETECTORS[name](seed).fit(clips.data[is_train])
    rows = list(judged(name, detector, clips.data[is_train], clips.data[~is_train], clips, seed))
    shared = {"data": "synthetic", "machine_type": machine, "seed": seed}
    return summary(rows, shared, clips.anomaly_kind[~is_train])


def of_valves(name, seed):
    """Lines of one detector on anomalous real valves; the seed draws the clips."""
    table = pd.read_csv(REAL / "clips.csv", dtype=str)
    table = table[table["dataset"] == "valve2023"].assign(path=lambda rows: f"{REAL}/" + rows["path"])
    train = table[table["split"] == "train"]
    odd = table[(table["split"] == "test") & (table["label"] == "anomaly")].sample(8, random_state=seed)
    detector = DETECTORS[name](seed).fit(train)
    rows = list(judged(name, detector, train, odd, None, seed))
    return summary(rows, {"data": "real valve", "machine_type": "valve", "seed": seed}, ["real"] * 8)


def summary(rows, shared, kinds):
    """Means over the clips of each way and kind of fault."""
    table = pd.DataFrame([{**row, "kind": str(kinds[row["clip"]])} for row in rows])
    lines = []
    for (detector, way, kind), group in table.groupby(["detector", "way", "kind"], sort=False):
        figures = {
            figure: None if group[figure].isna().all() else round(float(group[figure].mean()), 4)
            for figure in ("pointing", "overlap", "deletion", "area")
        }
        lines.append({"detector": detector, "way": way, **shared, "kind": kind, "n_clips": len(group), **figures})
    return lines


def judged(name, detector, train, odd, clips, seed):
    """A row for each clip and way; the masks are in `clips`, or None for real clips."""
    subject, normal = Subject.of(detector, odd), Subject.of(detector, train)
    mean = np.mean([normal.spectrogram(row).mean(axis=1) for row in range(len(train))], axis=0)[:, None]
    offset = len(train)
    for position in range(len(odd)):
        one = subject.take(np.array([position]))
        maps, mask = maps_of(name, detector, one, mean, seed), None
        if clips is not None:
            mask = mask_of(clips, offset + position, axes_of_shape(subject, *maps["random"].shape))
        level = one.needed_normal()[0].at(one.spectrogram(0))[0]
        edited = _edited(one, one.spectrogram(0), level)
        for way, values in maps.items():
            yield {"detector": name, "way": way, "clip": position, **figures_of(values, mask, edited)}


def maps_of(name, detector, one, mean, seed):
    """Maps of a clip by all ways."""
    ways = WAYS.get(name, ("insertion", "occlusion", "exact"))
    maps = {way: next(clip_maps(one, Way(way, None))).added for way in ways}
    spectrogram = one.spectrogram(0)
    if name == "AutoencoderDetector":
        maps["gradient x input"] = gradient_map(detector, one, spectrogram)
    maps["level above the mean"] = spectrogram - mean
    maps["level difference"] = np.abs(spectrogram - mean)
    maps["random"] = np.random.default_rng(seed).random(spectrogram.shape)
    return maps


def gradient_map(detector, one, spectrogram):
    """Gradient of the reconstruction error times the deviation of the clip from normal levels."""
    level = one.needed_normal()[0].at(spectrogram)[0]
    deviation = spectrogram - level
    network = detector._machines[0].residuals
    values = torch.tensor(spectrogram.T, dtype=torch.float32, requires_grad=True)  # (T, F)
    start = torch.from_numpy(patch_starts(len(values), detector.n_context, 1))
    network(values[start[:, None] + torch.arange(detector.n_context)]).square().mean().backward()
    return values.grad.numpy().T * (deviation - loudness_offset(deviation))


def mask_of(clips, row, axes):
    """Mask of a clip on the axes of maps."""
    band = np.abs(clips.mask_frequencies[:, None] - axes.frequencies).argmin(axis=0)
    frame = np.abs(clips.mask_times[:, None] - axes.times).argmin(axis=0)
    return clips.masks[row][np.ix_(band, frame)]


def figures_of(values, mask, edited):
    """Pointing, overlap, deletion area, and the share of places on the fault; None where there is no mask."""
    order = np.argsort(-values, axis=None, kind="stable")
    found = {"pointing": None, "overlap": None, "area": None, "deletion": deletion_area(order, edited)}
    if mask is None or not mask.any():
        return found
    on_fault = mask.ravel()[order]
    return {
        **found,
        "pointing": float(on_fault[0]),
        "overlap": float(on_fault[: int(mask.sum())].mean()),
        "area": float(mask.mean()),
    }


def deletion_area(order, edited):
    """Area below the anomaly score while places are set to normal levels in this order; None of a clip that is not odd."""
    kept = np.ones((len(STEPS), len(order)))
    for row, share in zip(kept, STEPS, strict=True):
        row[order[: round(share * len(order))]] = 0.0
    scores = edited.scores(row.reshape(edited.deviation.shape) for row in kept)
    if scores[0] <= scores[-1]:
        return None
    return float(np.trapezoid((scores - scores[-1]) / (scores[0] - scores[-1]), STEPS))


if __name__ == "__main__":
    main()
