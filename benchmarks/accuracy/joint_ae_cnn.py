r"""The baseline autoencoder and the joint system of 2021, on real toy cars and valves, over seeds.

    python benchmarks/accuracy/joint_ae_cnn.py --out benchmarks/accuracy/joint_ae_cnn.jsonl
    python benchmarks/accuracy/joint_ae_cnn.py --table benchmarks/accuracy/joint_ae_cnn.jsonl \
        --into docs/user_guide/detectors/joint_ae_cnn.rst

Log-mels of four toy cars, 800 to learn from and 600 to test on, and 60 and 140 recordings of a valve, where $SKASD_REAL_DATA
or ../shared/data holds them. Each row is one JSON line: data, detector and setting, how it was scored, seed, AUC and pAUC of
each section, seconds, versions and commit. The last epoch is scored, or, of the autoencoder, that with the lowest held-out
loss.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd
from rows import append, environment, fill_in, list_table, mean_and_spread, real_data

from skasd.detectors import AutoencoderDetector, JointAECNNDetector, TWFRDetector
from skasd.metrics import auc_score, partial_auc_score

SEEDS = (0, 1, 2)
# 14 400 patches of toy cars make a long epoch, 1 860 of valves a short one
JOINT = {"toycar": {"max_epochs": 1}, "valve": {"max_epochs": 4, "label_columns": ("section", "attributes")}}
PARTS = {
    "classifier": {"contrastive_weight": 0.0, "median_filter": None},
    "+ contrast": {"median_filter": None},
    "+ median": {"contrastive_weight": 0.0},
    "+ both": {},
}
AUTOENCODERS = {
    "squared error": {"score_by": "mse"},
    "Mahalanobis": {"score_by": "mahalanobis"},
    "Mahalanobis, frames": {"score_by": "mahalanobis", "residual": "frame"},
}
EPOCHS = {"toycar": 20, "valve": 100}


def toy_cars():
    """Training table, test table and truth."""
    folder = real_data() / "toycar2020_logmel"
    table = pd.read_csv(folder / "clips.csv", dtype=str)
    table["log_mel"] = list(np.load(folder / "log_mel.npy").astype(np.float32))
    return split(table)


def valves():
    """The same of the recordings of a valve."""
    table = pd.read_csv(real_data() / "clips.csv", dtype=str)
    table = table[table["dataset"] == "valve2023"]
    return split(table.assign(path=[str(real_data() / path) for path in table["path"]]))


def split(table):
    is_test = (table["split"] == "test").to_numpy()
    return table[~is_test], table[is_test], np.where(table["label"][is_test] == "anomaly", -1, 1)


DATA = {"toycar": toy_cars, "valve": valves}


def rows_of(score, test, y_true):
    """AUC and pAUC of each section."""
    for section, rows in test.reset_index(drop=True).groupby("section").groups.items():
        areas = {"auc": auc_score(y_true[rows], score[rows]), "pauc": partial_auc_score(y_true[rows], score[rows])}
        yield {"section": section, **areas}


def detectors(data, names):
    """Name and detector of each variant."""
    if "TWFR" in names:
        yield "TWFR", TWFRDetector(r=1.0 if data == "toycar" else "auto")
    for name, settings in AUTOENCODERS.items():
        if "autoencoder" in names:
            yield f"autoencoder, {name}", AutoencoderDetector(max_epochs=EPOCHS[data], **settings)
    for name, settings in PARTS.items():
        if "joint" in names:
            yield f"joint, {name}", JointAECNNDetector(**JOINT[data], **settings)


def scores(detector, data, train, test):
    """Name and score of each way to score the test clips."""
    if not isinstance(detector, JointAECNNDetector):
        yield "", detector.score_samples(test)
        return
    known = test if data == "toycar" else test.assign(section=None, attributes=None)
    for score_with in ("label", "embedding") if data == "toycar" else ("embedding",):
        detector._score_with = score_with
        yield score_with, detector.score_samples(known)


def results(data, names, seeds):
    train, test, y_true = DATA[data]()
    for seed in seeds:
        for name, detector in detectors(data, names):
            start = time.perf_counter()
            detector.set_params(random_state=seed).fit(train)
            shared = {"data": data, "variant": name, "seed": seed, "fit_seconds": time.perf_counter() - start}
            for score_with, score in scores(detector, data, train, test):
                for row in rows_of(score, test, y_true):
                    yield {**shared, "score_with": score_with, **row}


def table(path, data):
    """reStructuredText: AUC of each section, mean and standard deviation over seeds, and pAUC."""
    results = pd.read_json(path, lines=True, precise_float=True, dtype={"section": str})
    results = results[results["data"] == data]
    sections = sorted(results["section"].unique())
    rows = []
    for (variant, score_with), group in results.groupby(["variant", "score_with"], sort=False):
        of_section = group.groupby("section")["auc"].mean()
        by_seed = group.groupby("seed")[["auc", "pauc"]].mean()
        cells = [f"{of_section[section]:.3f}" for section in sections] if len(sections) > 1 else []
        areas = [mean_and_spread(by_seed[name]) for name in ("auc", "pauc")]
        rows.append([variant, score_with, *cells, *areas, f"{group['fit_seconds'].mean():.0f}"])
    heads = [section.zfill(2) for section in sections] if len(sections) > 1 else []
    return list_table(["detector", "scored by", *heads, "AUC", "pAUC", "fit in s"], rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="file to append the JSON lines to")
    parser.add_argument("--data", nargs="+", default=list(DATA), choices=DATA)
    parser.add_argument("--detectors", nargs="+", default=["TWFR", "autoencoder", "joint"])
    parser.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS))
    parser.add_argument("--table", type=Path, help="file of JSON lines to make tables of")
    parser.add_argument("--into", type=Path, help="page to write the tables into, between their marks")
    arguments = parser.parse_args()
    if arguments.out:
        shared = environment("numpy", "scikit-learn", "torch", "skorch")
        for data in arguments.data:
            for row in results(data, arguments.detectors, arguments.seeds):
                append(arguments.out, row, shared)
    if arguments.table:
        for data in arguments.data:
            text = table(arguments.table, data)
            print(text)
            if arguments.into:
                fill_in(arguments.into, data, text)


if __name__ == "__main__":
    main()
