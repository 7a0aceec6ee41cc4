"""
Which number is the AUC? Official, pooled and worst section
===========================================================

A detector has scored two machine types with three sections each. There are several ways to compute its AUC, and this
example compares them.
"""

# %%
# Scores of a detector
# --------------------
# Each section is a different machine. The scores of each section of the fan have a different level, and the third section
# of both machine types is harder than the others. Higher scores mean more normal, as in ``score_samples`` of a detector.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

rng = np.random.default_rng(0)
cells = [
    (machine_type, section, y)
    for machine_type in ("fan", "valve")
    for section in ("00", "01", "02")
    for y in [1] * 100 + [-1] * 100
]
table = pd.DataFrame(cells, columns=["machine_type", "section", "y"])
y_true = table.pop("y").to_numpy()
level = table["section"].map({"00": 0.0, "01": 2.0, "02": 1.0}) * (table["machine_type"] == "fan")
distance = table["section"].map({"00": 2.0, "01": 2.0, "02": 0.5})
score_samples = rng.normal(level + distance * y_true / 2)

# %%
# One ROC curve per section
# -------------------------
# All summaries start from a table with one row per machine type and section.

from skasd.metrics import score_table

score_table(y_true, score_samples, table)

# %%
# Three summaries
# ---------------
# *Official* is the mean over sections, *pooled* uses one ROC curve over all sections of a machine type, and *worst section*
# is the lowest value among the sections. The valve has the same level in all sections, so pooling does not lower its AUC.
# The levels of the fan differ, and pooling compares clips of one section with those of another.

from skasd.metrics import summary_table

summary = summary_table(y_true, score_samples, table, year=2020).set_index("machine_type")
columns = ["auc_official", "auc_pooled", "auc_worst_section"]
summary[columns].round(3)

# %%
axes = summary[columns].plot.bar(rot=0, ylim=(0.5, 1), ylabel="AUC", xlabel="", figsize=(7, 3.5))
axes.legend(["official", "pooled", "worst section"], ncols=3, loc="upper center")
axes.set_title("The same scores, three numbers")
plt.show()

# %%
# Why pooling differs
# -------------------
# For the fan, normal clips of the section with the lowest level score below anomalies of the section with the highest level.

figure, axes = plt.subplots(2, 1, sharex=True, figsize=(7, 4), layout="constrained")
for axis, machine_type in zip(axes, ("fan", "valve"), strict=True):
    for position, section in enumerate(("00", "01", "02")):
        for label, color, shift in ((1, "tab:blue", 0.1), (-1, "tab:red", -0.1)):
            rows = (table["machine_type"] == machine_type) & (table["section"] == section) & (y_true == label)
            axis.plot(score_samples[rows], np.full(rows.sum(), position + shift), "|", color=color, alpha=0.6)
    axis.set(yticks=range(3), yticklabels=["00", "01", "02"], ylabel=f"{machine_type}, section")
axes[1].set_xlabel("score, high = normal (blue: normal clips, red: anomalies)")
plt.show()

# %%
# Bootstrap intervals
# -------------------
# The bootstrap resamples the clips within every section and class. If the interval is wider than the difference between
# two detectors, the test clips do not tell them apart.

from functools import partial

from skasd.metrics import aggregate_score, bootstrap_interval

intervals = {
    aggregation: bootstrap_interval(
        partial(aggregate_score, aggregation=aggregation), y_true, score_samples, table, n_resamples=200, random_state=0
    )
    for aggregation in ("official", "pooled", "worst_section")
}
pd.DataFrame(intervals, index=["estimate", "low", "high", "standard_error"]).T.round(3)

# %%
# Next step
# ---------
# The same aggregations can select hyperparameters: pass ``make_clip_scorer("auc", aggregation="worst_section")`` as
# ``scoring=`` of a grid search.
