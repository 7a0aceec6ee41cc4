"""An epoch with spectrum augmentation against an epoch of the plain log-mel network, in one run.

    python benchmarks/speed/augmentation.py --out benchmarks/speed/augmentation.jsonl

Each row is one JSON line: seconds of an epoch of ours and of the plain network, their ratio, peak memory, versions and
machine. The plain network is `OSSCLDetector` on log-mels of whole clips. It is compared with itself with an augmentation and
its resize crop, with `ContrastiveSpectrumDetector` and that, two views of a segment of 64 frames of each clip, and with two
views of whole clips, where the network has twice as much to see. Sides take turns, each in a process of its own; figures are
medians over rounds.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from measuring import in_process, peak_bytes, write
from training import clips, table

N_CLASSES, BATCH, EPOCHS = 4, 64, 3


def detector_of(side):
    from skasd.augmentations import SpectrumAugmentation
    from skasd.detectors import ContrastiveSpectrumDetector, OSSCLDetector
    from skasd.objectives import SegmentNetOptions

    shared = {"max_epochs": EPOCHS, "batch_size": BATCH, "random_state": 0, "device": "cpu"}
    if side == "plain":
        return OSSCLDetector(("log_mel",), **shared)
    if side == "augmented":
        return OSSCLDetector(("log_mel",), augmentation=SpectrumAugmentation(resize_crop=True), **shared)
    network = SegmentNetOptions(segment_length=None) if side == "two views of whole clips" else None
    return ContrastiveSpectrumDetector(SpectrumAugmentation(resize_crop=True), network=network, **shared)


def measured(side, n_clips):
    """Seconds of an epoch, the first left out, and the peak of memory."""
    waveforms, label = clips(n_clips)
    detector = detector_of(side).fit(table(waveforms, label % N_CLASSES))
    seconds = float(np.median([epoch["dur"] for epoch in detector.history_[1:]]))
    return {"epoch": seconds, "peak": peak_bytes()}


SIDES = ("plain", "augmented", "two views of segments", "two views of whole clips")


def rows(n_clips, rounds):
    runs = [{side: in_process(__file__, side, n_clips) for side in SIDES} for _ in range(rounds)]
    median = {
        side: {name: float(np.median([run[side][name] for run in runs])) for name in ("epoch", "peak")}
        for side in SIDES
    }
    for side in SIDES[1:]:
        yield {
            "what": "epoch",
            "ours": side,
            "peer": "plain",
            "unit": "s",
            "ours_seconds": median[side]["epoch"],
            "peer_seconds": median["plain"]["epoch"],
            "ratio": median[side]["epoch"] / median["plain"]["epoch"],
            "ours_peak_bytes": median[side]["peak"],
            "peer_peak_bytes": median["plain"]["peak"],
            "n_clips": n_clips,
            "rounds": rounds,
        }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="file to append the JSON lines to")
    parser.add_argument("--clips", type=int, default=128, help="clips of ten seconds")
    parser.add_argument("--rounds", type=int, default=2, help="processes of each side")
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        side, n_clips = arguments.worker
        print(json.dumps(measured(side, int(n_clips))))
        return
    write(rows(arguments.clips, arguments.rounds), arguments.out, "skorch")


if __name__ == "__main__":
    main()
