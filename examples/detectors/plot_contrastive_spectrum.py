r"""
Two views of a clip, and what a network learns to ignore
========================================================

:class:`~skasd.detectors.ContrastiveSpectrumDetector` pulls two views of a clip together. Its network learns to ignore what
differs between the views, and :class:`~skasd.augmentations.SpectrumAugmentation` decides what differs: mainly the bands
above a frequency. This example shows every step from a clip to a view, and then the scores of a detector.
"""

# %%
# Machines in a hall
# ------------------
#
# Fans and gearboxes, 40 normal clips of each, two seconds long. Spectrograms have 64 bands from 0 to 8 kHz and are in dB.

import matplotlib.pyplot as plt
import numpy as np
import torch

from skasd.augmentations import (
    MemoryBank,
    SpectrumAugmentation,
    band_mask,
    draw_crops,
    linear_fader,
    log_mixup_exp,
    resized_crops,
)
from skasd.datasets import make_machine_clips
from skasd.detectors import ContrastiveSpectrumDetector
from skasd.features import LogMelTransformer
from skasd.metrics import auc_score
from skasd.objectives import SegmentNetOptions
from skasd.training import TrainingOptions

front_end = LogMelTransformer(hop_length=512, n_mels=64, norm=None, mel_scale="htk")
clips = make_machine_clips(("fan", "gearbox"), n_train=40, duration=2.0, severity=5.0, snr_db=5.0, random_state=0)
table = front_end.fit_transform(clips.data)
is_train = (table["split"] == "train").to_numpy()
log_mel = torch.tensor(np.stack(table["log_mel"]))  # (n_clips, 64, 63)
train = log_mel[torch.tensor(is_train)]
frequency = front_end._definition().centers()  # Hz

# %%
# From a clip to a view
# ---------------------
#
# First all training clips are normalised by one mean and one standard deviation. Then an earlier clip, here a gearbox, is
# mixed into a fan: powers are added, not levels, and only where the mask allows it. After that a part is cropped and resized
# to the original size, and a straight line over time is added. The last normalisation, that of a batch, would not be visible
# here.

generator = torch.Generator().manual_seed(2)
fan, gearbox = (train[index : index + 1] for index in (0, 40))
normal = (fan - train.mean()) / train.std()
bank = MemoryBank(16, tuple(normal.shape[1:]))
bank.push((gearbox - train.mean()) / train.std(), torch.tensor([1]))
past, _ = bank.draw(torch.tensor([0]), generator)
mask = band_mask(frequency, 2000.0, width=2.0).float()
share = 0.4 * mask[None, :, None]
mixed = log_mixup_exp(normal, past, share)
crops = draw_crops(1, tuple(normal.shape[1:]), generator)
cropped = resized_crops(mixed, crops)
faded = linear_fader(cropped, generator)

STEPS = {
    "fan, normalised": normal,
    "an earlier clip: gearbox": past,
    "mixed above 2 kHz": mixed,
    "what was added": mixed - normal,
    "a part, resized": cropped,
    "with a fader: a view": faded,
}
figure, axes = plt.subplots(2, 3, figsize=(10, 5.4), layout="constrained", sharex=True, sharey=True)
bands = [int(np.searchsorted(frequency, edge)) for edge in (500, 1000, 2000, 4000)]
for axis, (name, image) in zip(axes.flat, STEPS.items(), strict=True):
    drawn = axis.imshow(image[0].numpy(), origin="lower", aspect="auto", cmap="magma", vmin=-2.5, vmax=2.5)
    axis.set_title(name, fontsize=10)
    axis.set_yticks(bands, ["0.5", "1", "2", "4"])
    axis.axhline(bands[2] - 0.5, color="white", linewidth=0.8, linestyle=":")
figure.supxlabel("frame", fontsize=10)
figure.supylabel("frequency in kHz", fontsize=10)
figure.colorbar(drawn, ax=axes, label="standard deviations", shrink=0.8)
plt.show()

# %%
# Below the dotted line, apart from the soft edge of the mask, the mixture is the fan. Above it the gear mesh can be seen
# where it is louder than the fan; where it is quieter, the fan is attenuated. The crop reaches beyond the end of the clip,
# where the canvas is zero, which is the mean. It may also be stretched in frequency, which moves tonal lines. This is a
# strong augmentation for machines that are identified by their tones, and it is off by default.
#
# A detector that learns from views
# ---------------------------------
#
# The detector makes its views in this way, two of each of 16 clips per step, from segments of 32 frames at random positions.
# It learns which views come from one clip, and which from one machine. The score of a clip is the distance of its
# embedding, the mean over five segments, from normal clips of its machine. A small network and few epochs are enough for
# machines that differ as much as these. Crops are not stretched in frequency here.

augmentation = SpectrumAugmentation(split_frequency=2000.0, resize_crop=True, frequency_scale=(1.0, 1.0), fader=True)
detector = ContrastiveSpectrumDetector(
    augmentation,
    feature="log_mel",
    network=SegmentNetOptions(bottlenecks=((2, 32, 1, 2), (2, 32, 1, 2)), embedding_dim=32, segment_length=32),
    frontend=front_end,
    max_epochs=6,
    batch_size=16,
    training=TrainingOptions(ema_decay=None, precision="float32"),
    score_with="embedding",
    device="cpu",
    random_state=0,
).fit(table[is_train])
test, y_test = table[~is_train], clips.target[~is_train]
scores = detector.score_samples(test)

figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
for axis, machine_type in zip(axes, ("fan", "gearbox"), strict=True):
    is_own = (test["machine_type"] == machine_type).to_numpy()
    for row, (label, color) in enumerate(((1, "#1f6f8b"), (-1, "#e08e1b"))):
        chosen = scores[is_own & (y_test == label)]
        axis.plot(chosen, np.full(len(chosen), row) + np.linspace(-0.2, 0.2, len(chosen)), "o", color=color, alpha=0.7)
    axis.axvline(detector.offset_, color="0.4", linewidth=0.8, linestyle=":")
    axis.set(yticks=[0, 1], yticklabels=["normal", "anomaly"], ylim=(-0.5, 1.5), xlabel="score_samples")
    axis.locator_params(axis="x", nbins=5)
    axis.set_title(f"{machine_type}: AUC {auc_score(y_test[is_own], scores[is_own]):.2f}", fontsize=10)
plt.show()

# %%
# Points to the left of the dotted line, the threshold, are alarms. Whether the bands above a frequency should be ignored
# depends on the machine: the knock of a valve has its energy there. The
# :ref:`user guide <contrastive_spectrum_results>` has measurements.
