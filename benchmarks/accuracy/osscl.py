"""OS-SCL on real toy cars and on synthetic machines: variants, ways to score, and back ends, over seeds.

    python benchmarks/accuracy/osscl.py --out benchmarks/accuracy/osscl.jsonl --data toycar synthetic
    python benchmarks/accuracy/osscl.py --table benchmarks/accuracy/osscl.jsonl --data toycar \\
        --into docs/user_guide/detectors/osscl.rst

Toy cars: log-mels of four machines, 200 normal clips of each to learn from, where $SKASD_REAL_DATA or ../shared/data holds
them. Synthetic: six machine types of four sections at the default severity. Each row is one JSON line: data set, variant,
way to score, machine and section, seed, AUC and standardised pAUC, the loss on held-out normal clips if there were any,
seconds, versions and commit. The last epoch is scored, or that with the lowest held-out loss; no test clip chooses anything.
"""

import argparse
import copy
import datetime
import json
import os
import platform
import subprocess
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.ensemble import IsolationForest
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import LocalOutlierFactor

from skasd.datasets import make_machine_clips
from skasd.detectors import OSSCLDetector, TWFRDetector
from skasd.metrics import auc_score, partial_auc_score
from skasd.scoring import BackEnd

SEEDS = (0, 1, 2)
SHORT = {"max_epochs": 12, "learning_rate": 1e-3}  # the published 300 epochs at 1e-4 are for 34 000 clips
VARIANTS = {
    "published": {},
    "clusters": {"n_clusters": 8},
    "margin 0.7": {"margin": 0.7},
    "no mixup": {"mixup_alpha": None},
    "no mixup, no head": {"mixup_alpha": None, "perturbation_head": False},
    "best held-out epoch": {"validation_fraction": 0.1},
}
BACK_ENDS = {
    "Gaussian": GaussianMixture(1, reg_covar=1e-3),
    "LOF": LocalOutlierFactor(novelty=True),
    "isolation forest": IsolationForest(random_state=0),
}
SIX = ("fan", "pump", "slider", "valve", "gearbox", "compressor")
SYNTHETIC = {"max_epochs": 12, "learning_rate": 1e-3}


def toy_cars():
    """Training table, test table and truth."""
    folder = Path(os.environ.get("SKASD_REAL_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data")
    folder /= "toycar2020_logmel"
    table = pd.read_csv(folder / "clips.csv", dtype=str)
    table["log_mel"] = list(np.load(folder / "log_mel.npy").astype(np.float32))
    test = (table["split"] == "test").to_numpy()
    return table[~test], table[test], np.where(table["label"][test] == "anomaly", -1, 1)


def synthetic(seed):
    clips = make_machine_clips(SIX, n_sections=4, n_train=60, random_state=seed)
    test = (clips.data["split"] == "test").to_numpy()
    return clips.data[~test], clips.data[test], clips.target[test]


def ways_to_score(detector, train, test):
    """Name and `score_samples` of each way to score the test clips with one trained network."""
    for score_with in ("label", "predicted"):
        way = copy.copy(detector)
        way._score_with = score_with
        yield score_with, way.score_samples(test)
    machines = [(table["machine_type"] + "/" + table["section"]).to_numpy() for table in (train, test)]
    embeddings = [detector.transform(table) for table in (train, test)]
    for name, scorer in BACK_ENDS.items():
        score = np.empty(len(test))
        for machine in np.unique(machines[1]):
            rows = machines[1] == machine
            back_end = BackEnd(scorer, seed=0).fit(embeddings[0][machines[0] == machine])
            score[rows] = -back_end.anomaly_score(embeddings[1][rows])
        yield f"embedding, {name}", score


def rows_of(score, test, y_true):
    """AUC and pAUC of each machine and section."""
    for (machine_type, section), group in test.reset_index(drop=True).groupby(["machine_type", "section"]):
        y, values = y_true[group.index], score[group.index]
        areas = {"auc": auc_score(y, values), "pauc": partial_auc_score(y, values)}
        yield {"machine_type": machine_type, "section": section, **areas}


def measured(data, train, test, y_true, settings, seed):
    """Rows of one training."""
    start = time.perf_counter()
    detector = OSSCLDetector(random_state=seed, **settings).fit(train)
    seconds = time.perf_counter() - start
    losses = [epoch["valid_loss"] for epoch in detector.history_ if "valid_loss" in epoch]
    for way, score in ways_to_score(detector, train, test):
        for row in rows_of(score, test, y_true):
            yield {"score_with": way, **row, "held_out_loss": min(losses, default=None), "fit_seconds": seconds}


def results(data, variants, seeds):
    for seed in seeds:
        if data == "toycar":
            tables, base = toy_cars(), {"branches": ("log_mel",), **SHORT}
        else:
            tables, base = synthetic(seed), {"branches": ("log_mel",), **SYNTHETIC}
        for variant in variants:
            for row in measured(data, *tables, {**base, **VARIANTS[variant]}, seed):
                yield {"data": data, "detector": "OSSCLDetector", "variant": variant, "seed": seed, **row}
        train, test, y_true = tables
        score = TWFRDetector(r=1.0 if data == "toycar" else "auto").fit(train).score_samples(test)
        for row in rows_of(score, test, y_true):
            yield {
                "data": data,
                "detector": "TWFRDetector",
                "variant": "TWFR",
                "seed": seed,
                "score_with": "label",
                **row,
            }


def environment():
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    packages = ("skasd", "numpy", "scikit-learn", "torch", "skorch")
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "commit": commit.stdout.strip(),
        "python": platform.python_version(),
        "versions": {package: version(package) for package in packages},
    }


