"""
Which of two detectors is better?
=================================

A suite runs detectors on data sets with seeds, and can be stopped and resumed. Its report says how far apart two detectors
are, and a paired bootstrap whether the test clips can tell them apart at all.
"""

# %%
# A suite
# -------
# Two data sets of synthetic machines, two ways to pool a spectrogram over time, and an autoencoder. The log-mels are
# computed once for all three.

from tempfile import TemporaryDirectory

from skasd.benchmark import Entry, Suite, report, run_suite
from skasd.detectors import AutoencoderDetector, TWFRDetector
from skasd.features import LogMelTransformer

shared = {
    "kind": "synthetic",
    "n_train": 24,
    "n_test_normal": 20,
    "n_test_anomaly": 20,
    "duration": 2.0,
    "random_state": 0,
}
mel = LogMelTransformer(n_mels=64)
suite = Suite(
    "two kinds of machines",
    data={
        "rotating": {**shared, "machine_types": ["fan", "pump"]},
        "reciprocating": {**shared, "machine_types": ["slider", "valve"]},
    },
    detectors={
        "mean over time": Entry(TWFRDetector(r=1.0), features=mel),
        "loud frames": Entry(TWFRDetector(r=0.5), features=mel),
        "autoencoder": Entry(AutoencoderDetector("mahalanobis", shrinkage=1e-3, max_epochs=2), features=mel),
    },
    seeds=(0, 1, 2),
)
folder = TemporaryDirectory()
table = run_suite(suite, folder.name)
table.pivot_table(index="detector", columns="data", values="official_score").round(3)

# %%
# Run it again, and nothing is computed: each finished task has a line in ``results.jsonl``. A process that is killed loses
# only what it was at.

len(run_suite(suite, folder.name))

# %%
# The report
# ----------
# One table per data set, the best detector first. A bootstrap draws the test clips again, both detectors on the same ones:
# the interval of the difference says whether another set of clips might have turned the order round.

text = report(folder.name, out=folder.name, compare=("mean over time", "loud frames"), n_resamples=100)
print(text[text.index("## Paired bootstrap") :])

# %%
# The picture has a dot for each seed and a line for their mean. The first two are closed forms, and all seeds agree.

import matplotlib.pyplot as plt

figure, axes = plt.subplots(figsize=(11, 7.4), layout="constrained")
axes.imshow(plt.imread(f"{folder.name}/report.png"))
axes.set_axis_off()
plt.show()
folder.cleanup()

# %%
# Next step
# ---------
# The same suite as a file runs from the command line, on several processes or on a cluster: see :ref:`benchmark`.
