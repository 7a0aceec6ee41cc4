r"""
Mean, maximum, or something between?
====================================

:class:`~skasd.detectors.TWFRDetector` pools the frames of a clip into one spectrum, with weights :math:`r^n` in order of
their loudness. With :math:`r = 1` it averages over time, with :math:`r = 0` it takes the maximum. Which is better depends
on how much of the time the machine sounds, which can be set for synthetic machines.
"""

# %%
# What r does to a spectrogram
# ----------------------------
#
# A fan that runs a fifth of the time. In each band the frames are sorted, and with a small :math:`r` the loudest few have
# the most weight: the spectrum changes from that of the background to that of the machine.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from skasd.datasets import make_machine_clips
from skasd.detectors import TWFRDetector
from skasd.features import LogMelTransformer, TWFRTransformer
from skasd.metrics import auc_score

R_VALUES = (1.0, 0.95, 0.8, 0.5)
COLORS = dict(zip(R_VALUES, plt.colormaps["viridis"](np.linspace(0, 0.85, len(R_VALUES))), strict=True))
front_end = LogMelTransformer(n_mels=64, norm=None, mel_scale="htk")


def make_clips(machine_type, duty_cycle, n_train=40, n_test=30):
    """Table of log-mel spectrograms of one machine with its labels; faults are weak on purpose."""
    clips = make_machine_clips(
        machine_type,
        n_train=n_train,
        n_test_normal=n_test,
        n_test_anomaly=n_test,
        duration=2.0,
        duty_cycle=duty_cycle,
        severity=0.7,
        snr_db=12.0,
        random_state=1,
    )
    return front_end.fit_transform(clips.data).drop(columns="waveform"), clips.target


clips, _ = make_clips("fan", duty_cycle=0.2, n_train=1, n_test=0)
log_mel = clips["log_mel"].iloc[0]
spectra = TWFRTransformer(r=R_VALUES).fit_transform(clips).reshape(len(R_VALUES), -1)

figure, (left, middle, right) = plt.subplots(
    1, 3, figsize=(10, 4), sharey=True, layout="constrained", width_ratios=(3, 3, 2.5)
)
limits = {"vmin": np.percentile(log_mel, 5), "vmax": log_mel.max(), "aspect": "auto", "cmap": "magma"}
left.imshow(log_mel, origin="lower", extent=(0, 2, 0, len(log_mel)), **limits)
left.set(title="log-mel spectrogram", xlabel="time (s)", ylabel="band")
middle.imshow(np.sort(log_mel)[:, ::-1], origin="lower", extent=(0, log_mel.shape[1], 0, len(log_mel)), **limits)
middle.set(title="each band sorted", xlabel="rank n of the frame")
for r, spectrum in zip(R_VALUES, spectra, strict=True):
    right.plot(spectrum, np.arange(len(spectrum)) + 0.5, color=COLORS[r], label=f"r = {r:g}")
right.set(title="pooled", xlabel="level (dB)")
right.legend(frameon=False, fontsize=9)
right.spines[["top", "right"]].set_visible(False)
plt.show()

# %%
# Which r finds the faults?
# -------------------------
#
# Two machines, three duty cycles, 40 training clips each. The faults can be heard only while the machine runs.

DUTY_CYCLES = (1.0, 0.3, 0.05)

rows, chosen = [], []
for machine_type in ("fan", "gearbox"):
    for duty_cycle in DUTY_CYCLES:
        X, y = make_clips(machine_type, duty_cycle)
        train = (X["split"] == "train").to_numpy()
        for r in (*R_VALUES, "auto"):
            detector = TWFRDetector(r=r).fit(X[train])
            auc = auc_score(y[~train], detector.score_samples(X[~train]))
            rows.append((machine_type, duty_cycle, str(r), auc))
        chosen.append((machine_type, duty_cycle, *detector.skewness_.values(), *detector.r_.values()))  # of "auto"
results = pd.DataFrame(rows, columns=["machine_type", "duty_cycle", "r", "auc"])
results.pivot_table(index=["machine_type", "duty_cycle"], columns="r", values="auc", sort=False).round(2)