def table(path, data):
    """reStructuredText: a row per variant and way to score; AUC of each section, then means over sections and seeds."""
    rows = pd.read_json(path, lines=True, precise_float=True, dtype={"section": str})
    rows = rows[rows["data"] == data]
    keys = ["variant", "score_with"]
    rows["section"] = rows["section"].astype(str).str.zfill(2)
    column = "section" if data == "toycar" else "machine_type"
    by_section = rows.pivot_table(index=keys, columns=column, values="auc", sort=False)
    by_seed = rows.groupby([*keys, "seed"], sort=False)[["auc", "pauc"]].mean()
    mean, spread = by_seed.groupby(keys, sort=False).mean(), by_seed["auc"].groupby(keys, sort=False).std(ddof=1)
    head = [*("variant", "score", *by_section.columns), "AUC", "pAUC"]
    lines = [".. list-table::", "   :header-rows: 1", "", *_cells(head)]
    for key in mean.index:
        sections = [f"{value:.3f}" for value in by_section.loc[key]]
        plus_minus = "" if np.isnan(spread[key]) else f" ± {spread[key]:.3f}"  # of one seed there is none
        area = f"{mean.loc[key, 'auc']:.3f}{plus_minus}"
        lines += _cells([*key, *sections, area, f"{mean.loc[key, 'pauc']:.3f}"])
    return "\n".join(lines) + "\n"


def _cells(values):
    return [f"   {'* -' if index == 0 else '  -'} {value}" for index, value in enumerate(values)]


def fill_in(page, data, text):
    """Replace what stands between the marks of a data set."""
    before, start, rest = page.read_text().partition(f".. measured {data}\n")
    _, end, after = rest.partition(f"\n.. end of {data}\n")
    if not start or not end:
        raise SystemExit(f"{page} has no marks '.. measured {data}' and '.. end of {data}'.")
    page.write_text(before + start + "\n" + text + end + after)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="file to append the JSON lines to")
    parser.add_argument("--data", nargs="+", default=["toycar", "synthetic"], choices=["toycar", "synthetic"])
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=list(VARIANTS))
    parser.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS))
    parser.add_argument("--table", type=Path, help="file of JSON lines to make tables of")
    parser.add_argument("--into", type=Path, help="page to write the tables into, between their marks")
    arguments = parser.parse_args()
    if arguments.out:
        shared = environment()
        for data in arguments.data:
            for row in results(data, arguments.variants, arguments.seeds):
                rounded = {key: round(value, 5) if isinstance(value, float) else value for key, value in row.items()}
                with arguments.out.open("a") as file:
                    file.write(json.dumps({**rounded, **shared}) + "\n")
    if arguments.table:
        for data in arguments.data:
            text = table(arguments.table, data)
            print(text)
            if arguments.into:
                fill_in(arguments.into, data, text)


if __name__ == "__main__":
    main()
