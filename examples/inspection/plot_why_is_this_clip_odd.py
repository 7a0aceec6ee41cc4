"""
Why is this clip odd?
=====================

A detector says that a recording is odd. The next question is where: at which moment, at which frequency, and how much louder
or quieter than usual. Two functions answer it: :func:`~skasd.inspection.explain` with a table and a sentence for each place,
and :func:`~skasd.inspection.anomaly_map` with a number for every place of the spectrogram.
"""

# %%
# A slider with a fault
# ---------------------
#
# A synthetic machine is good for a first look, because the truth is known: `return_masks` says where each planted fault can
# be heard. The detector learns from sixty normal clips and knows nothing of faults.

import matplotlib.pyplot as plt
import numpy as np

from skasd.datasets import make_machine_clips
from skasd.detectors import StatisticsDetector
from skasd.inspection import AnomalyMapDisplay, ScoreDisplay, anomaly_map, explain, map_axes

clips = make_machine_clips(
    "slider", n_train=60, n_test_normal=20, n_test_anomaly=20, severity=2.0, return_masks=True, random_state=0
)
is_train = (clips.data["split"] == "train").to_numpy()
detector = StatisticsDetector().fit(clips.data[is_train])
test, y_true = clips.data[~is_train], clips.target[~is_train]

# %%
# First the scores of all test clips, and the threshold of the detector. What lies to the right of the dashed line raises an
# alarm.

ScoreDisplay.from_estimator(detector, test, y_true)
plt.show()

# %%
# One clip
# --------
#
# We take a clip in which the slider squeals. The upper panel is the spectrogram. The middle one is what is left when the
# levels of normal clips are taken away: orange is louder than usual, purple is quieter. The lower panel says how much each
# place adds to the anomaly score, and the frames are the regions that the table below is about.

kinds = clips.anomaly_kind[~is_train]
squealing = int(np.flatnonzero(kinds == "squeal")[0])
AnomalyMapDisplay.from_estimator(detector, test, clip=squealing)
plt.show()

# %%
# The same as a table. `level_db` compares with normal clips, and `level_in_spreads` says how unusual that is, in standard
# deviations from one normal clip to the next.

regions = explain(detector, test.iloc[[squealing]])
regions.drop(columns="sentence").round(2)

# %%
# And in words:

for sentence in regions["sentence"]:
    print(sentence)

# %%
# Is it true?
# -----------
#
# The planted fault is known, so the map can be checked. The mask is brought to the bands and frames of the map, and we look
# where the largest value of the map lies.

axes = map_axes(detector, test)
band = np.abs(clips.mask_frequencies[:, None] - axes.frequencies).argmin(axis=0)
maps = anomaly_map(detector, test)
masks = clips.masks[~is_train][:, band]

figure, panels = plt.subplots(1, 3, figsize=(11, 3.4), sharey=True, layout="constrained")
for panel, kind in zip(panels, ("squeal", "bearing", "missing"), strict=True):
    row = int(np.flatnonzero(kinds == kind)[0])
    extent = (0.0, axes.times[-1] + axes.hop, -0.5, len(band) - 0.5)
    panel.imshow(maps[row], origin="lower", aspect="auto", extent=extent, cmap="viridis")
    panel.contour(masks[row], levels=[0.5], extent=extent, colors="white", linewidths=0.9)
    peak_band, peak_frame = np.unravel_index(maps[row].argmax(), maps[row].shape)
    panel.plot(axes.times[peak_frame] + axes.hop / 2, peak_band, "o", color="#D55E00", markeredgecolor="white")
    panel.set(title=kind, xlabel="time (s)")
panels[0].set_ylabel("band")
plt.show()

# %%
# White lines surround the planted faults, the orange dot is the largest value of the map. A missing stroke is a hard case:
# it cannot be heard, and nothing in the clip says where it should have been. The detector notices that the loud moments are
# fewer, and the map shows what is unusual about the moments that are there.
#
# How often does it point at the fault?

for kind in ("squeal", "bearing", "missing"):
    rows = np.flatnonzero(kinds == kind)
    hits = [masks[row].flat[maps[row].argmax()] for row in rows]
    print(f"{kind}: the largest value lies on the fault in {sum(hits)} of {len(rows)} clips")

# %%
# Next step: :doc:`/user_guide/explanations` says how the map is made, how it was judged, and what it does not say.
