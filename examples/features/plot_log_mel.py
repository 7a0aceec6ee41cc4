"""
What does a log-mel spectrogram preserve?
=========================================

Every detector sees a sound through a front end. Its two most important settings are the spacing of the frequency
bands and the length of a frame. This example shows both for a valve that whistles while it is open.
"""

# %%
# Two mel scales
# --------------
#
# :class:`~skasd.features.LogMelTransformer` pools the power spectrum with triangular filters. On the Slaney scale
# they are equally wide below 1 kHz; on the HTK scale their width grows from the start. With ``norm="slaney"`` each
# filter has unit area, so wide filters have a low peak; with ``norm=None`` each has unit height. Pure tones show the
# response of each filter.

import matplotlib.pyplot as plt
import numpy as np

from skasd.datasets import make_machine_clips
from skasd.features import LogMelTransformer

SAMPLE_RATE = 16_000
FRONT_ENDS = {
    'mel_scale="slaney", norm="slaney"\n(the default)': LogMelTransformer(n_mels=20),
    'mel_scale="htk", norm=None\n(TWFRDetector)': LogMelTransformer(n_mels=20, mel_scale="htk", norm=None),
}
tones = np.arange(25, 8000, 25)
time = np.arange(4096) / SAMPLE_RATE
waveforms = np.sin(2 * np.pi * tones[:, None] * time)

figure, axes = plt.subplots(2, 1, figsize=(8, 5), sharex=True, layout="constrained")
for axis, (title, front_end) in zip(axes, FRONT_ENDS.items(), strict=True):
    level = front_end.fit_transform(waveforms)[:, :, 4]  # one frame in the middle: (n_tones, n_mels)
    power = 10 ** (level / 10)
    colors = plt.colormaps["viridis"](np.linspace(0, 0.9, power.shape[1]))
    for band, color in enumerate(colors):
        axis.plot(tones / 1000, power[:, band] / power.max(), color=color, linewidth=1.2)
    axis.set_title(title, fontsize=10)
    axis.set_ylabel("response (largest = 1)")
    axis.spines[["top", "right"]].set_visible(False)
axes[-1].set_xlabel("frequency of a pure tone (kHz)")
axes[-1].set_xlim(0, 8)
plt.show()

# %%
# HTK filters are narrower below 0.5 kHz, Slaney filters between about 0.5 and 3 kHz. Unit area lowers the level of
# wide filters. That is a constant offset in dB per band, which does not affect a model that treats each band
# separately, but it matters with a floor (``amin``) or a sum over bands. Training and test must use the same
# settings.
#
# Frame length
# ------------
#
# A long frame resolves close frequencies, a short one resolves close events. The valve opens and closes about twice a
# second and whistles while it is open.

clips, _ = make_machine_clips(
    "valve",
    n_train=0,
    n_test_normal=0,
    n_test_anomaly=1,
    anomalies=("squeal",),
    severity=3.0,
    snr_db=20.0,
    return_X_y=True,
    random_state=3,
)
duration = len(clips["waveform"].iloc[0]) / SAMPLE_RATE

figure, axes = plt.subplots(3, 1, figsize=(8, 7.5), sharex=True, layout="constrained")
for axis, n_fft in zip(axes, (256, 1024, 4096), strict=True):
    front_end = LogMelTransformer(n_fft=n_fft, hop_length=n_fft // 4, n_mels=64, top_db=60.0)
    log_mel = front_end.fit_transform(clips)["log_mel"].iloc[0]
    image = axis.imshow(
        log_mel - log_mel.max(), origin="lower", aspect="auto", cmap="magma", vmin=-60, extent=(0, duration, 0, 64)
    )
    axis.set_title(f"n_fft={n_fft}: frames of {1000 * n_fft / SAMPLE_RATE:.0f} ms", fontsize=10)
    axis.set_ylabel("band")
axes[-1].set_xlabel("time (s)")
figure.colorbar(image, ax=axes, label="level below the maximum (dB)", shrink=0.7)
plt.show()

# %%
# With 16 ms the edges are sharp, but the background is grainy and the lowest bands share the same few frequency bins.
# With 256 ms the whistles in bands 35 and 50 are clear lines on a smooth background, but every opening is smeared to
# more than twice its length. The default of 1024 samples, 64 ms, is a compromise and the choice of the DCASE
# baselines.
#
# Next step: :ref:`sphx_glr_auto_examples_features_plot_median_filter.py` removes short events from a spectrogram.
