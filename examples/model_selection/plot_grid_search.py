"""
Choose features by grid search
==============================

How many mel bands are best, and does a median filter help? scikit-learn's grid search answers such questions; only
the splitter and the scorer are specific to anomaly detection.
"""

# %%
# Clips
# -----
# The data are clips of synthetic machines in a clip table, one row per clip. The target is +1 for normal clips and -1
# for anomalies. Some clips are held out before the search.

from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline

from skasd.datasets import make_machine_clips
from skasd.detectors import TWFRDetector
from skasd.features import LogMelTransformer, MedianFilter
from skasd.metrics import auc_scorer, partial_auc_scorer
from skasd.model_selection import NormalOnlySplit

clips = make_machine_clips(("fan", "valve"), n_train=30, random_state=0)
kind = clips.data["machine_type"] + clips.target.astype(str)
X, X_unseen, y, y_unseen = train_test_split(clips.data, clips.target, test_size=0.4, stratify=kind, random_state=0)
X.groupby("machine_type").size()

# %%
# Search
# ------
# Each fold of :class:`~skasd.model_selection.NormalOnlySplit` trains on normal clips and tests on held-out normal
# clips and anomalies of every machine type. The scorer reads the machine type and section of each clip from the table
# and computes one ROC curve per section. A step of the pipeline can be disabled with ``"passthrough"``.

model = make_pipeline(LogMelTransformer(), MedianFilter(), TWFRDetector())
search = GridSearchCV(
    model,
    {"logmeltransformer__n_mels": [32, 128], "medianfilter": [MedianFilter(), "passthrough"]},
    scoring={"auc": auc_scorer, "pauc": partial_auc_scorer},
    refit="pauc",
    cv=NormalOnlySplit(n_splits=3, random_state=0),
    error_score="raise",
).fit(X, y)

# %%
# Result
# ------
# The standard deviation over folds indicates which differences are meaningful.

import pandas as pd

results = pd.DataFrame(search.cv_results_)
results = results.sort_values("rank_test_pauc")
results[["param_logmeltransformer__n_mels", "param_medianfilter", "mean_test_auc", "mean_test_pauc", "std_test_pauc"]]

# %%
import matplotlib.pyplot as plt

names = [
    f"{n_mels} bands, {'no filter' if isinstance(step, str) else 'median filter'}"
    for n_mels, step in zip(results["param_logmeltransformer__n_mels"], results["param_medianfilter"], strict=True)
]
figure, axis = plt.subplots(figsize=(7, 3), layout="constrained")
axis.errorbar(results["mean_test_pauc"], names, xerr=results["std_test_pauc"], fmt="o")
axis.set(xlabel="pAUC, mean and standard deviation over folds", title="Four choices of features")
axis.invert_yaxis()
plt.show()

# %%
# Evaluation on held-out clips
# ----------------------------
# The features were selected on the anomalies of the folds, so the best score of the search is too optimistic. The
# score on the held-out clips is unbiased.

pd.Series({"pAUC in the search": search.best_score_, "pAUC of held-out clips": search.score(X_unseen, y_unseen)}).round(
    3
)

# %%
# Next step
# ---------
# For data sets of the challenge, ``cv=DCASESplit()`` uses their predefined split.
