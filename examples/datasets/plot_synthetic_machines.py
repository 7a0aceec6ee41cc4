"""
What do the synthetic machines sound like?
==========================================

Recordings of broken machines are rare, and nobody knows how broken the machine was. Synthetic clips solve both problems:
the same second of the same machine can be healthy, a little worn, or about to fail. This example shows the default
machines of :func:`skasd.datasets.make_machine_clips` with and without a fault, and the effect of the duty cycle.
"""

# %%
# The result is a clip table with one row per clip. The text in ``attributes`` describes the operating state.

import matplotlib.pyplot as plt
import numpy as np
from scipy import signal

from skasd.datasets import make_machine_clips

clips = make_machine_clips(n_train=2, n_test_normal=1, n_test_anomaly=1, random_state=0)
clips.data.drop(columns="waveform").assign(target=clips.target, anomaly_kind=clips.anomaly_kind).head(8)

# %%
# Healthy and faulty
# ------------------
#
# At severity 0 an anomalous clip is the same as a normal one, and the seed fixes everything but the strength of the fault.
# Two calls therefore give the same clip without and with its fault. Severity 3 makes the faults easier to see than the
# default of 1.

SAMPLE_RATE = 16_000
FAULTS = {"fan": "imbalance", "pump": "leak", "slider": "missing", "valve": "squeal", "gearbox": "bearing"}


def one_anomaly(machine_type, severity):
    """Waveform of one anomalous clip of four seconds."""
    table, _ = make_machine_clips(
        machine_type,
        n_train=0,
        n_test_normal=0,
        n_test_anomaly=1,
        duration=4.0,
        anomalies=(FAULTS[machine_type],),
        severity=severity,
        return_X_y=True,
        random_state=2,
    )
    return table["waveform"].iloc[0]


def draw_spectrogram(axis, waveform, title):
    """Power in dB over time (s) and frequency (kHz)."""
    frequency, time, power = signal.spectrogram(waveform, SAMPLE_RATE, nperseg=1024, noverlap=768)
    level = 10 * np.log10(power + 1e-12)
    axis.pcolormesh(time, frequency / 1000, level, vmin=-95, vmax=-45, cmap="magma", rasterized=True)
    axis.set(title=title, yscale="symlog", ylim=(0, 8), yticks=[0, 1, 2, 4, 8], yticklabels=[0, 1, 2, 4, 8])


figure, axes = plt.subplots(len(FAULTS), 2, figsize=(9, 11), sharex=True, sharey=True, layout="constrained")
for row, (machine_type, kind) in zip(axes, FAULTS.items(), strict=True):
    draw_spectrogram(row[0], one_anomaly(machine_type, severity=0.0), f"{machine_type}, healthy")
    draw_spectrogram(row[1], one_anomaly(machine_type, severity=3.0), f"{machine_type}, {kind}")
    row[0].set_ylabel("frequency (kHz)")
for axis in axes[-1]:
    axis.set_xlabel("time (s)")
plt.show()

# %%
# The imbalance of the fan is a line at the very bottom, at the rotation frequency of its shaft. The leak of the pump is a
# band of hiss. The slider misses strokes. The valve squeals while it is open. The worn bearing of the gearbox adds impacts
# near its resonance, too fast for a spectrogram to show them one by one.
#
# Duty cycle
# ----------
#
# Fans never stop, while valves rarely sound. This determines whether a detector should average the frames of a clip or use
# only the loudest ones. ``duty_cycle`` sets the share of the time in which a machine sounds, and ``snr_db`` sets the level
# of that sound above the background.

figure, axes = plt.subplots(3, 1, figsize=(9, 5), sharex=True, sharey=True, layout="constrained")
for axis, duty_cycle in zip(axes, (1.0, 0.5, 0.1), strict=True):
    table, _ = make_machine_clips(
        "fan", n_train=1, duration=4.0, duty_cycle=duty_cycle, snr_db=15.0, return_X_y=True, random_state=0
    )
    waveform = table["waveform"].iloc[0]
    axis.plot(np.arange(len(waveform)) / SAMPLE_RATE, waveform, linewidth=0.3)
    axis.set(title=f"a fan that sounds {duty_cycle:.0%} of the time", ylabel="amplitude")
axes[-1].set_xlabel("time (s)")
plt.show()

# %%
# Next step: sort the frames of a spectrogram by level, pool them with weights :math:`r^n`, and find the :math:`r` that
# detects the anomalies best at each duty cycle.
