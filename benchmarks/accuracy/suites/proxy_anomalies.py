"""How well proxies rank settings of a detector: their AUC beside that of true anomalies, over seeds.

Each setting of TWFRDetector is fitted to normal clips in three folds and scored on the others and on proxies made of them,
and fitted to all of them and scored on the test clips. The seed draws folds, proxies and the clips of synthetic machines.
"""

from itertools import product
from pathlib import Path
from runpy import run_path

from skasd.benchmark import Entry, Suite
from skasd.detectors import TWFRDetector

shared = run_path(str(Path(__file__).with_name("recordings.py")))

PROXIES = {"proxies": {"kinds": ["band_gain", "clicks", "mix", "stretch"], "severity": 0.5, "folds": 3}}
SYNTHETIC = {"kind": "synthetic", "n_train": 50, "n_test_normal": 50, "n_test_anomaly": 50, "random_state": "seed"}
DATA = {
    "toycar": {**shared["TOYCAR"], **PROXIES},
    "valve": {**shared["VALVE"], "year": 2020, **PROXIES},  # whose score needs no domains
    "synthetic": {**SYNTHETIC, "machine_types": shared["MACHINES"], **PROXIES},
}
SETTINGS = [{"r": r, "n_components": n} for r, n in product((0.0, 0.2, 0.4, 0.6, 0.8, 0.9, 1.0), (1, 2))]

suite = Suite(
    "proxy_anomalies",
    DATA,
    {
        "r={r:g}, n_components={n_components}".format(**settings): Entry(
            TWFRDetector(**settings), features=shared["MEL"], tags=settings
        )
        for settings in SETTINGS
    },
)
