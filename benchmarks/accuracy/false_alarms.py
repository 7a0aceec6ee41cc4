"""False alarms: the share of new normal clips that alarm, beside the share that was asked for.

    python benchmarks/accuracy/false_alarms.py [--quick]

appends JSON lines to results/false_alarms/results.jsonl, one for each detector, data set, number of training clips, draw and
share; lines that are there already are not measured again. The real recordings are looked for in $SKASD_REAL_DATA. The
networks are trained for a few epochs only: whether a threshold holds does not depend on how good the scores are. `--quick`
measures only TWFRDetector, with 20 and 100 clips of a synthetic fan. tables.py makes the table of the guide from the lines.
"""

import json
import os
import sys
import warnings
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.base import clone
from stamp import stamp

from skasd.datasets import make_machine_clips
from skasd.detectors import (
    AutoencoderDetector,
    EnsembleDetector,
    JointAECNNDetector,
    OSSCLDetector,
    StatClusterDetector,
    StatisticsDetector,
    TWFRDetector,
)
from skasd.features import LogMelTransformer
from skasd.objectives import JointNetOptions, MobileFaceNetOptions, PatchOptions

RESULTS = Path(__file__).resolve().parent / "results" / "false_alarms" / "results.jsonl"
SHARES = (0.1, 0.05, 0.01)
SIZES = (20, 50, 100, 500)
DRAWS, DRAWS_OF_NETWORKS = 3, 10  # networks hold out so few clips that rates differ much from draw to draw
MOST_NEW = 300
SMALL = MobileFaceNetOptions(bottlenecks=((1, 32, 1, 2), (1, 32, 1, 2)), embedding_dim=32)
AUTOENCODER = AutoencoderDetector(max_epochs=5, learning_rate=0.003, device="cpu")
DETECTORS = {
    "StatisticsDetector": StatisticsDetector(),
    "TWFRDetector": TWFRDetector(),
    "AutoencoderDetector": AUTOENCODER,
    "EnsembleDetector of TWFR, r=1 and r=0.5": EnsembleDetector(
        [("mean", TWFRDetector(r=1.0)), ("loud", TWFRDetector(r=0.5))]
    ),
    "OSSCLDetector": OSSCLDetector(
        ("log_mel",),
        network=SMALL,
        max_epochs=3,
        batch_size=64,
        learning_rate=0.003,
        score_with="embedding",
        device="cpu",
    ),
    "StatClusterDetector": StatClusterDetector(
        branches=("log_mel",), network=SMALL, max_epochs=3, learning_rate=0.003, score_with="embedding", device="cpu"
    ),
    "JointAECNNDetector": JointAECNNDetector(
        network=JointNetOptions(width=0.1),
        patches=PatchOptions(length=32, step=32),
        median_filter=None,
        score_with="embedding",
        max_epochs=1,
        learning_rate=0.003,
        device="cpu",
    ),
}
NETWORKS = ("OSSCLDetector", "StatClusterDetector", "JointAECNNDetector")
DATA = ("synthetic fan", "valve2023", "slider2020", "ToyCar")
CELLS_OF_NETWORKS = {("synthetic fan", 50), ("synthetic fan", 100), ("valve2023", 50), ("ToyCar", 100)}


@cache
def normal_clips(data):
    """Normal clips of a data set, with log-mels."""
    front_end = LogMelTransformer(norm=None, mel_scale="htk")
    if data == "synthetic fan":
        counts = {"n_train": max(SIZES) + MOST_NEW, "n_test_normal": 0, "n_test_anomaly": 0}
        clips = make_machine_clips("fan", **counts, duration=2.0, target_share=0.0, random_state=0).data
        return front_end.fit_transform(clips).drop(columns="waveform")
    folder = Path(os.environ["SKASD_REAL_DATA"])
    types = {"section": str}
    if data == "ToyCar":
        clips = pd.read_csv(folder / "toycar2020_logmel" / "clips.csv", dtype=types)
        log_mel = np.load(folder / "toycar2020_logmel" / "log_mel.npy", mmap_mode="r")
        clips = clips.assign(log_mel=[mel.astype(np.float32) for mel in log_mel])
        return clips[clips["label"] == "normal"].reset_index(drop=True)
    clips = pd.read_csv(folder / "clips.csv", dtype=types)
    clips = clips[(clips["dataset"] == data) & (clips["label"] == "normal")].reset_index(drop=True)
    clips["path"] = [str(folder / path) for path in clips["path"]]
    return front_end.fit_transform(clips).drop(columns="path")


def drawn(data, n_train, draw):
    """Training clips and new clips of a random draw; with fewer than 500 clips, ToyCar is one of its machines."""
    clips = normal_clips(data)
    if data == "ToyCar" and n_train < 500:
        clips = clips[clips["section"] == f"{draw % 4 + 1:02d}"]
    order = np.random.default_rng(draw).permutation(len(clips))
    return clips.iloc[order[:n_train]], clips.iloc[order[n_train : n_train + MOST_NEW]]


def measured(detector, train, new, draw):
    """For each share: how many of the new clips alarm, and what the detector says beforehand."""
    seeds = {name: draw for name in detector.get_params() if name.rpartition("__")[2] == "random_state"}
    for share in SHARES:
        fitted = clone(detector).set_params(contamination=share, **seeds)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            fitted.fit(train)
        own = [str(warning.message) for warning in caught if str(warning.message).startswith("Few normal clips")]
        n_alarms = int((fitted.predict(new) == -1).sum())
        yield {"contamination": share, "n_new": len(new), "n_alarms": n_alarms, "said": own[-1] if own else ""}


def cells(quick):
    if quick:
        yield from product(["TWFRDetector"], ["synthetic fan"], [20, 100], [0])
        return
    for name, data, n_train in product(DETECTORS, DATA, SIZES):
        is_network = name in NETWORKS
        if n_train <= len(normal_clips(data)) - 20 and (not is_network or (data, n_train) in CELLS_OF_NETWORKS):
            for draw in range(DRAWS_OF_NETWORKS if is_network else DRAWS):
                yield name, data, n_train, draw


def main():
    torch.set_num_threads(1)
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    lines = RESULTS.read_text(encoding="utf-8").splitlines() if RESULTS.exists() else []
    known = {tuple(json.loads(line)[key] for key in ("detector", "data", "n_train", "draw")) for line in lines}
    for cell in cells("--quick" in sys.argv[1:]):
        if cell in known:
            continue
        name, data, n_train, draw = cell
        rows = list(measured(DETECTORS[name], *drawn(data, n_train, draw), draw))
        names = {"detector": name, "data": data, "n_train": n_train, "draw": draw}
        with RESULTS.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(names | row | stamp()) + "\n" for row in rows)
        print(*cell, *(f"{row['contamination']}: {row['n_alarms'] / row['n_new']:.3f}" for row in rows))


if __name__ == "__main__":
    main()
