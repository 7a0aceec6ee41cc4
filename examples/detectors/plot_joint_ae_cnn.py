r"""
Four scores of one network
==========================

:class:`~skasd.detectors.JointAECNNDetector` learns to tell sections of a machine type apart, two seconds at a time, while an
autoencoder reproduces the same patches. What it has learnt can be asked in four ways, and they do not find the same faults.
"""

# %%
# Three fans
# ----------
#
# Forty recordings of each in good order. A narrow network on a coarse spectrogram and a few passes keep this page fast; the
# defaults are the published system.

import matplotlib.pyplot as plt
import pandas as pd
from sklearn.decomposition import PCA

from skasd.datasets import make_machine_clips
from skasd.detectors import JointAECNNDetector
from skasd.features import LogMelTransformer
from skasd.metrics import auc_score
from skasd.objectives import JointNetOptions, PatchOptions

clips = make_machine_clips(
    "fan", n_sections=3, n_train=40, n_test_normal=30, n_test_anomaly=30, duration=2.0, severity=2.0, random_state=0
)
table = LogMelTransformer(n_mels=32, norm=None, mel_scale="htk", top_db=120.0).fit_transform(clips.data)
table = table.drop(columns="waveform")
is_test = (table["split"] == "test").to_numpy()
train, test, y_test = table[~is_test], table[is_test], clips.target[is_test]
settings = {
    "network": JointNetOptions(width=0.25),
    "patches": PatchOptions(length=32, step=16),
    "max_epochs": 8,
    "batch_size": 16,
    "learning_rate": 3e-3,
    "random_state": 0,
}
detector = JointAECNNDetector(score_with="label", **settings).fit(train)
print("classes:", ", ".join(detector.classes_))
pd.DataFrame(detector.history_)[["epoch", "train_loss"]].round(2)

# %%
# What the network sees
# ---------------------
#
# The features of each clip, means over its patches, in their two main directions. Sections part, for that is what they
# were trained for. A fault is found by them only where it moves a clip away from its own section.

is_normal = y_test == 1
position = PCA(2).fit(detector.transform(train)).transform(detector.transform(test))
figure, ax = plt.subplots(figsize=(6, 4.5), layout="constrained")
for index, section in enumerate(sorted(test["section"].unique())):
    of_section = (test["section"] == section).to_numpy()
    for normal, marker in ((True, "o"), (False, "x")):
        shown = position[of_section & (is_normal == normal)]
        label = f"section {section}, {'normal' if normal else 'with a fault'}"
        ax.scatter(*shown.T, color=f"C{index}", marker=marker, alpha=0.7, label=label)
ax.set(xlabel="first principal component", ylabel="second principal component")
ax.legend(fontsize="small")
plt.show()

# %%
# Four ways to ask
# ----------------
#
# ``"label"`` is the odds against the section that the table names, ``"predicted"`` against the one that fits best,
# ``"embedding"`` the distance to the nearest normal clips of the same machine, and ``"reconstruction"`` the error of the
# autoencoder. Each is a score of the same network here, since the seed is the same.

detectors = {"label": detector}
for score_with in ("predicted", "embedding", "reconstruction"):
    detectors[score_with] = JointAECNNDetector(score_with=score_with, **settings).fit(train)
areas = {}
figure, axes = plt.subplots(1, 4, figsize=(11, 3), layout="constrained")
for ax, (score_with, fitted) in zip(axes, detectors.items(), strict=True):
    anomaly = -fitted.score_samples(test)
    areas[score_with] = auc_score(y_test, -anomaly)
    ax.hist(
        [anomaly[is_normal], anomaly[~is_normal]], 15, label=["normal", "with a fault"], color=["tab:blue", "tab:red"]
    )
    ax.set(title=f"{score_with}\nAUC {areas[score_with]:.2f}", xlabel="anomaly score")
axes[0].set_ylabel("clips")
axes[0].legend()
plt.show()
print(pd.Series(areas).round(2))

# %%
# These fans differ by their speed and their resonances, which no fault touches: the classifier may forget what a fault
# changes, and the autoencoder may not. The :ref:`guide <joint_ae_cnn>` has real machines.
