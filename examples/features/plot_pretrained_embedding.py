"""
Detecting faults with an encoder that is not trained
====================================================

:class:`~skasd.features.PretrainedEmbedding` turns clips into embeddings with an encoder that you bring, and a
nearest-neighbour back end compares them with those of normal clips. Nothing is trained. Here the encoder is a bank of
fixed filters, built in place, so that the example needs no weights; a network that was trained on many sounds takes its
place in the same way.
"""

# %%
# An encoder
# ----------
#
# An encoder is a function, or a torch module, from waveforms of shape (n_windows, n_timepoints) to outputs of shape
# (n_windows, n_frames, n_values). This one has 64 filters from 100 Hz to 7 kHz, each a short wave under a bell-shaped
# window. Its output is the logarithm of the power of each filter, in frames of 64 ms.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from sklearn.pipeline import make_pipeline
from torch import nn

from skasd.datasets import make_machine_clips
from skasd.detectors import TWFRDetector
from skasd.features import PretrainedEmbedding
from skasd.metrics import auc_score
from skasd.scoring import ScaledKNNScorer


class FilterBank(nn.Module):
    """Log power of 64 fixed filters: waveforms (n_windows, n_timepoints) to (n_windows, n_frames, 64)."""

    sample_rate = 16_000

    def __init__(self, n_filters=64, length=1024, hop_length=512):
        super().__init__()
        time = torch.arange(length) / self.sample_rate
        frequencies = torch.logspace(np.log10(100), np.log10(7000), n_filters)[:, None]
        window = torch.hann_window(length)
        waves = [window * wave(2 * torch.pi * frequencies * time) for wave in (torch.cos, torch.sin)]
        self.register_buffer("filters", torch.cat(waves)[:, None] / window.sum())
        self.hop_length = hop_length

    def forward(self, waveforms):
        """Power of each filter is that of a cosine and a sine together."""
        parts = nn.functional.conv1d(waveforms[:, None], self.filters, stride=self.hop_length)
        cosine, sine = parts.chunk(2, dim=1)
        return torch.log(cosine.square() + sine.square() + 1e-10).transpose(1, 2)


# %%
# Clips of three machines
# -----------------------
#
# The fan and the gearbox sound all the time, the valve in short strokes. Most normal clips are from the source domain,
# and a few from a target domain.

data = make_machine_clips(
    ("fan", "gearbox", "valve"),
    n_train=50,
    n_test_normal=40,
    n_test_anomaly=40,
    duration=3.0,
    snr_db=12.0,
    random_state=0,
)
train = (data.data["split"] == "train").to_numpy()
train_clips, test_clips, y_test = data.data[train], data.data[~train], data.target[~train]

# %%
# How to pool over time
# ---------------------
#
# ``time_pooling`` says how the frames of a clip become one vector: by their mean, by their maximum, or by a mean that gives
# the loudest frames of each filter the most weight. Each machine gets a back end of its own here. The levels of
# neighbouring filters rise and fall together, which :class:`~skasd.scoring.ScaledKNNScorer` takes into account. For the
# embeddings of a network, start with :class:`~skasd.scoring.KNNScorer` or :class:`~skasd.scoring.LocalDensityScorer`.

POOLING = {
    "mean": {"time_pooling": "mean"},
    "rank, r = 0.9": {"time_pooling": "rank", "r": 0.9},
    "maximum": {"time_pooling": "max"},
}

rows = []
for title, parameters in POOLING.items():
    for machine_type in ("fan", "gearbox", "valve"):
        own_train = train_clips[train_clips["machine_type"] == machine_type]
        own = (test_clips["machine_type"] == machine_type).to_numpy()
        model = make_pipeline(PretrainedEmbedding(FilterBank(), device="cpu", **parameters), ScaledKNNScorer())
        scores = model.fit(own_train).score_samples(test_clips[own])
        rows.append((machine_type, title, auc_score(y_test[own], scores)))
results = pd.DataFrame(rows, columns=["machine", "pooling", "AUC"])
table = results.pivot_table(index="machine", columns="pooling", values="AUC", sort=False)
table.round(2)

# %%

figure, axis = plt.subplots(figsize=(8, 4), layout="constrained")
height = 0.26
for number, (title, color) in enumerate(zip(POOLING, ("#1f6f8b", "#e0a030", "#d1495b"), strict=True)):
    places = np.arange(len(table)) + (number - 1) * height
    bars = axis.barh(places, table[title], height=0.9 * height, color=color, label=title)
    axis.bar_label(bars, fmt="%.2f", padding=3, fontsize=9)
axis.set(yticks=range(len(table)), yticklabels=table.index, xlim=(0.5, 1.0), xlabel="AUC (0.5 is chance)")
axis.invert_yaxis()
axis.legend(title="time_pooling", frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
axis.spines[["top", "right"]].set_visible(False)
plt.show()

# %%
# The mean that prefers loud frames is better than the plain mean for all three machines, and the maximum is better still
# for the valve. With 40 normal and 40 faulty clips an AUC is uncertain by several hundredths.
#
# One detector for all machines
# -----------------------------
#
# A pipeline of the two has one back end for all clips. :class:`~skasd.detectors.TWFRDetector` with a ``scorer`` has one for
# each machine and section, tells it the domain of each clip, and sets the threshold on normal clips that were held out.
# ``time_pooling=None`` hands it the frames, which it pools by rank.

model = make_pipeline(
    PretrainedEmbedding(FilterBank(), time_pooling=None, flatten=False, device="cpu"),
    TWFRDetector(r=0.9, scorer=ScaledKNNScorer(), feature="embedding", random_state=0),
)
predicted = model.fit(train_clips).predict(test_clips)
flagged = pd.DataFrame({"machine": test_clips["machine_type"], "label": y_test, "flagged": predicted == -1})
flagged["label"] = flagged["label"].map({1: "normal", -1: "anomaly"})
flagged.pivot_table(index="machine", columns="label", values="flagged", sort=False).round(2)

# %%
# The table has the share of clips that are flagged: of normal clips it is the false alarm rate, which is 10 % by default,
# and of anomalies the share of faults that are found.
#
# Next step: :ref:`pretrained` shows how to use encoders from files, and how to keep embeddings on disk.
