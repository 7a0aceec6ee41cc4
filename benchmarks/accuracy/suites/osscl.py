"""OS-SCL on real toy cars and on synthetic machines: variants, ways to score and back ends, over seeds.

"toycar" trains on 200 normal clips of each of four machines. "search" holds out every tenth of them; the AUC of faults made
up of these may choose a variant. The last epoch is scored, or that with the lowest loss on held-out clips; test clips choose
nothing. The committed results named "label + LOF" (the sum of these two scores, each standardised by its values for held-out
clips) are from an earlier script and cannot be run again: a suite has no sums of scores.
"""

from pathlib import Path
from runpy import run_path

from sklearn.ensemble import IsolationForest
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import LocalOutlierFactor

from skasd.benchmark import Entry, Suite
from skasd.detectors import OSSCLDetector, TWFRDetector

shared = run_path(str(Path(__file__).with_name("recordings.py")))

DATA = {
    "toycar": shared["TOYCAR"],
    "search": {**shared["TOYCAR"], "proxies": {"kinds": [shared["raised_or_mixed"]], "every": 10}},
    "synthetic": {
        "kind": "synthetic",
        "machine_types": shared["MACHINES"],
        "n_sections": 4,
        "n_train": 60,
        "random_state": "seed",
    },
}
# the published 300 epochs at a learning rate of 1e-4 are for 34 000 clips
SETTINGS = {"branches": ("log_mel",), "max_epochs": 12, "batch_size": 64, "learning_rate": 1e-3}
ALL_CLIPS = {"training__calibration_fraction": 0}  # none are held out for a threshold
VARIANTS = {
    "published": {},
    "no mixup, no head": {"mixup_alpha": None, "network__perturbation_head": False},
    "20 epochs": {"max_epochs": 20},
    "30 epochs": {"max_epochs": 30},
    "no head": {"network__perturbation_head": False},
    "no mixup": {"mixup_alpha": None},
    "margin 0.7": {"margin": 0.7},
    "no mixup, no head, 8 clusters": {"mixup_alpha": None, "network__perturbation_head": False, "n_clusters": 8},
    "best held-out epoch": {"training__validation_fraction": 0.1, "training__calibration_fraction": "auto"},
    "8 clusters": {"n_clusters": 8},
}
WHERE = {"published": ("toycar", "search", "synthetic"), "no mixup, no head": ("toycar", "search")}
WHERE |= {"20 epochs": ("toycar",), "30 epochs": ("toycar",)}
BACK_ENDS = {
    "Gaussian": GaussianMixture(1, reg_covar=1e-3),
    "LOF": LocalOutlierFactor(novelty=True),
    "isolation forest": IsolationForest(random_state=0),
}
TAGS = {"variant": "TWFR", "score": "label"}

suite = Suite(
    "osscl",
    DATA,
    {
        **{
            name: Entry(
                OSSCLDetector(**SETTINGS).set_params(**{**ALL_CLIPS, **settings}),
                data=WHERE.get(name, ("search",)),
                score_with=("label", "predicted"),
                back_ends=BACK_ENDS,
            )
            for name, settings in VARIANTS.items()
        },
        "TWFR, r=1": Entry(TWFRDetector(r=1.0), data=("toycar",), tags=TAGS),
        "TWFR, auto": Entry(TWFRDetector(), data=("synthetic",), tags=TAGS),
    },
)
