r"""
Four scores of one network
==========================

:class:`~skasd.detectors.JointAECNNDetector` learns to tell the sections of a machine type apart, two seconds at a time,
while an autoencoder reconstructs the same patches. It can score clips in four ways, which do not find the same faults.
"""

# %%
# Three fans
# ----------
#
# Forty normal recordings of each. A narrow network, a coarse spectrogram and few epochs keep this page fast; the defaults
# are those of the published system.

import matplotlib.pyplot as plt
import pandas as pd
from sklearn.decomposition import PCA

from skasd.datasets import make_machine_clips
from skasd.detectors import JointAECNNDetector
from skasd.features import LogMelTransformer
from skasd.metrics import auc_score
from skasd.objectives import JointNetOptions, PatchOptions

clips = make_machine_clips(
    "fan", n_sections=3, n_train=40, n_test_normal=20, n_test_anomaly=20, duration=2.0, severity=2.0, random_state=0
)
table = LogMelTransformer(n_mels=32, norm=None, mel_scale="htk", top_db=120.0).fit_transform(clips.data)
table = table.drop(columns="waveform")
is_test = (table["split"] == "test").to_numpy()
train, test, y_test = table[~is_test], table[is_test], clips.target[is_test]
settings = {
    "network": JointNetOptions(width=0.25),
    "patches": PatchOptions(length=32, step=32),
    "max_epochs": 8,
    "score_with": "embedding",
    "batch_size": 16,
    "learning_rate": 3e-3,
    "random_state": 0,
}
detector = JointAECNNDetector(**settings).fit(train)
print("classes:", ", ".join(detector.classes_))
pd.DataFrame(detector.history_)[["epoch", "train_loss"]].round(2)

# %%
# What the network sees
# ---------------------
#
# The features of each clip, averaged over its patches, in the plane of their first two principal components. The sections
# are separated, because the network was trained to do that. A fault is found only if it moves a clip away from its section.

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
# Four scores
# -----------
#
# ``"label"`` is the odds against the section that the table names, ``"predicted"`` the odds against the section that fits
# best, ``"embedding"`` the distance to the nearest normal clips of the same machine, and ``"reconstruction"`` the error of
# the autoencoder. ``score_with`` can be changed after ``fit``, so one training is enough.

areas = {}
figure, axes = plt.subplots(1, 4, figsize=(11, 3), layout="constrained")
for ax, score_with in zip(axes, ("label", "predicted", "embedding", "reconstruction"), strict=True):
    anomaly = -detector.set_params(score_with=score_with).score_samples(test)
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
# These fans differ in their speed and their resonances, which a fault does not change. The classifier may ignore everything
# else, the autoencoder may not. The :ref:`guide <joint_ae_cnn>` has results on real machines.
