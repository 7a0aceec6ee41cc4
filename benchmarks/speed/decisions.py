"""What a calibration costs: a fit and a score of CalibratedDetector beside those of the detector inside, in one run.

    python benchmarks/speed/decisions.py --out benchmarks/speed/decisions.jsonl

Each row is one JSON line: processor seconds of ours and of the peer, their ratio, versions and machine. The clips are ten
seconds of noise. The peer of a fit is the fit of TWFRDetector less the time in which it scores each clip by the others,
which is what its own threshold takes too. Both sides take turns in one process; figures are medians over rounds.
"""

import argparse
import time
from functools import partial
from pathlib import Path

import numpy as np
from measuring import write

from skasd.decisions import CalibratedDetector
from skasd.detectors import TWFRDetector
from skasd.detectors._spectrum_models import Mixtures


def noise(n_clips):
    return 0.1 * np.random.default_rng(0).standard_normal((n_clips, 160_000), dtype=np.float32)


def seconds(function, repeats=1):
    start = time.process_time()
    for _ in range(repeats):
        function()
    return (time.process_time() - start) / repeats


def fit_without_leaving_out(clips):
    """Processor seconds of a fit of TWFRDetector, less those in which clips are left out."""
    left_out, spent = Mixtures.held_out, []

    def timed(*arguments):
        start = time.process_time()
        scores = left_out(*arguments)
        spent.append(time.process_time() - start)
        return scores

    Mixtures.held_out = timed
    try:
        whole = seconds(lambda: TWFRDetector(n_jobs=1).fit(clips))
    finally:
        Mixtures.held_out = left_out
    return whole - sum(spent)


def one_round(clips):
    """Processor seconds of both sides, ours first, by what they do."""
    plain, calibrated = TWFRDetector(n_jobs=1).fit(clips), CalibratedDetector(TWFRDetector(n_jobs=1))
    fits = seconds(lambda: calibrated.fit(clips)), fit_without_leaving_out(clips)
    many, one = clips[:200], clips[:1]
    peer = seconds(lambda: plain.score_samples(many))
    return {
        "fit": fits,
        "scores of 200 clips": (seconds(lambda: calibrated.score_samples(many)), peer),
        "p-values of 200 clips": (seconds(lambda: calibrated.p_values(many)), peer),
        "score of one clip": tuple(seconds(partial(side.score_samples, one), 50) for side in (calibrated, plain)),
    }


def rows(n_clips, rounds):
    clips = noise(n_clips)
    runs = [one_round(clips) for _ in range(rounds)]
    for what in runs[0]:
        ours, peer = (float(np.median([run[what][side] for run in runs])) for side in (0, 1))
        yield {
            "what": what,
            "ours": "CalibratedDetector of TWFRDetector",
            "peer": "TWFRDetector" if what != "fit" else "TWFRDetector without leaving clips out",
            "ours_s": ours,
            "peer_s": peer,
            "ratio": ours / peer,
            "n_clips": n_clips,
            "rounds": rounds,
        }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n-clips", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    write(rows(arguments.n_clips, arguments.rounds), arguments.out, "scipy", "scikit-learn")
