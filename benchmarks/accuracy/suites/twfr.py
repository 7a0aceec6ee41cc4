"""Which pooling over time: fixed r, and rules that choose r from normal clips alone.

Synthetic machines of known duty cycle, with three seeds; and real recordings, with the split of the data set and with five
random draws of as many normal clips to train on.
"""

from itertools import product
from pathlib import Path
from runpy import run_path

import numpy as np
from sklearn.base import BaseEstimator, OutlierMixin

from skasd.benchmark import Entry, Suite
from skasd.detectors import TWFRDetector
from skasd.metrics import auc_score

shared = run_path(str(Path(__file__).with_name("recordings.py")))

REAL = {"valve2023": shared["VALVE"], "toycar2020_logmel": shared["TOYCAR"]}
SYNTHETIC = {
    "kind": "synthetic",
    "machine_types": shared["MACHINES"][:5],
    "n_train": 60,
    "n_test_normal": 40,
    "n_test_anomaly": 40,
    "duration": 4.0,
    "severity": 0.7,
    "random_state": "seed",
    "seeds": (101, 102, 103),
}
DATA = {}
for name, clips in REAL.items():
    DATA[f"{name}, its split"] = {**clips, "seeds": (0,)}
    DATA[f"{name}, random draws"] = {**clips, "draw": True, "seeds": (0, 1, 2, 3, 4)}
for snr_db, duty_cycle in product((6.0, 15.0), (0.05, 0.1, 0.2, 0.4, 0.7, 1.0)):
    options = {"duty_cycle": duty_cycle, "snr_db": snr_db}
    DATA[f"synthetic, duty cycle {duty_cycle}, {snr_db:g} dB"] = {**SYNTHETIC, **options, "tags": options}
GRID = (1.0, 0.95, 0.9, 0.8, 0.7, 0.5, 0.46, 0.0)


class ChosenTWFR(OutlierMixin, BaseEstimator):
    """TWFRDetector with one r for each machine, chosen by its normal clips."""

    def __init__(self, rule, random_state=None):
        self.rule = rule
        self.random_state = random_state

    def fit(self, X, y=None):
        self.detectors_ = {}
        for machine, clips in X.groupby(["machine_type", "section"]):
            r = by_skewness(clips) if self.rule == "skewness" else by_proxy(clips, self.random_state)
            self.detectors_[machine] = TWFRDetector(r=r).fit(clips)
        return self

    def score_samples(self, X):
        score = np.empty(len(X))
        for machine, rows in X.groupby(["machine_type", "section"]).indices.items():
            score[rows] = self.detectors_[machine].score_samples(X.iloc[rows])
        return score


def by_skewness(clips):
    """0.5 where loud frames are rare, else 1."""
    (skewness,) = TWFRDetector(r=1.0).fit(clips).skewness_.values()
    return 0.5 if skewness > 0.4 else 1.0


def by_proxy(clips, seed):
    """The r that best tells held-out normal clips from the same with a band changed, in all frames or in the loud ones."""
    rng, train = np.random.default_rng(seed), np.stack(clips["log_mel"])
    half = rng.permutation(len(train))
    learnt, held_out = train[half[::2]], train[half[1::2]]
    both = np.concatenate([held_out, np.stack([perturbed(clip, rng) for clip in held_out])])
    labels = np.repeat([1, -1], len(held_out))
    areas = [auc_score(labels, TWFRDetector(r=r).fit(learnt).score_samples(both)) for r in GRID]
    return GRID[int(np.argmax(areas))]


def perturbed(clip, rng):
    width = rng.integers(8, 40)
    low = rng.integers(0, len(clip) - width)
    share = rng.choice([0.05, 0.2, 1.0])
    level = clip[low : low + width].mean(axis=0)
    loud = level >= np.quantile(level, 1 - share)
    clip = clip.copy()
    clip[low : low + width, loud] += rng.choice([-1, 1]) * 2.0 / np.sqrt(max(share, 0.2))
    return clip


RULES = {
    **{f"r={r:g}": TWFRDetector(r=r) for r in GRID},
    "combined": TWFRDetector(r=(1.0, 0.95, 0.8, 0.5)),
    "skewness": ChosenTWFR("skewness"),
    "proxy": ChosenTWFR("proxy"),
    "auto": TWFRDetector(),
}

suite = Suite("twfr", DATA, {rule: Entry(detector, features=shared["MEL"]) for rule, detector in RULES.items()})
