r"""
From scores to decisions
========================

A score says which of two clips is odder. Whether a clip is odd enough to send somebody takes a threshold, and a threshold
takes a false alarm rate that you accept. `CalibratedDetector` turns the scores of any detector into p-values and decisions.
"""

# %%
# A threshold for each machine
# ----------------------------
#
# Sixty normal clips of a fan and of a valve calibrate the detector. Of new normal clips of each machine, at most 5 % shall
# raise an alarm.

import matplotlib.pyplot as plt
import numpy as np

from skasd.datasets import make_machine_clips
from skasd.decisions import CalibratedDetector, decision_table
from skasd.detectors import TWFRDetector

counts = {"n_train": 60, "n_test_normal": 100, "n_test_anomaly": 20}
clips = make_machine_clips(("fan", "valve"), **counts, duration=2.0, severity=1.5, random_state=0)
is_train = clips.data["split"] == "train"
train, new, y_new = clips.data[is_train], clips.data[~is_train], clips.target[~is_train]

detector = CalibratedDetector(TWFRDetector(), alpha=0.05).fit(train)
print(detector.method_, detector.n_calibration_)

# %%
# Each clip has a score, a p-value and a decision. The p-value is the share of the calibration clips, the new one among them,
# that have as high a score; an alarm is a p-value of at most 0.05.

table = decision_table(detector, new).assign(machine=new["machine_type"], is_normal=y_new == 1)
print(table.head(3)[["machine", "anomaly_score", "threshold", "p_value", "decision"]].round(3).to_string())
alarms = (table["decision"] == "anomaly").groupby([table["machine"], table["is_normal"]]).mean()
print(alarms.unstack().rename(columns={False: "faults found", True: "false alarms"}).round(3).to_string())

# %%
# The clips of the two machines on one scale:

figure, ax = plt.subplots(figsize=(7, 3), layout="constrained")
for row, machine in enumerate(("fan", "valve")):
    for is_normal, marker, colour in ((True, "o", "C0"), (False, "x", "C1")):
        own = table[(table["machine"] == machine) & (table["is_normal"] == is_normal)]
        height = row + (0.15 if is_normal else -0.15) + np.linspace(-0.1, 0.1, len(own))
        label = ("normal" if is_normal else "faulty") if row == 0 else None
        ax.scatter(own["p_value"], height, marker=marker, color=colour, s=18, label=label)
ax.axvline(0.05, color="black", linestyle="--", label="alpha = 0.05")
ax.set(xscale="log", xlabel="p-value", yticks=(0, 1), yticklabels=("fan", "valve"))
ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)

# %%
# Another rate takes no new fit
# -----------------------------
#
# A rate that the number of clips cannot give is refused, with the number that it takes.

detector.set_alpha(0.02)
print("false alarms at 2 %:", (detector.predict(new[y_new == 1]) == -1).mean())
try:
    detector.set_alpha(0.001)
except ValueError as error:
    print(error)

# %%
# Whom to send where this morning
# -------------------------------
#
# With 1 000 normal recordings a day, 5 % are fifty false alarms, and they hide three faults. Instead of a false alarm rate
# for each clip, the *false discovery rate* limits the share of false ones among those that are selected. The smallest
# p-value that 60 calibration clips can give is 1 / 61, so a large batch takes many calibration clips, or many faults, or a
# higher rate.

selected = detector.select(new, fdr=0.2)
print(f"{selected.sum()} clips selected, {(selected & (y_new == 1)).sum()} of them normal")

# %%
# A new machine
# -------------
#
# With fewer than twenty calibration clips, decisions are provisional: there is no p-value, and a robust z-score decides. New
# normal clips complete the calibration.

few = CalibratedDetector(TWFRDetector(), group_columns=()).fit(train[train["machine_type"] == "fan"][:12])
print("provisional:", few.is_provisional_, few.p_values(new[:2]))
few.calibrate(train[train["machine_type"] == "fan"][12:30])
print("provisional:", few.is_provisional_, few.p_values(new[:2]).round(3))
