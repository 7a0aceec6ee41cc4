"""Exported files against the detectors they are made of: scores, decisions, size, time and memory of one clip.

    SKASD_REAL_DATA=... python benchmarks/speed/onnx_export.py --out benchmarks/speed/onnx_export.jsonl

Each detector learns 60 real clips of a valve and 40 synthetic ones of a fan, all of ten seconds, and scores 200 others: 140
of the valve and 60 of the fan, each by the file of its machine. Networks are trained for two epochs: what they have learnt
does not matter here. Each row is one JSON line: the largest difference of scores, its share of their standard deviation,
decisions that differ, bytes of the file, least processor seconds for one clip on one thread in ONNX Runtime ("ours") and in
skasd ("peer"), which take turns, their ratio, and the peak memory of a process that scores that clip. `tables.py` makes the
tables of the guide from them.
"""

import argparse
import os
import pickle
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import onnxruntime
import pandas as pd
import torch
from measuring import write
from threadpoolctl import threadpool_limits

from skasd.clips import ClipReader
from skasd.datasets import make_machine_clips
from skasd.detectors import (
    AutoencoderDetector,
    ContrastiveSpectrumDetector,
    EnsembleDetector,
    JointAECNNDetector,
    OSSCLDetector,
    SelfSupervisedDetector,
    StatClusterDetector,
    StatisticsDetector,
    TWFRDetector,
)
from skasd.export import to_onnx
from skasd.scoring import KNNScorer, LocalDensityScorer

TRAINED = {"max_epochs": 2, "device": "cpu", "random_state": 0, "n_jobs": 1}
DETECTORS = {
    "TWFR": TWFRDetector(n_jobs=1),
    "TWFR, two components": TWFRDetector(n_components=2, random_state=0, n_jobs=1),
    "TWFR, kNN": TWFRDetector(scorer=KNNScorer(), n_jobs=1),
    "TWFR, local density": TWFRDetector(scorer=LocalDensityScorer(), n_jobs=1),
    "statistics": StatisticsDetector(n_jobs=1),
    "ensemble of both": EnsembleDetector(
        [("statistics", StatisticsDetector(n_jobs=1)), ("twfr", TWFRDetector(n_jobs=1))], random_state=0, n_jobs=1
    ),
    "autoencoder": AutoencoderDetector(group_columns=("machine_type", "section"), **TRAINED),
    "joint AE-CNN, label": JointAECNNDetector(score_with="label", **TRAINED),
    "contrastive spectrum, embedding": ContrastiveSpectrumDetector(score_with="embedding", **TRAINED),
    "StatCluster, embedding": StatClusterDetector(score_with="embedding", **TRAINED),
    "spectrum network, embedding": SelfSupervisedDetector(score_with="embedding", **TRAINED),
    "OS-SCL, label": OSSCLDetector(score_with="label", **TRAINED),
}
MACHINES = ("valve/00", "fan/00")
COLUMNS = ["machine_type", "section", "domain", "split", "waveform"]

IN_RUNTIME = """
import sys, numpy, onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(sys.argv[1], options)
waveform = numpy.load(sys.argv[2])[None]
"""
IN_SKASD = """
import sys, pickle, numpy, pandas
from pathlib import Path
detector = pickle.loads(Path(sys.argv[1]).read_bytes())
cells = {"waveform": [numpy.load(sys.argv[2])], "machine_type": "valve", "section": "00"}
table = pandas.DataFrame(cells)
"""
RUN = {
    "runtime": IN_RUNTIME + "for _ in range(3): session.run(None, {'waveform': waveform})\n",
    "skasd": IN_SKASD + "for _ in range(3): detector.score_samples(table)\n",
}
PEAK = "print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])\n"


