"""
Three odd valves and a normal one
=================================

A story from the factory floor: a valve that opens and closes, recorded for ten seconds at a time. Three recordings raise an
alarm, one does not. What does the detector say about each, and is it in the sound?

With the recordings of DCASE 2023 in the folder that the environment variable ``SKASD_REAL_DATA`` names, this is a real
valve. Without them, a synthetic one takes its place.
"""

# %%
# The recordings
# --------------

import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from skasd.clips import ClipReader
from skasd.datasets import make_machine_clips
from skasd.detectors import StatisticsDetector
from skasd.inspection import AnomalyMapDisplay, explain

folder = Path(os.environ.get("SKASD_REAL_DATA", "nowhere"))
if (folder / "clips.csv").is_file():
    table = pd.read_csv(folder / "clips.csv", dtype=str)
    table = table[table["dataset"] == "valve2023"].assign(path=lambda rows: f"{folder}/" + rows["path"])
    train, test = (table[table["split"] == split] for split in ("train", "test"))
    y_true = np.where(test["label"] == "anomaly", -1, 1)
else:
    clips = make_machine_clips("valve", n_train=60, duration=4.0, severity=1.5, random_state=1)
    is_train = (clips.data["split"] == "train").to_numpy()
    train, test, y_true = clips.data[is_train], clips.data[~is_train], clips.target[~is_train]

detector = StatisticsDetector().fit(train)
scores = -detector.score_samples(test)

# %%
# Three of the anomalies with the largest scores, and the most usual of the normal clips.

odd = np.flatnonzero(y_true == -1)
odd = odd[np.argsort(scores[odd])[::-1]][[0, 1, 2]]
usual = np.flatnonzero(y_true == 1)
chosen = [*odd, usual[np.argmin(scores[usual])]]
story = test.iloc[chosen]
pd.DataFrame({"score": scores[chosen], "threshold": -detector.offset_, "alarm": detector.predict(story) == -1}).round(2)

# %%
# What the detector says
# ----------------------

regions = explain(detector, story, n_regions=2)
for clip, of_clip in regions.groupby("clip"):
    print(f"clip {clip}, score {scores[chosen][clip]:.1f}")
    for sentence in of_clip["sentence"]:
        print("   ", sentence)

# %%
# The shares of the normal clip are shares of a small score: the sentences say what adds to it, not that something is wrong.

AnomalyMapDisplay.from_estimator(detector, story, clip=0)
plt.show()

# %%
# Is it in the sound?
# -------------------
#
# The sentences can be checked without the detector. We filter the waveform to the band that the first sentence of a clip
# names, and compare the energy within the time that it names with that of the normal clip in the same band: the same moment
# means nothing for a valve, so it is compared with the loudest moment of that length.


def waveform_of(row):
    """The waveform of a row of the table."""
    return ClipReader()(story.iloc[row]["path" if "path" in story else "waveform"])


def band_energy(waveform, low_hz, high_hz, rate=16000):
    """Energy over time of a band of a waveform."""
    spectrum = np.fft.rfft(waveform)
    frequency = np.fft.rfftfreq(len(waveform), 1 / rate)
    spectrum[(frequency < low_hz) | (frequency > high_hz)] = 0.0
    return np.square(np.fft.irfft(spectrum, len(waveform)))


lines = []
for clip in range(3):
    first = regions[regions["clip"] == clip].iloc[0]
    start, end = (int(16000 * first[name]) for name in ("start_s", "end_s"))
    here = band_energy(waveform_of(clip), first["low_hz"], first["high_hz"])[start:end].mean()
    normal = np.convolve(
        band_energy(waveform_of(3), first["low_hz"], first["high_hz"])[::16], np.ones(max((end - start) // 16, 1))
    )
    usual_level = normal.max() / max((end - start) // 16, 1)
    said = "louder" if first["level_db"] > 0 else "quieter"
    lines.append({"clip": clip, "said": said, "in the waveform, dB": 10 * np.log10(here / usual_level)})
pd.DataFrame(lines).round(1)

# %%
# A positive number says that the band of this clip has more energy there than the normal clip ever has in as long a time, a
# negative one that it has less.
