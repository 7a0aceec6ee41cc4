"""Networks as they are by default on twenty synthetic machines, beside the statistics and alone.

The machines are those of ``zoo.py``. A machine has 60 or 120 normal clips of four seconds, which is little for a network.
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
)

shared = run_path(str(Path(__file__).with_name("recordings.py")))

DETECTORS = {
    "contrastive spectrum": ContrastiveSpectrumDetector(),
    "joint AE-CNN": JointAECNNDetector(),
    "self-supervised": SelfSupervisedDetector(),
    "StatCluster": StatClusterDetector(branches=("log_mel",)),
    "OS-SCL": OSSCLDetector(("log_mel",)),
}

suite = Suite(
    "zoo_networks",
    shared["ZOO"],
    {name: Entry(detector, score_with=("auto", "embedding")) for name, detector in DETECTORS.items()},
)
