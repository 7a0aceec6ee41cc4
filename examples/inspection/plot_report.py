r"""
A page to look at and to listen to
==================================

Tuesday's recordings of a pump and a fan become one HTML page, with a player for each, the spectrogram, what the detector
found odd, and a normal recording to compare with by ear.
"""

# %%
# Recordings of two machines
# --------------------------
#
# A detector is fitted to normal recordings. Of the new ones, some have a fault.

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from skasd.datasets import make_machine_clips
from skasd.detectors import TWFRDetector
from skasd.inspection import explain
from skasd.report import write_report

clips = make_machine_clips(
    ("fan", "pump"), n_train=30, n_test_normal=4, n_test_anomaly=3, duration=3.0, random_state=0
).data
normal, new = clips[clips["split"] == "train"], clips[clips["split"] == "test"]
detector = TWFRDetector().fit(normal)

# %%
# The page
# --------
#
# One call scores the clips, explains them, and writes a file that any browser opens, without a network. The normal clips
# are there to be heard beside the new ones. ``skasd explain`` does the same for a model file and a folder of recordings.

folder = tempfile.TemporaryDirectory()
file = write_report(detector, new, Path(folder.name, "tuesday.html"), normal=normal, title="Hall 2, Tuesday")
print(f"{file.name}: {len(new)} clips, {file.stat().st_size / 2**20:.1f} MiB")

# %%
# What it says of the most anomalous clips
# ----------------------------------------
#
# The sentences on the page are those of :func:`skasd.inspection.explain`.

scores = -detector.score_samples(new)
most = np.argsort(-scores)[:3]
regions = explain(detector, new.iloc[most], n_regions=1)
for position, sentence in zip(most[regions["clip"]], regions["sentence"], strict=True):
    print(f"clip {position}, a {new['machine_type'].iloc[position]}, score {scores[position]:.1f}. {sentence}")

# %%
# Its histogram
# -------------
#
# The page draws one for each machine: new clips above the axis, and below it the normal clips that set the threshold.

figure, panels = plt.subplots(1, 2, figsize=(9, 3), layout="constrained", sharey=True)
for axes, machine in zip(panels, ("fan", "pump"), strict=True):
    own, is_alarm = (new["machine_type"] == machine).to_numpy(), scores > -detector.offset_
    axes.hist([scores[own & ~is_alarm], scores[own & is_alarm]], bins=15, stacked=True, label=["normal", "anomaly"])
    axes.axvline(-detector.offset_, color="black", linestyle="--", label="threshold")
    axes.set(title=machine, xlabel="anomaly score")
panels[0].set_ylabel("clips")
panels[1].legend()
folder.cleanup()
