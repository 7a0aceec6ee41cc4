"""Faults found and false alarms over the number of training clips: TWFRDetector on synthetic machines.

    python benchmarks/accuracy/few_clips.py

writes results/few_clips/results.jsonl; the page "Thresholds" of the guide has the table that tables.py makes of it.
"""

import json
import warnings
from itertools import product
from pathlib import Path

from stamp import stamp

from skasd.datasets import make_machine_clips
from skasd.detectors import TWFRDetector
from skasd.features import LogMelTransformer

RESULTS = Path(__file__).resolve().parent / "results" / "few_clips" / "results.jsonl"
MACHINES = ("fan", "pump", "slider", "valve", "gearbox")
SIZES = (2, 5, 10, 15, 30, 60, 120)
SEEDS = range(3)


def main():
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    rows = []
    for machine, seed in product(MACHINES, SEEDS):
        counts = {"n_train": max(SIZES), "n_test_normal": 60, "n_test_anomaly": 60}
        clips = make_machine_clips(machine, **counts, duration=2.0, random_state=seed)
        features = LogMelTransformer(norm=None, mel_scale="htk").fit_transform(clips.data).drop(columns="waveform")
        is_train = (features["split"] == "train").to_numpy()
        new, y_true = features[~is_train], clips.target[~is_train]
        for n_train in SIZES:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                alarm = TWFRDetector().fit(features[is_train].sample(n_train, random_state=seed)).predict(new) == -1
            found = {
                "faults_found": float(alarm[y_true == -1].mean()),
                "false_alarms": float(alarm[y_true == 1].mean()),
            }
            rows.append({"machine_type": machine, "seed": seed, "n_train": n_train, **found})
    RESULTS.write_text("".join(json.dumps(row | stamp()) + "\n" for row in rows), encoding="utf-8")


if __name__ == "__main__":
    main()
