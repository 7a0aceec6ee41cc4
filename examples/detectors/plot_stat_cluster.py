r"""
Which operating states did the machine have?
============================================

Nobody wrote down in which state these machines ran. :class:`~skasd.clustering.StatisticalClusterer` makes clusters of clips
that sound alike on average, and :class:`~skasd.detectors.StatClusterDetector` learns to tell the clusters apart. In this
example the true states are known, so that the clusters can be compared with them.
"""

# %%
# Three machines without attributes
# ---------------------------------
#
# Each machine runs in several states, with different speeds or loads. In the target domain, a third of the clips, it runs in
# other states. The column with the states is removed from the table.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_rand_score

from skasd.clustering import ClipStatistics, StatisticalClusterer
from skasd.datasets import make_machine_clips
from skasd.detectors import StatClusterDetector
from skasd.features import LogMelTransformer, TWFRTransformer
from skasd.metrics import auc_score
from skasd.objectives import MobileFaceNetOptions
from skasd.training import TrainingOptions

MACHINES = ("fan", "pump", "gearbox")
front_end = LogMelTransformer(n_fft=2048, hop_length=1024, n_mels=32)
clips = make_machine_clips(
    MACHINES,
    n_train=36,
    n_test_normal=20,
    n_test_anomaly=20,
    duration=1.0,
    target_share=0.33,
    severity=3.0,
    random_state=0,
)
table = front_end.fit_transform(clips.data).drop(columns="waveform")
is_test = (table["split"] == "test").to_numpy()
train, test, y_test = table[~is_test], table[is_test], clips.target[is_test]
states = train["attributes"].to_numpy()
train = train.drop(columns="attributes")

# %%
# Clusters of each machine and domain
# -----------------------------------
#
# The clusterer sees only the mean level of each band, minus the level of the whole clip, which depends on the microphone
# more than on the machine. The adjusted Rand index compares its clusters with the states: 1 is the same partition, 0 is
# chance.

statistics = TWFRTransformer(r=1.0).fit_transform(train)
statistics -= statistics.mean(axis=1, keepdims=True)
where = {"machine_type": train["machine_type"], "domain": train["domain"]}
clusterer = StatisticalClusterer(random_state=0).fit(statistics, **where)
agreement = {}
for machine in MACHINES:
    rows = (train["machine_type"] == machine).to_numpy()
    agreement[machine] = adjusted_rand_score(states[rows], clusterer.labels_[rows])
print(pd.Series(agreement).round(2))

# %%
# The colour is the true state, the shape is the cluster.

figure, axes = plt.subplots(1, 3, figsize=(11, 3.8), layout="constrained")
for ax, machine in zip(axes, MACHINES, strict=True):
    rows = (train["machine_type"] == machine).to_numpy()
    place = PCA(2).fit_transform(statistics[rows])
    names, state = np.unique(states[rows], return_inverse=True)
    shapes = np.unique(clusterer.labels_[rows], return_inverse=True)[1]
    for number in np.unique(shapes):
        of_cluster = shapes == number
        ax.scatter(
            *place[of_cluster].T,
            c=state[of_cluster],
            cmap="tab10",
            vmin=0,
            vmax=9,
            marker="osD^vP*X<>"[number % 10],
            s=30,
        )
    ax.set(title=f"{machine}: {len(names)} states, {shapes.max() + 1} clusters", xlabel="first component in dB")
axes[0].set_ylabel("second component in dB")
plt.show()

# %%
# Learning to tell them apart
# ---------------------------
#
# The detector makes its own clusters. With ``system="metadata"`` its classes are the domains of each machine, as there are
# no attributes. A network with two stages and six epochs keep this page fast; the numbers say nothing about larger
# networks.

small = {
    "branches": ("log_mel",),
    "network": MobileFaceNetOptions(bottlenecks=((1, 32, 1, 2), (1, 32, 1, 2))),
    "max_epochs": 6,
    "batch_size": 16,
    "training": TrainingOptions(precision="float32"),
    "score_with": "embedding",
    "random_state": 0,
}
settings = {"metadata": small, "clusters": {**small, "statistics": ClipStatistics(r=(1.0,))}}
areas = pd.DataFrame(index=MACHINES)
for system in settings:
    detector = StatClusterDetector(system, **settings[system]).fit(train)
    score = detector.score_samples(test)
    of_machine = [(test["machine_type"] == machine).to_numpy() for machine in MACHINES]
    areas[system] = [auc_score(y_test[rows], score[rows]) for rows in of_machine]
    print(f"{system}: {len(detector.classes_)} classes, from {detector.label_source_['fan/00']}")
print(areas.round(2))

# %%
# Three machines and one seed are no evidence for either; the :ref:`guide <stat_cluster>` has results on real recordings.
