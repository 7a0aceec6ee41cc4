"""
Choose hyperparameters without anomalies
========================================

If no fault has been recorded yet, synthetic faults can be made out of normal clips. Are they good enough to choose a
hyperparameter?
"""

# %%
# Synthetic faults
# ----------------
# The kinds are a boosted frequency band, clicks, an added sound of another machine, and a change of tempo.

import matplotlib.pyplot as plt

from skasd.datasets import make_machine_clips
from skasd.features import LogMelTransformer
from skasd.model_selection import make_proxy_anomalies

clips = make_machine_clips(
    ("fan", "valve"), n_train=24, n_test_normal=30, n_test_anomaly=30, duration=2.0, random_state=0
)
is_train = (clips.data["split"] == "train").to_numpy()
normal = clips.data[is_train]
kinds = ("band_gain", "clicks", "mix", "stretch")
figure, axes = plt.subplots(2, 5, figsize=(12, 4.5), sharex=True, sharey=True, layout="constrained")
shown = normal.groupby("machine_type").head(1)  # one fan, one valve
versions = {"normal": shown} | {kind: make_proxy_anomalies(shown, kind, random_state=0) for kind in kinds}
for column, (name, table) in zip(axes.T, versions.items(), strict=True):
    spectrograms = LogMelTransformer(n_mels=64).fit_transform(table)["log_mel"]
    for axis, machine, spectrogram in zip(column, shown["machine_type"], spectrograms, strict=True):
        top = spectrogram.max()
        axis.imshow(spectrogram, origin="lower", aspect="auto", vmin=top - 60, vmax=top, cmap="magma")
        axis.set_title(f"{machine}: {name}", fontsize=9)
for axis in axes[-1]:
    axis.set_xlabel("frame")
for axis in axes[:, 0]:
    axis.set_ylabel("mel band")
plt.show()

# %%
# Grid search with synthetic faults
# ---------------------------------
# :class:`~skasd.model_selection.ProxyAnomalySplit` splits the normal clips, and
# :class:`~skasd.model_selection.ProxyAnomalyScorer` measures how well a detector separates the held-out normal clips
# from synthetic faults made of them. Should the spectrogram of a clip be pooled over time by its mean (``r=1``) or by
# its loud frames?

from sklearn.model_selection import GridSearchCV

from skasd.detectors import TWFRDetector
from skasd.model_selection import ProxyAnomalyScorer, ProxyAnomalySplit

settings = [0.0, 0.5, 0.9, 1.0]
scorers = {kind: ProxyAnomalyScorer((kind,), severity=0.5) for kind in kinds}
search = GridSearchCV(
    TWFRDetector(), {"r": settings}, scoring=scorers, refit=False, cv=ProxyAnomalySplit(2, random_state=0)
).fit(normal)

# %%
# Comparison with real anomalies
# ------------------------------
# Here the real anomalies are available too. No kind of proxy represents all faults: clicks favour loud frames, and
# lasting faults favour the mean.

from skasd.metrics import aggregate_score

test, y_true = clips.data[~is_train], clips.target[~is_train]
truth = [aggregate_score(y_true, TWFRDetector(r=r).fit(normal).score_samples(test), test) for r in settings]
figure, axis = plt.subplots(figsize=(7, 3.5), layout="constrained")
for kind in kinds:
    axis.plot(settings, search.cv_results_[f"mean_test_{kind}"], "o-", label=f"proxies: {kind}", linewidth=1)
axis.plot(settings, truth, "ks-", label="real anomalies", linewidth=2)
axis.set(xlabel="r", ylabel="AUC", title="AUC over r for each kind of fault")
axis.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.01, 0.5))
plt.show()

# %%
# Next step
# ---------
# Use proxies that resemble the faults you expect; :ref:`model_selection` shows how reliable they were.
