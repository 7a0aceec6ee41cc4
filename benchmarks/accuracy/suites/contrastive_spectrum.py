"""Contrastive learning with spectrum augmentation: which parts of it help, on real and synthetic machines, over seeds.

Ablation: split frequency x random resize crop x second normalisation x positives across domains, with a small network; the
last part has no effect on data without domains and is left out there. Premise: views mixed above 2 kHz, below, in all bands
or not at all. Peers: other detectors on the same clips. A fifth of the normal clips is held out; the AUC of faults made up
of them may choose a setting, since it uses no true anomalies.
"""

from itertools import product
from pathlib import Path
from runpy import run_path

from skasd.augmentations import SpectrumAugmentation
from skasd.benchmark import Entry, Suite
from skasd.detectors import ContrastiveSpectrumDetector, OSSCLDetector, TWFRDetector

shared = run_path(str(Path(__file__).with_name("recordings.py")))

PROXIES = {"proxies": {"kinds": [shared["raised_or_mixed"]], "share": 0.2}}
DATA = {
    "toycar": {**shared["TOYCAR"], **PROXIES, "max_train": 80},
    "valve": {**shared["VALVE"], **PROXIES},
    "synthetic": {
        "kind": "synthetic",
        "machine_types": shared["MACHINES"],
        "n_train": 50,
        "target_share": 0.2,
        "random_state": 0,
        **PROXIES,
    },
}
SMALL = {
    "network__bottlenecks": ((2, 64, 1, 2), (2, 64, 1, 2)),
    "learning_rate": 1e-3,
    "batch_size": 16,
    "training__calibration_fraction": 0,
}
CONTRASTIVE = {**SMALL, "network__segment_length": 32, "training__ema_decay": None}  # 32 frames are a second
OF_DATA = {
    "toycar": {"max_epochs": 12, "label_columns": ("machine_type", "section")},
    "valve": {
        "max_epochs": 40,
        "label_columns": ("section",),
    },  # one class; each attribute is of one domain: clusters instead
    "synthetic": {"max_epochs": 16, "label_columns": ("machine_type", "section")},
}
SPLITS = (0.0, 1000.0, 2000.0, 4000.0, "auto")
PREMISE = {
    "above": {"split_frequency": 2000.0},
    "below": {"split_frequency": 2000.0, "invert_mask": True},
    "all bands": {"split_frequency": 0.0},
    "nothing": {"mix_ratio": 0.0},
}


def contrastive(data, augmentation, cross_domain=True):
    same_domain = "ignore" if cross_domain else "pull"
    detector = ContrastiveSpectrumDetector(augmentation, same_domain=same_domain)
    return detector.set_params(**CONTRASTIVE, **OF_DATA[data])


def detectors(data):
    """Name, detector and tags of all that is measured on a data set."""
    for name, settings in PREMISE.items():
        augmentation = SpectrumAugmentation(resize_crop=False, **settings)
        yield f"mixed: {name}", contrastive(data, augmentation), {"variant": "premise", "mixed": name}
    yield "TWFR", TWFRDetector(r=1.0 if data == "toycar" else "auto"), {"variant": "TWFR"}
    peer = OSSCLDetector(("log_mel",), score_with="embedding").set_params(**SMALL, **OF_DATA[data])
    yield "OS-SCL, log-mel", peer, {"variant": "OS-SCL, log-mel"}
    for split, crop, norm, cross in product(SPLITS, (True, False), (True, False), (True, False)):
        if cross or data != "toycar":
            augmentation = SpectrumAugmentation(split, resize_crop=crop, post_norm=norm)
            tags = {"split": split, "resize_crop": crop, "post_norm": norm, "cross_domain": cross}
            name = ", ".join(f"{part}={value}" for part, value in tags.items())
            yield name, contrastive(data, augmentation, cross), {"variant": "ablation", **tags}


suite = Suite(
    "contrastive_spectrum",
    DATA,
    {
        f"{name} ({data})": Entry(detector, features=shared["MEL"], data=(data,), tags=tags)
        for data in DATA
        for name, detector, tags in detectors(data)
    },
)
