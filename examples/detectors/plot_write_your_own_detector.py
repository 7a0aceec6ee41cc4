r"""
Write your own detector
=======================

A detector of skasd is a class with three methods: ``__init__``, ``_fit`` and ``_anomaly_score``. The base class adds
everything else: ``fit``, ``score_samples``, ``predict``, the threshold, and clips in any container. This example has a
complete detector in twenty lines, and compares it with :class:`~skasd.detectors.TWFRDetector`.
"""

# %%
# The detector
# ------------
#
# The idea: a fault changes the level of some bands, on average or in the loud frames. So each clip becomes a vector with the
# mean and the 95 % quantile of the level of each band, and its anomaly score is the squared Mahalanobis distance from normal
# clips. The covariance is that of Ledoit and Wolf in scikit-learn, which is made for few clips and many bands.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.covariance import LedoitWolf
from sklearn.model_selection import KFold

from skasd.base import BaseDetector, NormalScores
from skasd.datasets import make_machine_clips
from skasd.detectors import TWFRDetector
from skasd.features import LogMelTransformer
from skasd.metrics import auc_score


class BandLevelDetector(BaseDetector):
    """Mahalanobis distance of the levels of a clip from those of normal clips."""

    def __init__(self, contamination="auto", threshold="quantile"):
        self.contamination = contamination
        self.threshold = threshold

    def _fit(self, clips):
        levels = self._levels(clips)
        self.covariance_ = LedoitWolf().fit(levels)
        folds = KFold(max(2, min(5, len(levels)))).split(levels)
        held_out = [LedoitWolf().fit(levels[rest]).mahalanobis(levels[fold]) for rest, fold in folds]
        return NormalScores(np.concatenate(held_out))

    def _anomaly_score(self, clips):
        return self.covariance_.mahalanobis(self._levels(clips))

    def _levels(self, clips):
        return np.array(list(LogMelTransformer(n_mels=64).map(clips, self._of_clip)))

    @staticmethod
    def _of_clip(log_mel):
        return np.concatenate([log_mel.mean(axis=1), np.quantile(log_mel, 0.95, axis=1)])


# %%
# - ``__init__`` only stores its parameters; ``contamination`` and ``threshold`` are those of every detector.
# - ``_fit`` gets the normal clips. What it learns goes into attributes that end in an underscore. It may return the scores
#   of clips that it did not learn from, as ``NormalScores``: the threshold is set on these. Without them it is set on the
#   training clips, which score far better than new clips if there are only a few.
# - ``_anomaly_score`` returns one number per clip, **high for anomalies**. The base class turns the sign for
#   ``score_samples``, where high is normal.
# - ``map`` of a transformer reads waveforms and files in parallel and computes their spectrograms; features are used as
#   they are.
#
# Is it an estimator?
# -------------------
#
# scikit-learn has common checks for estimators. ``check_estimator`` runs all of them, and raises an error at the first that
# fails. They use other labels than +1 and -1 and few clips, of which ``fit`` warns.

import warnings

from sklearn.utils.estimator_checks import check_estimator

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", message="y contains labels other than|Few normal clips")
    results = check_estimator(BandLevelDetector(), on_skip=None)
pd.Series([result["status"] for result in results]).value_counts()

# %%
# Is it any good?
# ---------------
#
# Five synthetic machines with weak faults, 40 normal clips of each to learn from.

MACHINES = ("fan", "pump", "gearbox", "slider", "valve")
areas, false_alarms = pd.DataFrame(index=MACHINES), pd.DataFrame(index=MACHINES)
for machine in MACHINES:
    clips = make_machine_clips(
        machine, n_train=40, n_test_normal=30, n_test_anomaly=30, duration=2.0, severity=0.7, random_state=0
    )
    train = (clips.data["split"] == "train").to_numpy()
    for detector in (BandLevelDetector(), TWFRDetector()):
        decision = detector.fit(clips.data[train]).decision_function(clips.data[~train])
        areas.loc[machine, type(detector).__name__] = auc_score(clips.target[~train], decision)
        false_alarms.loc[machine, type(detector).__name__] = (decision[clips.target[~train] == 1] < 0).mean()
print(f"AUC\n{areas.round(2)}\n\nfalse alarm rate\n{false_alarms.round(2)}")

# %%
figure, axis = plt.subplots(figsize=(8, 3.6), layout="constrained")
areas.plot.bar(ax=axis, rot=0, color=["#e08e1b", "#1f6f8b"], width=0.7)
axis.axhline(0.5, color="0.4", linestyle=":", linewidth=1)
axis.set(ylabel="AUC", ylim=(0, 1.05))
axis.legend(frameon=False, ncols=2, loc="upper center", bbox_to_anchor=(0.5, 1.15))
axis.spines[["top", "right"]].set_visible(False)
plt.show()

# %%
# Twenty lines are enough to compete with :class:`~skasd.detectors.TWFRDetector` on these machines. With 30 normal and 30
# faulty test clips an AUC is uncertain by several hundredths, and synthetic machines prove nothing about real ones: measure
# on recordings of your own.
#
# Next step: :doc:`/user_guide/write_your_own` says which files to touch when a detector, a loss, a front end or a back end
# becomes a part of the package.
