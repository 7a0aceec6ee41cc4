r"""
What a p-value promises, and what not
=====================================

For a normal clip that could as well have been one of the calibration clips, the p-value is at most :math:`\alpha` with a
probability of at most :math:`\alpha`. Clips after a change of the machine are no such clips.
"""

# %%
# The promise, kept
# -----------------
#
# Sixty clips of a fan calibrate the detector, and 300 new ones are decided about. Over 40 random draws of which clips are
# which, the false alarm rate is what was asked for, up to the steps of 1 / 61 that 60 clips give.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from skasd.datasets import make_machine_clips
from skasd.decisions import CalibratedDetector
from skasd.detectors import TWFRDetector
from skasd.features import LogMelTransformer

front_end = LogMelTransformer(n_fft=512, hop_length=256, n_mels=32, norm=None, mel_scale="htk")
fan = {"n_train": 0, "n_test_anomaly": 0, "duration": 1.0, "random_state": 0}
normal = front_end.fit_transform(make_machine_clips("fan", n_test_normal=360, target_share=0.0, **fan).data)

p_values = []
for draw in range(40):
    clips = normal.sample(frac=1, random_state=draw)
    p_values.append(CalibratedDetector(TWFRDetector(), alpha=0.5).fit(clips[:60]).p_values(clips[60:]))
asked = np.linspace(0.02, 0.5, 25)
measured = np.array([[(p <= alpha).mean() for alpha in asked] for p in p_values])

# %%
# The load changes
# ----------------
#
# The first hundred clips are like those of the fit. Then the fan runs at another speed and load, which is no fault. The
# detector raises alarm after alarm, and the p-values promise nothing any more.

changed = front_end.transform(make_machine_clips("fan", n_test_normal=60, target_share=1.0, **fan).data)
sequence = pd.concat([normal[200:300], changed], ignore_index=True)
detector = CalibratedDetector(TWFRDetector()).fit(normal[:200])
print("false alarm rate before:", (detector.p_values(normal[200:300]) <= 0.05).mean())
print("false alarm rate after: ", (detector.p_values(changed) <= 0.05).mean())

# %%
# `check_exchangeability` takes the clips in the order in which they were recorded. It bets against the p-values being
# uniform; its capital grows a hundredfold with a probability of at most 1 % as long as nothing has changed.

test = detector.check_exchangeability(sequence, level=0.01)
print("the calibration holds:", test.holds, "- alarm at clip", test.alarm)

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
left.plot(asked, asked, color="black", linestyle="--", label="promised")
left.plot(asked, measured.mean(axis=0), color="C0", label="measured, mean")
left.fill_between(asked, *np.quantile(measured, (0.1, 0.9), axis=0), color="C0", alpha=0.2, label="80 % of the draws")
left.set(xlabel="accepted false alarm rate", ylabel="measured false alarm rate")
left.legend(frameon=False)
right.plot(test.log_martingale, color="C0")
right.axhline(2, color="C1", linestyle="--", label="alarm: 100 times the capital")
right.axvline(100, color="black", linestyle=":", label="the load changes")
right.set(xlabel="clip, in the order of recording", ylabel="log10 of the capital")
right.legend(frameon=False, loc="center left")

# %%
# What to do then: record normal clips of the new state, add them to the training clips, and fit again. Adding them to the
# calibration alone makes every decision more lenient, in the old state as well.
