"""
How do two microphones help against noise?
==========================================

A second microphone, some way off, hears the hall almost as loudly as the one at the machine, but the machine more
weakly. What both hear alike is noise. ``channel="residual"`` takes it away from the near microphone, in front of any
detector.
"""

# %%
# A fan, and what passes by
# -------------------------
#
# The synthetic fan runs in a hall with steady noise, where other machines start and stop and vehicles pass. The far
# microphone hears the fan 10 dB more weakly than the near one, and everything else about as loudly.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from skasd.datasets import make_machine_clips
from skasd.detectors import StatisticsDetector
from skasd.features import LogMelTransformer
from skasd.metrics import auc_score

DURATION = 4.0
clips = make_machine_clips(
    ("fan", "gearbox"), n_train=30, n_test_normal=20, n_test_anomaly=20, duration=DURATION, snr_db=6.0, event_db=15.0,
    far_db=-10.0, random_state=1,
)  # fmt: skip
clean = make_machine_clips("fan", n_train=1, duration=DURATION, snr_db=np.inf, random_state=1)


def log_mel(table, channel):
    """Spectrogram in dB of the first clip of a table."""
    return LogMelTransformer(n_mels=64, channel=channel).fit_transform(table.iloc[:1])["log_mel"].iloc[0]


first = {
    "near microphone": log_mel(clips.data, 0),
    "far microphone": log_mel(clips.data, 1),
    'channel="residual"': log_mel(clips.data, "residual"),
    "the fan alone": log_mel(clean.data, 0),
}
low, high = np.percentile(first["near microphone"], (1, 99.8))
figure, axes = plt.subplots(2, 2, figsize=(9, 6), sharex=True, sharey=True, layout="constrained")
for axis, (title, levels) in zip(axes.flat, first.items(), strict=True):
    image = axis.imshow(
        levels, origin="lower", aspect="auto", cmap="magma", vmin=low, vmax=high, extent=(0, DURATION, 0, len(levels))
    )
    axis.set_title(title, fontsize=10)
    axis.set(xlabel="time (s)", ylabel="band")
    axis.label_outer()
figure.colorbar(image, ax=axes, label="level (dB)")
plt.show()

# %%
# The events stand out at both microphones. Of the second one, a small rest is left in the residual; where an event covers
# the fan, the fan is lost with it. There is less steady noise too: the bands that the fan does not fill are darker.
#
# What it does for a detector
# ---------------------------
#
# The channel is a parameter of the front end, so the rest of the detector stays as it is.

ways = {"near": 0, "mean": "mean", "residual": "residual"}
train = (clips.data["split"] == "train").to_numpy()
areas = {}
for way, channel in ways.items():
    front_end = LogMelTransformer(norm=None, mel_scale="htk", channel=channel)
    detector = StatisticsDetector(frontend=front_end).fit(clips.data[train])
    score = pd.Series(detector.score_samples(clips.data[~train]))
    machine = clips.data["machine_type"][~train].to_numpy()
    areas[way] = [
        auc_score(clips.target[~train][machine == name], score[machine == name]) for name in ("fan", "gearbox")
    ]

figure, axis = plt.subplots(figsize=(6, 3.5), layout="constrained")
for number, (way, values) in enumerate(areas.items()):
    bars = axis.bar(
        np.arange(2) + 0.27 * (number - 1), values, 0.25, label=way, color=plt.colormaps["viridis"](number / 2.5)
    )
    axis.bar_label(bars, fmt="%.2f", fontsize=9)
axis.set_xticks(range(2), ("fan", "gearbox"))
axis.set(ylim=(0.5, 1.05), ylabel="AUC")
axis.legend(frameon=False, loc="upper left", ncols=3, bbox_to_anchor=(0, 1.15))
axis.spines[["top", "right"]].set_visible(False)
plt.show()

# %%
# The mean of both microphones is no better than the near one alone. How the residual does in lasting noise, without noise,
# and for machines that act intermittently, is measured in :ref:`noise`.
#
# Next step: if there is a single microphone but recordings of the noise alone, use them with
# :class:`~skasd.features.NoiseReducedLogMel`.
