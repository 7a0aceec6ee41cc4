"""
How do I detect anomalous machine sounds?
=========================================

Fit a detector on recordings of normal operation, then score new recordings. This example uses five synthetic machines
with 50 normal training clips each; half of the test clips are normal, half are anomalous. The detector sees no
anomaly before the test.
"""

# %%
# From clips to scores
# --------------------
#
# ``clips.data`` is a table with one row per clip; ``clips.target`` is +1 for a normal clip and -1 for an anomaly. The
# table contains the machine of each clip, so a single :class:`~skasd.detectors.StatisticsDetector` fits one model per
# machine.

import matplotlib.pyplot as plt
import numpy as np

from skasd.datasets import make_machine_clips
from skasd.detectors import StatisticsDetector
from skasd.metrics import score_table

clips = make_machine_clips(
    n_train=50, n_test_normal=30, n_test_anomaly=30, duration=4.0, target_share=0.0, random_state=0
)
train = clips.data["split"] == "train"
test, y_test = clips.data[~train], clips.target[~train]

detector = StatisticsDetector().fit(clips.data[train])
scores = detector.score_samples(test)
score_table(y_test, scores, test).drop(columns=["auc_source", "auc_target"]).round(3)

# %%
# The AUC is the probability that a normal clip has a higher score than an anomalous one: 1 is perfect, 0.5 is chance.
#
# Distribution of the scores
# --------------------------
#
# High scores are normal. Each dot is a test clip. The axis is linear between -3 and 3 and logarithmic beyond, because
# some faults are very loud.

figure, axis = plt.subplots(figsize=(8, 4.5), layout="constrained")
machines = test["machine_type"].unique()
for label, name, color, shift in ((1, "normal", "#1f6f8b", -0.17), (-1, "anomaly", "#d1495b", 0.17)):
    for row, machine in enumerate(machines):
        chosen = scores[(y_test == label) & (test["machine_type"] == machine)]
        height = row + shift + 0.12 * np.sin(7.0 * np.arange(len(chosen)))  # so that dots do not overlap
        axis.scatter(chosen, height, s=22, color=color, alpha=0.6, linewidth=0, label=name if row == 0 else None)
axis.set(yticks=range(len(machines)), yticklabels=machines, xlabel="score_samples (high = normal)")
axis.set_xscale("symlog", linthresh=3)
axis.set_xticks([-100, -30, -10, -3, 0, 3], ["-100", "-30", "-10", "-3", "0", "3"])
axis.minorticks_off()
axis.invert_yaxis()
axis.legend(loc="lower right", frameon=False)
axis.spines[["top", "right"]].set_visible(False)
axis.grid(axis="x", alpha=0.3)
plt.show()

# %%
# Next step: :ref:`sphx_glr_auto_examples_detectors_plot_statistics.py` shows what the detector compares;
# :doc:`/user_guide/getting_started` does the same with a folder of wav files.
