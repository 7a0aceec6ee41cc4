"""
When does a median filter help?
===============================

Factories are noisy: somebody drops a tool while a fan is recorded. A running median over the frames of each band
keeps lasting sounds and removes short ones. That helps for machines that hum, but removes the sound of machines that
click.
"""

# %%
# A fan and a dropped tool
# ------------------------
#
# The impact is 60 ms of noise. It has nothing to do with the fan, but makes the clip look anomalous. The filter works
# on the ``log_mel`` column of a clip table or on an array of features.

import matplotlib.pyplot as plt
import numpy as np

from skasd.datasets import make_machine_clips
from skasd.features import LogMelTransformer, MedianFilter

SAMPLE_RATE, DURATION = 16_000, 4.0
front_end = LogMelTransformer(n_mels=64, hop_length=256)


def one_clip(machine_type):
    """Clip table with one normal clip of four seconds."""
    clips, _ = make_machine_clips(
        machine_type, n_train=1, n_test_normal=0, n_test_anomaly=0, duration=DURATION, snr_db=15.0, return_X_y=True,
        random_state=0,
    )  # fmt: skip
    return clips


def with_impact(clips, at, length=0.06):
    """Clip table with a burst of noise added at `at` seconds."""
    waveform = clips["waveform"].iloc[0].copy()
    start, n_timepoints = int(at * SAMPLE_RATE), int(length * SAMPLE_RATE)
    noise = np.random.default_rng(0).normal(size=n_timepoints) * np.hanning(n_timepoints)
    waveform[start : start + n_timepoints] += 3.0 * waveform.std() * noise
    return clips.assign(waveform=[waveform])


def draw(axis, log_mel, title):
    """Plot the level in dB over time (s) and band."""
    low, high = np.percentile(log_mel, (2, 99.8))
    axis.imshow(
        log_mel, origin="lower", aspect="auto", cmap="magma", vmin=low, vmax=high, extent=(0, DURATION, 0, len(log_mel))
    )
    axis.set_title(title, fontsize=10)
    axis.set(xlabel="time (s)", ylabel="band")


fan = front_end.fit_transform(with_impact(one_clip("fan"), at=1.5))
valve = front_end.fit_transform(one_clip("valve"))

figure, axes = plt.subplots(2, 2, figsize=(9, 6), sharex=True, sharey=True, layout="constrained")
for row, (name, table) in zip(axes, {"fan and impact": fan, "valve": valve}.items(), strict=True):
    draw(row[0], table["log_mel"].iloc[0], name)
    draw(row[1], MedianFilter(size=31).fit_transform(table)["log_mel"].iloc[0], f"{name}, median of 31 frames")
for axis in axes.flat:
    axis.label_outer()
plt.show()

# %%
# The impact is gone, and the fan is unchanged except for its noise. The valve is gone as well, because its strokes
# are shorter than half the window.
#
# How short is too short?
# -----------------------
#
# An event is removed if it is shorter than half of the window. The plot shows the level of one band for several
# window sizes. The impact covers five frames, because neighbouring frames overlap.

log_mel = fan["log_mel"].to_list()
band = 50
sizes = (1, 5, 11, 31)
time = np.arange(log_mel[0].shape[1]) * front_end.hop_length / SAMPLE_RATE

figure, axis = plt.subplots(figsize=(8, 4), layout="constrained")
for size, color in zip(sizes, plt.colormaps["viridis"](np.linspace(0, 0.85, len(sizes))), strict=True):
    filtered = MedianFilter(size=size).fit_transform(np.stack(log_mel))[0, band]
    axis.plot(time, filtered, color=color, linewidth=1.6, label="not filtered" if size == 1 else f"size={size}")
axis.set(xlim=(1.0, 2.0), xlabel="time (s)", ylabel=f"level of band {band} (dB)")
axis.legend(frameon=False)
axis.spines[["top", "right"]].set_visible(False)
axis.grid(alpha=0.3)
plt.show()

# %%
# A window of five frames leaves some of the impact, one of eleven nothing. With a hop of 16 ms, 31 frames are half a
# second, so events shorter than a quarter of a second are removed. Use the filter if the machine runs continuously
# and the background noise does not; do not use it for valves, sliders and presses.
#
# Next step: compare the AUC of ``make_pipeline(LogMelTransformer(), MedianFilter(), TWFRDetector())`` on your own
# clips with and without the filter; :ref:`sphx_glr_auto_examples_detectors_plot_twfr.py` does so for another setting.
