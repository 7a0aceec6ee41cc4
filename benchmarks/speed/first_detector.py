"""StatisticsDetector against TWFRDetector: a fit of many clips, and the score of one and of many, in one run.

    python benchmarks/speed/first_detector.py --out benchmarks/speed/first_detector.jsonl

Each row is one JSON line: seconds of ours and of the peer, their ratio, versions and machine. The clips are ten seconds of
noise that sounds steadily, now and then, or in clicks, so that each regime has its turn. Both sides take turns in one
process; figures are medians over rounds.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from measuring import write

from skasd.detectors import StatisticsDetector, TWFRDetector

SIDES = {"StatisticsDetector": StatisticsDetector, "TWFRDetector": TWFRDetector}
N_SECONDS, SAMPLE_RATE, N_SCORED = 10, 16000, 200
CLICK = {"steady": 0, "intermittent": 9000, "impulsive": 500}  # time points


def noise(kind, n_clips):
    """Clips of noise; other than steady ones are 26 dB louder in five bursts."""
    rng = np.random.default_rng(0)
    clips = 0.1 * rng.standard_normal((n_clips, N_SECONDS * SAMPLE_RATE), dtype=np.float32)
    if kind != "steady":
        gain = np.full_like(clips, 0.05)
        for row in gain:
            for start in rng.integers(0, len(row) - CLICK[kind], 5):
                row[start : start + CLICK[kind]] = 1
        clips *= gain
    return clips


def seconds(function, repeats=1):
    start = time.perf_counter()
    for _ in range(repeats):
        function()
    return (time.perf_counter() - start) / repeats


def measured(side, clips):
    detector = SIDES[side]()
    fit = seconds(lambda: detector.fit(clips))
    one = seconds(lambda: detector.score_samples(clips[:1]), repeats=20)
    many = seconds(lambda: detector.score_samples(clips[:N_SCORED])) / N_SCORED
    return {"fit": fit, "score of one clip": one, "score of a clip among many": many}


def rows(n_clips, rounds):
    for kind in CLICK:
        clips = noise(kind, n_clips)
        runs = [{side: measured(side, clips) for side in SIDES} for _ in range(rounds)]
        for what in runs[0]["TWFRDetector"]:
            ours, peer = (float(np.median([run[side][what] for run in runs])) for side in SIDES)
            yield {
                "what": what,
                "sound": kind,
                "ours": "StatisticsDetector",
                "peer": "TWFRDetector",
                "unit": "s",
                "ours_seconds": ours,
                "peer_seconds": peer,
                "ratio": ours / peer,
                "n_clips": n_clips,
                "rounds": rounds,
            }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n-clips", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    write(rows(arguments.n_clips, arguments.rounds), arguments.out, "scipy", "scikit-learn")
