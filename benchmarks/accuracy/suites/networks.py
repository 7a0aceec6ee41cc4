"""Networks as they are by default, and why they are at chance on impulsive machines when they are alone.

Real toy cars (800 normal clips of four machines, log-mels of six seconds) and real valves (60 clips of one). Each default
network is fitted once and scored with the statistics beside it ("auto") and alone. The other entries change one thing each:
the number of steps, the batch, the pooling over time, the classes, and the branches.
"""

from pathlib import Path
from runpy import run_path

from skasd.benchmark import Entry, Suite
from skasd.detectors import (
    ContrastiveSpectrumDetector,
    JointAECNNDetector,
    OSSCLDetector,
    SelfSupervisedDetector,
    StatClusterDetector,
    StatisticsDetector,
)
from skasd.objectives import MobileFaceNetOptions
from skasd.scoring import LocalDensityScorer, ScaledKNNScorer

shared = run_path(str(Path(__file__).with_name("recordings.py")))

DATA = {"valve": shared["VALVE"], "toycar": shared["TOYCAR"]}
BOTH, ALONE = ("auto", "embedding"), ("embedding",)
BACK_ENDS = {"whitened nearest neighbours": ScaledKNNScorer(), "local density": LocalDensityScorer()}
SMALL = MobileFaceNetOptions(bottlenecks=((2, 64, 1, 2), (2, 64, 1, 2)))


def ablated(**changes):
    """OS-SCL on the log-mel with a small network, with some things changed."""
    return OSSCLDetector(("log_mel",), network=SMALL).set_params(**changes)


DEFAULTS = {
    "OS-SCL": OSSCLDetector(("log_mel",)),
    "StatCluster": StatClusterDetector(branches=("log_mel",)),
    "contrastive spectrum": ContrastiveSpectrumDetector(),
    "joint AE-CNN": JointAECNNDetector(),
}
STEPS = {"16 steps": 2, "32 steps": 4, "64 steps": 8, "128 steps": 16, "256 steps": 32, "512 steps": 64}
ABLATIONS = {
    **{name: ablated(batch_size=8, max_epochs=epochs) for name, epochs in STEPS.items()},
    "one batch an epoch, 16 epochs": ablated(batch_size=60, max_epochs=16),
    "pooling: generalised mean": ablated(network__pooling="generalised_mean"),
    "pooling: rank-weighted": ablated(network__pooling="rank"),
    "pooling: attention": ablated(network__pooling="attention"),
    "classes: 2 clusters": ablated(n_clusters=2),
    "classes: 16 clusters": ablated(n_clusters=16),
    "classes: attributes and domains (StatCluster)": StatClusterDetector(branches=("log_mel",), system="metadata"),
    "classes: clusters (StatCluster)": StatClusterDetector(branches=("log_mel",), system="clusters"),
}

suite = Suite(
    "networks",
    DATA,
    {
        "statistics": Entry(StatisticsDetector(), features=shared["MEL"]),
        **{name: Entry(detector, score_with=BOTH, back_ends=BACK_ENDS) for name, detector in DEFAULTS.items()},
        "self-supervised": Entry(
            SelfSupervisedDetector(),
            data=("valve",),
            score_with=BOTH,
            back_ends={"local density": LocalDensityScorer()},
        ),
        "self-supervised, three resolutions": Entry(
            SelfSupervisedDetector(**SelfSupervisedDetector.settings("multi_resolution")), data=("valve",)
        ),
        **{
            name: Entry(detector, data=("valve",), score_with=ALONE, back_ends=BACK_ENDS, tags={"part": name})
            for name, detector in ABLATIONS.items()
        },
    },
)
