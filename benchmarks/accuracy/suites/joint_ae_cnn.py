"""The baseline autoencoder and the joint system of 2021, on real toy cars and valves, over seeds.

The last epoch is scored, or, of the autoencoder, that with the lowest loss on held-out clips.
"""

from pathlib import Path
from runpy import run_path

from skasd.benchmark import Entry, Suite
from skasd.detectors import AutoencoderDetector, JointAECNNDetector, TWFRDetector
from skasd.training import TrainingOptions

shared = run_path(str(Path(__file__).with_name("recordings.py")))

DATA = {"toycar": shared["TOYCAR"], "valve": shared["VALVE"]}
TWFR = {"toycar": {"r": 1.0}, "valve": {"r": "auto"}}
AUTOENCODER = {"toycar": {"max_epochs": 20}, "valve": {"max_epochs": 100}}
# 14 400 patches of toy cars make a long epoch, 1 860 of valves a short one
JOINT = {"toycar": {"max_epochs": 1}, "valve": {"max_epochs": 4, "label_columns": ("section", "attributes")}}
WAYS = {"toycar": ("label", "embedding"), "valve": ("embedding",)}
ALL_CLIPS = {"training": TrainingOptions(calibration_fraction=0)}  # none are held out for a threshold
AUTOENCODERS = {
    "squared error": {"score_by": "mse"},
    "Mahalanobis": {"score_by": "mahalanobis"},
    "Mahalanobis, frames": {"score_by": "mahalanobis", "residual": "frame"},
}
PARTS = {
    "classifier": {"contrastive_weight": 0.0, "median_filter": None},
    "+ contrast": {"median_filter": None},
    "+ median": {"contrastive_weight": 0.0},
    "+ both": {},
}


def entries(data):
    """Name and entry of each detector on a data set."""
    yield "TWFR", TWFRDetector(**TWFR[data]), ()
    for name, settings in AUTOENCODERS.items():
        yield f"autoencoder, {name}", AutoencoderDetector(**AUTOENCODER[data], **settings), ()
    for name, settings in PARTS.items():
        yield f"joint, {name}", JointAECNNDetector(**JOINT[data], **settings, **ALL_CLIPS), WAYS[data]


suite = Suite(
    "joint_ae_cnn",
    DATA,
    {
        f"{name} ({data})": Entry(detector, data=(data,), score_with=ways, tags={"variant": name})
        for data in DATA
        for name, detector, ways in entries(data)
    },
)
