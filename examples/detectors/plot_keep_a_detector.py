r"""
Fit once, score every morning
=============================

A detector is fitted on Monday and kept in a model file. Every morning another process loads the file and scores the
recordings of the night. On Thursday the pump begins to fail.
"""

# %%
# Monday: fit and save
# --------------------
#
# Sixty normal recordings of a pump are enough for a false alarm rate of 2 %. A model file holds numbers and names, and
# nothing in it is ever run, unlike in a pickle.

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import skasd
from skasd.datasets import make_machine_clips
from skasd.detectors import TWFRDetector
from skasd.persistence import describe

DAYS = ("Tue", "Wed", "Thu", "Fri", "Sat")
pump = {"duration": 2.0, "random_state": 0}
clips = make_machine_clips("pump", n_train=60, n_test_normal=50, n_test_anomaly=0, **pump).data
folder = tempfile.TemporaryDirectory()
file = Path(folder.name, "pump.skasd")

detector = TWFRDetector(contamination=0.02).fit(np.stack(clips[clips["split"] == "train"]["waveform"]))
skasd.save(detector, file)

# %%
# What the file says of itself
# ----------------------------
#
# ``skasd show pump.skasd`` prints the same on the command line.

about = describe(file)
print(f"{about['estimator']} with r={about['parameters']['r']}, {file.stat().st_size / 1024:.0f} KiB")
print(f"fitted on {about['training']['n_clips']} clips, saved by skasd {about['versions']['skasd']}")
print(f"fingerprint of the clips {about['training']['fingerprint'][:16]} ...")

# %%
# Every morning: load and score
# -----------------------------
#
# The loaded detector gives the scores of the one that was saved, bit for bit. Ten recordings a night are scored. From
# Thursday on some of them are faulty, more and more.

normal = clips[clips["split"] == "test"]["waveform"].to_list()
faults = [
    make_machine_clips("pump", n_train=0, n_test_normal=0, n_test_anomaly=10, severity=severity, **pump).data[
        "waveform"
    ]
    for severity in (1.0, 2.0, 4.0)
]
nights = [normal[10 * day : 10 * day + 10] for day in range(5)]
for night, fault, n_faulty in zip(nights[2:], faults, (3, 6, 9), strict=True):
    night[:n_faulty] = list(fault)[:n_faulty]

loaded = skasd.load(file)
scores = np.array([-loaded.score_samples(np.stack(night)) for night in nights])
print("equal to the detector that was saved:", bool((scores[0] == -detector.score_samples(np.stack(nights[0]))).all()))
for day, score in zip(DAYS, scores, strict=True):
    print(day, "alarms:", int((score > -loaded.offset_).sum()), "of", len(score))

# %%
# A week of scores
# ----------------
#
# Each dot is a recording; those above the threshold are alarms. A single one on a quiet day is what a false alarm rate of
# 2 % allows.

figure, axes = plt.subplots(figsize=(8, 4), layout="constrained")
for number, (day, score) in enumerate(zip(DAYS, scores, strict=True)):
    is_alarm = score > -loaded.offset_
    place = number + np.linspace(-0.25, 0.25, len(score))
    axes.scatter(place[~is_alarm], score[~is_alarm], color="tab:blue", label="no alarm" if number == 0 else None)
    axes.scatter(
        place[is_alarm], score[is_alarm], color="tab:orange", marker="^", label="alarm" if day == DAYS[-1] else None
    )
axes.axhline(-loaded.offset_, color="black", linestyle="--", label="threshold")
axes.set_yscale("symlog", linthresh=5)
axes.set(xticks=range(len(DAYS)), xticklabels=DAYS, ylabel="anomaly score", title="Recordings of five nights")
axes.legend()
folder.cleanup()
