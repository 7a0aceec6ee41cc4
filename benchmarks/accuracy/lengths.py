"""False alarms of normal clips of other lengths than the training clips, before and after windows and their calibration.

Trains on synthetic clips of ten seconds, and counts the alarms of new normal clips of 2 to 70 seconds at the 10 %
threshold, three times: "whole" is the score of the clip as it is, as before; "largest" that of the loudest window; "windows"
what the detector does. One JSON line for each detector, machine and seed; lines that are there are not computed again.

    python benchmarks/accuracy/lengths.py benchmarks/accuracy/results/lengths/results.jsonl

tables.py makes the table of the guide from them.
"""

import argparse
import json
import warnings
from pathlib import Path

import pandas as pd
from stamp import stamp

from skasd.base import BaseDetector
from skasd.datasets import make_machine_clips
from skasd.detectors import AutoencoderDetector, StatClusterDetector, TWFRDetector
from skasd.objectives import MobileFaceNetOptions
from skasd.training import TrainingOptions

LENGTHS = (2, 5, 7, 8, 10, 20, 70)
NETWORK = MobileFaceNetOptions(bottlenecks=((1, 16, 1, 2),), embedding_dim=16)
HELD_OUT = TrainingOptions(validation_fraction=0.3)
DETECTORS = {
    "TWFR": lambda seed: TWFRDetector(n_jobs=1),
    "AE": lambda seed: AutoencoderDetector(max_epochs=3, random_state=seed, device="cpu", n_jobs=1, training=HELD_OUT),
    "StatCluster": lambda seed: StatClusterDetector(
        branches=("log_mel",),
        network=NETWORK,
        max_epochs=3,
        score_with="embedding",
        random_state=seed,
        device="cpu",
        n_jobs=1,
        training=HELD_OUT,
    ),
}


def normal_clips(machine: str, seconds: int, n_train: int, n_new: int, seed: int) -> pd.DataFrame:
    """Normal clips of one machine, which is the same for every seed."""
    made = make_machine_clips(
        machine,
        n_train=n_train,
        n_test_normal=n_new,
        n_test_anomaly=0,
        duration=float(seconds),
        random_state=seed,
    )
    return made.data[["waveform"]]


def alarms(detector: BaseDetector, clips: pd.DataFrame) -> dict[str, float]:
    """Share of alarms of the clips as they are, by their largest window, and as the detector decides."""
    windows = (detector.predict(clips) == -1).mean()
    training_length, held_out = detector._training_length, detector._held_out_scores
    detector._held_out_scores = None
    largest = (detector.predict(clips) == -1).mean()
    detector._training_length = None
    whole = (detector.predict(clips) == -1).mean()
    detector._training_length, detector._held_out_scores = training_length, held_out
    return {"whole": float(whole), "largest": float(largest), "windows": float(windows)}


def run(name: str, machine: str, seed: int, n_train: int, n_new: int) -> dict:
    detector = DETECTORS[name](seed).fit(normal_clips(machine, 10, n_train, 0, seed))
    line = {"detector": name, "machine": machine, "seed": seed, "n_train": n_train, "n_new": n_new}
    for seconds in LENGTHS:
        line[f"{seconds} s"] = alarms(detector, normal_clips(machine, seconds, 0, n_new, seed))
    return line


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--detectors", nargs="*", default=list(DETECTORS))
    parser.add_argument("--machines", nargs="*", default=["fan", "pump", "gearbox"])
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--n-train", type=int, default=100)
    parser.add_argument("--n-new", type=int, default=40)
    options = parser.parse_args()
    warnings.filterwarnings("ignore", message=".* much shorter")
    lines = options.out.read_text().splitlines() if options.out.exists() else []
    done = {
        tuple(json.loads(line)[key] for key in ("detector", "machine", "seed", "n_train", "n_new")) for line in lines
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    for name in options.detectors:
        for machine in options.machines:
            for seed in range(options.seeds):
                if (name, machine, seed, options.n_train, options.n_new) in done:
                    continue
                with options.out.open("a") as file:
                    result = run(name, machine, seed, options.n_train, options.n_new)
                    file.write(json.dumps(result | stamp()) + "\n")


if __name__ == "__main__":
    main()