def clips(folder):
    """Table of the clips that are learnt and scored."""
    table = pd.read_csv(folder / "clips.csv", dtype=str)
    table = table[table["dataset"] == "valve2023"]
    read = ClipReader()
    real = table.assign(waveform=[read(folder / path) for path in table["path"]])
    counts = {"n_train": 40, "n_test_normal": 30, "n_test_anomaly": 30, "duration": 10.0, "random_state": 0}
    fan = make_machine_clips("fan", **counts).data
    both = pd.concat([real[COLUMNS], fan[COLUMNS]], ignore_index=True)
    return both.assign(waveform=[np.asarray(waveform, dtype=np.float32) for waveform in both["waveform"]])


def session_of(path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def differences(detector, test, folder):
    """Differences of scores, scores of skasd, and whether decisions differ, clip by clip."""
    found = []
    for machine in MACHINES:
        own = test[test["machine_type"] == machine.partition("/")[0]]
        path = folder / f"{machine.partition('/')[0]}.onnx"
        to_onnx(detector, path, machine=machine)
        session = session_of(path)
        made = [session.run(None, {"waveform": waveform[None]}) for waveform in own["waveform"]]
        score, is_anomaly = (np.concatenate(values) for values in zip(*made, strict=True))
        expected = detector.score_samples(own)
        found.append((score + expected, -expected, is_anomaly != (expected < detector.offset_)))
    return [np.concatenate(values) for values in zip(*found, strict=True)]


def seconds(functions, rounds=30):
    """Least processor seconds of functions on one thread that take turns: what others do on the machine only adds to it."""
    times = np.empty((rounds, len(functions)))
    for row in times:
        for column, function in enumerate(functions):
            start = time.process_time()
            function()
            row[column] = time.process_time() - start
    return times.min(axis=0)


def peak_bytes(side, path, waveform):
    """Most memory of a process that scores one clip."""
    command = [sys.executable, "-W", "ignore", "-c", RUN[side] + PEAK, str(path), str(waveform)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1]) * 1024


def row_of(name, detector, table, folder):
    detector.fit(table[table["split"] == "train"])
    test = table[table["split"] == "test"]
    difference, score, differs = differences(detector, test, folder)
    path, one = folder / "valve.onnx", test[test["machine_type"] == "valve"][:1]
    (folder / "detector.pickle").write_bytes(pickle.dumps(detector))
    np.save(folder / "clip.npy", one["waveform"].iloc[0])
    session, given = session_of(path), {"waveform": one["waveform"].iloc[0][None]}
    ours, peer = seconds([lambda: session.run(None, given), lambda: detector.score_samples(one)])
    return {
        "what": name,
        "n_clips": len(score),
        "difference": f"{np.abs(difference).max():.1e}",
        "spread": float(f"{score.std():.3g}"),
        "share": f"{np.abs(difference).max() / score.std():.1e}",
        "decisions": int(differs.sum()),
        "bytes": path.stat().st_size,
        "ours_s": float(ours),
        "peer_s": float(peer),
        "ratio": float(peer / ours),
        "ours_bytes": peak_bytes("runtime", path, folder / "clip.npy"),
        "peer_bytes": peak_bytes("skasd", folder / "detector.pickle", folder / "clip.npy"),
    }


def rows(real, names):
    warnings.simplefilter("ignore")  # few clips and epochs
    torch.set_num_threads(1)
    table = clips(real)
    with threadpool_limits(1):
        for name in names:
            with tempfile.TemporaryDirectory() as folder:
                yield row_of(name, DETECTORS[name], table, Path(folder))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--real", type=Path, help="folder of the real recordings; $SKASD_REAL_DATA if it is not given")
    parser.add_argument("--out", type=Path)
    parser.add_argument("names", nargs="*", default=list(DETECTORS))
    arguments = parser.parse_args()
    real = arguments.real or Path(os.environ["SKASD_REAL_DATA"])
    write(rows(real, arguments.names), arguments.out, "onnx", "onnxruntime", "scikit-learn")


if __name__ == "__main__":
    main()
