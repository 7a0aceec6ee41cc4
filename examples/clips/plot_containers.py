"""
Does it matter what holds the clips?
====================================

No. Waveforms in an array, features in an array, a list of files and a clip table all give the same scores, because one
function turns each of them into clips. What differs is what each can say *beside* the sound.
"""

# %%
# The same clips four times
# -------------------------
#
# One synthetic pump, 60 clips to learn from and 20 to score. The files hold 32-bit floats, so that nothing is rounded on
# the way through the disk.

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
front_end = LogMelTransformer(norm=None, mel_scale="htk")  # the one that TWFRDetector has by default
features = front_end.fit_transform(waveforms)  # (n_clips, n_mels, n_frames)
waveforms.shape, features.shape

# %%
# A detector is fitted and asked for scores in each of the four ways. Paths are an array here so that they can be
# selected by a mask; a list does as well.

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
# One figure
# ----------
#
# Each ring is a container: where they are all drawn around one another, they agree.

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
# What only a table can do
# ------------------------
#
# The table also says which machine each clip belongs to. With it one detector holds a model for every machine, and
# train-test splits, pipelines and grid searches carry that knowledge along. Arrays and paths have no such column: their
# clips are taken as one machine.

detector = TWFRDetector().fit(table[train])
list(detector.mixtures_)

# %%
# Next step: :doc:`/user_guide/clips` lists what a clip may look like, and what the messages say when it does not.
