"""
What does a network learn from waveforms?
=========================================

A log-mel spectrogram is computed by a formula. A TFgram has the same size but is computed from the waveform by a
network, which learned it by classifying machines. This example compares the two.
"""

# %%
# Train a TFgram
# --------------
#
# :class:`~skasd.features.TFgramTransformer` learns its representation as one branch of the network of an
# :class:`~skasd.detectors.OSSCLDetector`, which it is given, fitted or not. With six machines and 8 clips each, of one
# second at 8 kHz, training takes seconds and gives a rough result.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from skasd.datasets import make_machine_clips
from skasd.detectors import OSSCLDetector
from skasd.features import LogMelTransformer, TFgramTransformer
from skasd.objectives import MobileFaceNetOptions

MACHINES = ("valve", "slider", "gearbox")
front_end = LogMelTransformer(sample_rate=8000, n_fft=512, hop_length=256, n_mels=64, pad_mode="constant")
clips = make_machine_clips(
    MACHINES,
    n_sections=2,
    n_train=8,
    n_test_normal=4,
    n_test_anomaly=0,
    duration=1.0,
    sample_rate=8000,
    target_share=0.0,
    snr_db=15.0,
    random_state=0,
).data
train, test = clips[clips["split"] == "train"], clips[clips["split"] == "test"]


def make_transformer(**settings):
    """Transformer with the TFgram of a detector that is trained with these settings."""
    detector = OSSCLDetector(
        ("log_mel", "tfgram"),
        network=MobileFaceNetOptions(bottlenecks=((2, 32, 1, 2), (2, 32, 1, 2))),
        frontend=front_end,
        score_with="embedding",
        batch_size=8,
        device="cpu",
        random_state=0,
        **settings,
    )
    return TFgramTransformer(detector, device="cpu").fit(train)


learnt = make_transformer(max_epochs=12, learning_rate=5e-3)
both = learnt.transform(front_end.fit_transform(test))  # adds a column to the table
both[["log_mel", "tfgram"]].map(np.shape).head(2)

# %%
# Compare both
# ------------
#
# The channels of a TFgram have no natural order. On the right they are sorted by their correlation with the level of
# the clip over frames: channels at the bottom decrease when the machine gets loud, channels at the top increase.


def frames(images):
    """Frames (n_channels, n_clips * n_frames) of several clips, without the two at each end with boundary effects."""
    return np.concatenate([image[:, 2:-2] for image in images], axis=1)


log_mel, tfgram = frames(both["log_mel"]), frames(both["tfgram"])
order = np.argsort([np.corrcoef(log_mel.mean(axis=0), channel + 1e-9)[0, 1] for channel in tfgram])

figure, axes = plt.subplots(3, 3, figsize=(9, 7.5), sharex=True, layout="constrained")
for row, machine_type in zip(axes, MACHINES, strict=True):
    clip = both[both["machine_type"] == machine_type].iloc[0]
    images = {"log-mel": clip["log_mel"], "TFgram": clip["tfgram"], "TFgram, sorted": clip["tfgram"][order]}
    for axis, (name, image) in zip(row, images.items(), strict=True):
        low, high = np.percentile(image[:, 2:-2], (5, 99))
        axis.imshow(
            image, origin="lower", aspect="auto", cmap="magma", vmin=low, vmax=high, extent=(0, 1, 0, len(image))
        )
        axis.set_title(f"{machine_type}: {name}", fontsize=10)
    row[0].set_ylabel("band")
    row[1].set_ylabel("channel")
for axis in axes[-1]:
    axis.set_xlabel("time (s)")
plt.show()

# %%
# The valve opens twice and the slider makes two strokes; both representations show when. The log-mel shows the level
# of each band. In the TFgram about half of the channels respond to the machine and half to the pauses. Channels do
# not correspond to frequencies, and their values reflect what distinguishes the machines instead of levels. The
# gearbox, which hums continuously, gives a pattern of active and inactive channels.
#
# How similar are TFgram and log-mel?
# -----------------------------------
#
# Linear centred kernel alignment (CKA) compares two representations of the same frames, whatever their channels are.
# It is 1 if they are equal up to rotation, scaling and shift, and 0 if they are uncorrelated.


def similarity(one, other):
    """Linear CKA, in [0, 1], of two representations (n_channels, n_frames) of the same frames."""
    one, other = (x - x.mean(axis=1, keepdims=True) for x in (one, other))
    return np.sum((one @ other.T) ** 2) / np.linalg.norm(one @ one.T) / np.linalg.norm(other @ other.T)


untrained = frames(make_transformer(max_epochs=1, learning_rate=1e-9).transform(test)["tfgram"])
pd.Series(
    {"before training": similarity(log_mel, untrained), "after training": similarity(log_mel, tfgram)},
    name="linear CKA",
).round(2)

# %%
# Random filters respond to loud frames more than to quiet ones, like a log-mel, so the two are similar before
# training. Training makes them less similar, because the network learns whatever else distinguishes the machines.
# That does not make the TFgram better: evaluate on your own clips which of the two detects more faults, alone or
# together.
#
# Next step: :ref:`features_tfgram` in the user guide stacks both representations in a pipeline, and
# :ref:`sphx_glr_auto_examples_detectors_plot_osscl.py` shows what the whole network learns.
