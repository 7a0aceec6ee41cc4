"""
What does a network make of a waveform?
=======================================

A log-mel spectrogram is a formula. A TFgram is an image of the same size that a network makes of the waveform, and what it
shows is whatever helped to tell machines apart. This example puts the two side by side.
"""

# %%
# Train one
# ---------
#
# :class:`~skasd.features.TFgramTransformer` learns its image as one branch of the network of
# :class:`~skasd.detectors.OSSCLDetector`. It can train that by itself; here it takes the branch of a detector that is
# fitted, so that the other settings can be chosen too. Six machines with 8 clips each, of one second at 8 kHz, make a
# training of seconds and a rough image.

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
    """Transformer that takes the TFgram of a detector trained with these settings."""
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
# The channels of a TFgram come in no order. On the right they are sorted by how their value goes with the level of the clip
# from frame to frame: at the bottom those that fall when the machine gets loud, at the top those that rise.


def frames(images):
    """Frames (n_channels, n_clips * n_frames) of several clips, without the two at each end that feel the edge."""
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
# The valve opens twice, the slider makes two strokes, and both images say when. In the log-mel a band is loud or quiet. In
# the TFgram about half of the channels answer to the machine and half to the pause, none of them says at which frequency,
# and how strong they are follows from what tells the machines apart, not from decibels. The gearbox, which hums all the
# time, is a pattern of channels that are on or off.
#
# How much of it is in the log-mel?
# ---------------------------------
#
# Two descriptions of the same frames can be compared whatever their channels are: linear CKA is 1 where one is the other
# but for a rotation, a factor and a shift, and 0 where nothing of the one is in the other.


def similarity(one, other):
    """Linear CKA, in [0, 1], of descriptions (n_channels, n_frames) of the same frames."""
    one, other = (x - x.mean(axis=1, keepdims=True) for x in (one, other))
    return np.sum((one @ other.T) ** 2) / np.linalg.norm(one @ one.T) / np.linalg.norm(other @ other.T)


untrained = frames(make_transformer(max_epochs=1, learning_rate=1e-9).transform(test)["tfgram"])
pd.Series(
    {"before the training": similarity(log_mel, untrained), "after it": similarity(log_mel, tfgram)}, name="linear CKA"
).round(2)

# %%
# Random filters answer to loud frames and not to quiet ones, and so does a log-mel: they begin alike. The training moves the
# image away from it, towards whatever else tells the machines apart. That does not make it better: which of the two finds
# more faults, alone or together, is a question for your own clips.
#
# Next step: :ref:`features_tfgram` in the guide stacks the two images in a pipeline, and
# :ref:`sphx_glr_auto_examples_detectors_plot_osscl.py` shows what the whole network learns.