# %%
# Thin lines are single values of :math:`r`, the thick line is ``r="auto"``.

figure, axes = plt.subplots(1, 2, figsize=(9, 4.2), sharey=True, layout="constrained")
for axis, machine_type in zip(axes, ("fan", "gearbox"), strict=True):
    one = results[results["machine_type"] == machine_type].pivot_table(index="duty_cycle", columns="r", values="auc")
    for r in R_VALUES:
        axis.plot(one.index, one[str(r)], "o-", color=COLORS[r], linewidth=1.4, markersize=4, label=f"r = {r:g}")
    axis.plot(one.index, one["auto"], color="#d1495b", linewidth=3.5, alpha=0.75, label='r = "auto"', zorder=1)
    axis.axhline(0.5, color="0.6", linewidth=1, linestyle=":")
    axis.set(title=machine_type, xscale="log", xlabel="share of time with sound", xticks=DUTY_CYCLES)
    axis.set_xticks([], minor=True)
    axis.set_xticklabels([f"{duty_cycle:.0%}" for duty_cycle in DUTY_CYCLES])
    axis.spines[["top", "right"]].set_visible(False)
axes[0].set_ylabel("AUC")
axes[1].legend(frameon=False, fontsize=9)
plt.show()

# %%
# The mean over time is as good as any value for a fan that never stops, and close to chance for a fan that hardly runs.
# ``r="auto"`` is never far from the best value, which matters if there are no faulty clips to choose with. With 30 normal
# and 30 faulty test clips an AUC is uncertain by several hundredths: small differences between the lines mean nothing.
#
# How ``"auto"`` decides
# ----------------------
#
# It looks at the distribution of the levels over time. That of steady noise has a negative skewness, that of short loud
# events a long tail of loud values. Above a skewness of 0.4 the machine counts as impulsive, and the mean over time, which
# is mostly background, is left out. Only normal clips are used.

pd.DataFrame(chosen, columns=["machine_type", "duty_cycle", "skewness", "r"]).round(2)

# %%
# Threshold and false alarm rate
# ------------------------------
#
# A Gaussian over 64 bands fits its training clips much better than new ones. If the threshold were a quantile of the
# training scores, nearly every new clip would be called an anomaly, unless there are many training clips. The detector
# scores each training clip by mixtures of the others, and sets the threshold on these scores. The figure has the false
# alarm rate on 200 new normal clips of a fan.

N_TRAIN = (25, 50, 100, 200, 400)
fan = make_machine_clips("fan", n_train=600, duration=1.0, target_share=0.0, random_state=0, return_X_y=True)[0]
fan = front_end.fit_transform(fan).drop(columns="waveform")
new, rest = fan[:200], fan[200:]

figure, axis = plt.subplots(figsize=(8, 4), layout="constrained")
fitted = [TWFRDetector(contamination=0.1).fit(rest[:n_train]) for n_train in N_TRAIN]
of_detector = [(detector.predict(new) == -1).mean() for detector in fitted]
of_training = [
    (detector.score_samples(new) < np.quantile(detector.score_samples(rest[:n_train]), 0.1)).mean()
    for detector, n_train in zip(fitted, N_TRAIN, strict=True)
]
axis.plot(N_TRAIN, of_training, "o-", color="#d1495b", label="quantile of training scores")
axis.plot(N_TRAIN, of_detector, "o-", color="#1f6f8b", label="contamination=0.1")
axis.axhline(0.1, color="0.5", linestyle=":", label="one in ten")
axis.set(xscale="log", xlabel="training clips", xticks=N_TRAIN, ylabel="false alarm rate", ylim=(0, 1.05))
axis.set_xticks([], minor=True)
axis.set_xticklabels(N_TRAIN)
axis.yaxis.set_major_formatter("{x:.0%}")
axis.legend(frameon=False)
axis.spines[["top", "right"]].set_visible(False)
plt.show()

# %%
# Next step: :doc:`/user_guide/detectors/twfr` has the equations, and the values of :math:`r` that were published for real
# machines.
