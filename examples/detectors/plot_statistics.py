r"""
What does the detector to start with compare?
=============================================

:class:`~skasd.detectors.StatisticsDetector` finds out from normal clips whether a machine sounds steadily, intermittently or
in short clicks, and compares other statistics for each. This example shows the three kinds, and what happens with the
statistics of another kind.
"""

# %%
# Three machines over time
# ------------------------
#
# A fan that runs all the time, a slider that moves and stops, and a gearbox that turns for a hundredth of the time only. The
# *spread* is the distance of the loud 2 % from the quiet quarter of the time; the *peak* is how far the
# loudest moment is above the loud 2 %.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from skasd.datasets import make_machine_clips
from skasd.detectors import StatisticsDetector
from skasd.features import LogMelTransformer
from skasd.metrics import auc_score

MACHINES = {
    "fan": {"duty_cycle": 1.0, "snr_db": 6.0},
    "slider": {"duty_cycle": 0.4, "snr_db": 6.0},
    "gearbox": {"duty_cycle": 0.01, "snr_db": 25.0},
}
COLORS = {"fan": "#1f6f8b", "slider": "#e0a030", "gearbox": "#d1495b"}
front_end = LogMelTransformer(norm=None, mel_scale="htk")


def make_clips(machine_type, **options):
    """Table of log-mel spectrograms of one machine with its labels; faults are weak on purpose."""
    clips = make_machine_clips(
        machine_type,
        n_train=40,
        n_test_normal=30,
        n_test_anomaly=30,
        duration=5.0,
        severity=0.8,
        random_state=0,
        **options,
    )
    return front_end.fit_transform(clips.data).drop(columns="waveform"), clips.target


clips = {machine: make_clips(machine, **options) for machine, options in MACHINES.items()}
detector = StatisticsDetector().fit(pd.concat([table[table["split"] == "train"] for table, _ in clips.values()]))

figure, axes = plt.subplots(1, 3, figsize=(10, 3), sharey=True, layout="constrained")
for axis, (machine, (table, _)) in zip(axes, clips.items(), strict=True):
    power = (10 ** (table["log_mel"].iloc[0] / 10)).sum(axis=0)
    level = 10 * np.log10(power / power.max())
    seconds = np.arange(len(level)) * front_end.hop_length / front_end.sample_rate
    axis.plot(seconds, level, color=COLORS[machine], linewidth=1)
    name = f"{machine}/00"
    axis.set_title(
        f"{machine}: {detector.regime_[name]}\nspread {detector.spread_[name]:.1f} dB, peak {detector.peak_[name]:.1f} dB",
        fontsize=10,
    )
    axis.set_xlabel("time (s)")
    axis.spines[["top", "right"]].set_visible(False)
axes[0].set_ylabel("level (dB)")
plt.show()

# %%
# Statistics of another kind of machine
# -------------------------------------
#
# The AUC of each machine with the experts of each regime. "auto" takes the one that the normal clips ask for, without a
# look at any fault; it need not be the best on every machine.

experts_of = {detector.regime_[name]: experts for name, experts in detector.experts_.items()}
rows = []
for machine, (table, target) in clips.items():
    train = (table["split"] == "train").to_numpy()
    for regime, experts in experts_of.items():
        fitted = StatisticsDetector(experts).fit(table[train])
        area = auc_score(target[~train], fitted.score_samples(table[~train]))
        rows.append({"machine": machine, "experts": regime, "AUC": area})
areas = pd.DataFrame(rows).pivot_table(index="machine", columns="experts", values="AUC", sort=False)
areas.round(3)

# %%

figure, axis = plt.subplots(figsize=(7, 3), layout="constrained")
for row, machine in enumerate(MACHINES):
    for regime, marker in zip(experts_of, ("o", "s", "^"), strict=True):
        is_chosen = detector.regime_[f"{machine}/00"] == regime
        axis.plot(
            areas.loc[machine, regime],
            row,
            marker,
            markersize=9,
            color=COLORS[machine] if is_chosen else "none",
            markeredgecolor=COLORS[machine],
            label=regime if row == 0 else None,
        )
axis.set(yticks=range(len(MACHINES)), yticklabels=MACHINES, xlabel="AUC (filled: chosen by auto)", xlim=(0.45, 1.01))
axis.axvline(0.5, color="0.6", linewidth=0.8, linestyle=":")
axis.margins(y=0.25)
axis.spines[["top", "right"]].set_visible(False)
legend = axis.legend(frameon=False, loc="upper left", title="experts")
for handle in legend.legend_handles:
    handle.set(markerfacecolor="none", markeredgecolor="0.3")
plt.show()

# %%
# Next step: :ref:`statistics` has the formulas, and what the detector reaches on real machines.
