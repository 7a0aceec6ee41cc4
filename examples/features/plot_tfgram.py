"""
What does a network make of a waveform?
=======================================

A log-mel spectrogram is computed by a formula. A TFgram is an image of the same size that a network makes of the waveform,
and it shows whatever helps to tell machines apart. This example puts the two side by side.
"""

# %%
# Train one
# ---------
#
# :class:`~skasd.features.TFgramTransformer` learns its image as one branch of the network of an
# :class:`~skasd.detectors.OSSCLDetector`, which it is given, fitted or not. Six machines with 8 clips each, of one second at
# 8 kHz, make a training of seconds and a rough image.

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
    """Fitted transformer whose detector has these settings."""
    detector = OSSCLDetector(
        ("log_mel", "tfgram"),
        network=MobileFaceNetOptions(bottlenecks=((2, 64, 1, 2), (2, 64, 1, 2))),
        frontend=front_end,
        batch_size=8,
        device="cpu",
        random_state=0,
        **settings,
    )
    return TFgramTransformer(detector, device="cpu").fit(train)


learnt = make_transformer(max_epochs=24, learning_rate=5e-3)
both = learnt.transform(front_end.fit_transform(test))  # a table in, the same table with one more column out
both[["log_mel", "tfgram"]].map(np.shape).head(2)

# %%
# Side by side
# ------------
#
# The channels of a TFgram are in no particular order. On the right they are sorted by the correlation of their values with
# the level of the clip over the frames: at the bottom the channels that fall when the machine gets loud, at the top those
# that rise.


def frames(images):
    """Frames (n_channels, n_clips * n_frames) of several clips, without the two at each edge."""
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
# The valve opens twice, the slider makes two strokes, and both images show when. In the log-mel a band is loud or quiet. In
# the TFgram about half of the channels respond to the machine and half to the pause. None of them stands for a frequency,
# and their values follow from what distinguishes the machines, not from levels. The gearbox, which runs all the time, is a
# pattern of channels that are on or off.
#
# How much of it is in the log-mel?
# ---------------------------------
#
# Linear CKA compares two descriptions of the same frames, whatever their channels are. It is 1 if one is the other apart
# from a rotation, a factor and a shift, and 0 if they have nothing in common.


def similarity(one, other):
    """Linear CKA, in [0, 1], of descriptions (n_channels, n_frames) of the same frames."""
    one, other = (x - x.mean(axis=1, keepdims=True) for x in (one, other))
    return np.sum((one @ other.T) ** 2) / np.linalg.norm(one @ one.T) / np.linalg.norm(other @ other.T)


untrained = frames(make_transformer(max_epochs=1, learning_rate=1e-9).transform(test)["tfgram"])
pd.Series(
    {"before the training": similarity(log_mel, untrained), "after it": similarity(log_mel, tfgram)}, name="linear CKA"
).round(2)

# %%
# Random filters respond to loud frames and not to quiet ones, as a log-mel does: at first the two are similar. The training
# moves the image away from the log-mel, towards whatever else distinguishes the machines. That does not make it better:
# which of the two finds more faults, alone or together, has to be tried on your own clips.
#
# Next step: :ref:`features_tfgram` in the guide stacks the two images in a pipeline, and
# :ref:`sphx_glr_auto_examples_detectors_plot_osscl.py` shows what the whole network learns.
