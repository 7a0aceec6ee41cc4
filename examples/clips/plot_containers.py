"""
Arrays, files and clip tables give the same scores
==================================================

Waveforms in an array, features in an array, a list of files and a clip table all give the same scores, because every
estimator converts them to the same clips. They differ only in the metadata that they can hold.
"""

# %%
# The same clips in four containers
# ---------------------------------
#
# The clips are of one synthetic pump: 60 for training and 20 for testing. The files store 32-bit floats, so that writing
# and reading them rounds nothing.

from pathlib import Path
from tempfile import TemporaryDirectory

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy.io import wavfile

from skasd.datasets import make_machine_clips
from skasd.detectors import TWFRDetector
from skasd.features import LogMelTransformer

clips = make_machine_clips("pump", n_train=60, n_test_normal=10, n_test_anomaly=10, random_state=0)
train = (clips.data["split"] == "train").to_numpy()

table = clips.data
waveforms = np.stack(table["waveform"])  # (n_clips, n_timepoints)
front_end = LogMelTransformer(norm=None, mel_scale="htk")  # the default of TWFRDetector
features = front_end.fit_transform(waveforms)  # (n_clips, n_mels, n_frames)
waveforms.shape, features.shape

# %%
# For each container, a detector is fitted and computes scores. Paths are in an array here so that a mask can select them; a
# list works as well.

scores = {}
with TemporaryDirectory() as folder:
    paths = np.array([str(Path(folder, f"{number:03d}.wav")) for number in range(len(table))])
    for path, waveform in zip(paths, waveforms, strict=True):
        wavfile.write(path, 16_000, waveform)
    containers = {"waveforms": waveforms, "features": features, "paths": paths, "clip table": table}
    for name, X in containers.items():
        scores[name] = TWFRDetector().fit(X[train]).score_samples(X[~train])

scores = pd.DataFrame(scores)
scores.sub(scores["waveforms"], axis=0).abs().max().rename("largest difference")

# %%
# Scores of all containers
# ------------------------
#
# Each ring belongs to one container. Concentric rings show that all containers give the same score.

figure, axis = plt.subplots(figsize=(8, 4), layout="constrained")
styles = {"waveforms": 16, "features": 11, "paths": 6.5, "clip table": 2.5}
for (name, size), color in zip(styles.items(), ("#1f6f8b", "#edae49", "#66a182", "#d1495b"), strict=True):
    axis.plot(scores[name], "o", markersize=size, color=color, fillstyle="none", markeredgewidth=1.8, label=name)
axis.axvline(9.5, color="0.6", linewidth=1)
axis.text(9.3, axis.get_ylim()[0], "normal ", ha="right", va="bottom", color="0.4")
axis.text(9.7, axis.get_ylim()[0], " anomaly", ha="left", va="bottom", color="0.4")
axis.set(xlabel="test clip", ylabel="score_samples (high = normal)", xticks=range(0, 20, 2))
axis.legend(frameon=False, loc="lower left")
axis.spines[["top", "right"]].set_visible(False)
plt.show()

# %%
# Metadata in a clip table
# ------------------------
#
# The table also holds the machine of each clip. One detector can then fit a model for every machine, and train-test
# splits, pipelines and grid searches keep the metadata with the clips. Arrays and paths have no such columns, so their
# clips are treated as one machine.

detector = TWFRDetector().fit(table[train])
list(detector.mixtures_)

# %%
# Next step: :doc:`/user_guide/clips` describes the accepted kinds of clips and the error messages.
