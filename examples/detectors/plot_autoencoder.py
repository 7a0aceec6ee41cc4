r"""
What does an autoencoder leave unexplained?
===========================================

:class:`~skasd.detectors.AutoencoderDetector`, the baseline of every challenge, reconstructs a few frames from eight numbers.
This example shows its reconstruction of a gearbox with a fault, and why it matters how the residual is measured.
"""

# %%
# One autoencoder, trained on normal sound
# ----------------------------------------
#
# Thirty-six normal recordings of a gearbox, a quarter of which are the validation set. A coarse spectrogram and eight epochs
# keep this page fast.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch

from skasd.datasets import make_machine_clips
from skasd.detectors import AutoencoderDetector
from skasd.features import LogMelTransformer
from skasd.metrics import auc_score
from skasd.training import TrainingOptions

front_end = LogMelTransformer(n_mels=64)
clips = make_machine_clips(
    "gearbox", n_train=36, n_test_normal=30, n_test_anomaly=30, duration=2.0, severity=1.5, random_state=0
)
table = front_end.fit_transform(clips.data).drop(columns="waveform")
is_test = (table["split"] == "test").to_numpy()
train, test, y_test = table[~is_test], table[is_test], clips.target[is_test]
settings = {"max_epochs": 8, "training": TrainingOptions(validation_fraction=0.25), "random_state": 0}
detector = AutoencoderDetector("mahalanobis", shrinkage=1e-3, **settings).fit(train)
history = detector.histories_["gearbox"]
first, last = (history[epoch]["valid_loss"] for epoch in (0, -1))
print(f"mean squared error of the validation set: {first:.1f} after one epoch, {last:.1f} at the end")

# %%
# The residual
# ------------
#
# Every frame is part of five patches; the figure shows the middle frame of each patch. The network has learnt the steady
# lines of the gears. The residual is the noise, which cannot be predicted, and what is new.

network = detector.networks_["gearbox"]


def reproduced(log_mel):
    """Middle frames of the reconstructions of a clip, of shape (n_mels, n_frames - 4)."""
    patches = np.lib.stride_tricks.sliding_window_view(log_mel, 5, axis=1)  # (n_mels, n_patches, 5)
    patches = torch.from_numpy(np.ascontiguousarray(patches.transpose(1, 2, 0))).flatten(1)
    with torch.no_grad():
        return network(patches).view(-1, 5, len(log_mel))[:, 2].numpy().T


examples = {"normal": test["log_mel"][y_test == 1].iloc[0], "with a fault": test["log_mel"][y_test == -1].iloc[0]}
figure, axes = plt.subplots(2, 3, figsize=(10, 5), sharex=True, sharey=True, layout="constrained")
levels = {"aspect": "auto", "origin": "lower", "cmap": "magma", "vmin": -60, "vmax": 10}
differences = {"aspect": "auto", "origin": "lower", "cmap": "RdBu_r", "vmin": -25, "vmax": 25}
for row, (name, log_mel) in zip(axes, examples.items(), strict=True):
    shown, made = log_mel[:, 2:-2], reproduced(log_mel)
    row[0].imshow(shown, **levels)
    image = row[1].imshow(made, **levels)
    difference = row[2].imshow(shown - made, **differences)
    row[0].set_ylabel(f"{name}\nband")
for ax, title in zip(axes[0], ("log-mel", "reconstruction", "residual"), strict=True):
    ax.set_title(title)
figure.colorbar(image, ax=axes[:, :2], label="dB")
figure.colorbar(difference, ax=axes[:, 2], label="dB")
figure.supxlabel("frame")
plt.show()

# %%
# How to measure it
# -----------------
#
# The mean squared error gives every band the same weight, so the bands that vary most in normal sound dominate it. The
# Mahalanobis distance divides by this variation. It has two forms: the distance of the mean residual of the clip, which the
# code of the baselines computes, and the mean distance of the frames, which their paper describes.

forms = {
    "squared error": AutoencoderDetector("mse", **settings).fit(train),
    "Mahalanobis, mean of the clip": detector,
    "Mahalanobis, every frame": AutoencoderDetector("mahalanobis", shrinkage=1e-3, residual="frame", **settings).fit(
        train
    ),
}
areas = {}
figure, axes = plt.subplots(1, 3, figsize=(10, 3), layout="constrained")
for ax, (name, fitted) in zip(axes, forms.items(), strict=True):
    score = -fitted.score_samples(test)
    areas[name] = auc_score(y_test, -score)
    bins = np.linspace(score.min(), score.max(), 15)
    ax.hist(
        [score[y_test == 1], score[y_test == -1]], bins, label=["normal", "with a fault"], color=["tab:blue", "tab:red"]
    )
    ax.set(title=f"{name}\nAUC {areas[name]:.2f}", xlabel="anomaly score")
axes[0].set_ylabel("clips")
axes[0].legend()
plt.show()
print(pd.Series(areas).round(2))

# %%
# One machine and one seed prove nothing about the three scores. Compare with :class:`~skasd.detectors.TWFRDetector`, and see
# the :ref:`guide <autoencoder>` for the equations.
