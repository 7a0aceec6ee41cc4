"""How well proxies rank settings of a detector: their AUC beside that of true anomalies, over seeds.

    python benchmarks/accuracy/proxy_anomalies.py --out benchmarks/accuracy/proxy_anomalies.jsonl
    python benchmarks/accuracy/proxy_anomalies.py --table benchmarks/accuracy/proxy_anomalies.jsonl \
        --into docs/user_guide/model_selection.rst

Each setting of TWFRDetector is fitted on normal clips in three folds and tested on the rest against proxies, and fitted on
all of them and tested on the test clips. The seed draws folds and proxies, and with synthetic machines the clips. Each row
is one JSON line: data and machine type, seed, setting, AUC of the true anomalies and of the proxies of each kind, versions
and commit.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import pandas as pd
from contrastive_spectrum import as_features
from joint_ae_cnn import DATA as REAL
from rows import append, environment, fill_in, list_table, mean_and_spread
from scipy.stats import spearmanr

from skasd.datasets import make_machine_clips
from skasd.detectors import TWFRDetector
from skasd.metrics import score_table
from skasd.model_selection import ProxyAnomalySplit, make_proxy_anomalies

SEEDS = (0, 1, 2)
KINDS = ("band_gain", "clicks", "mix", "stretch")
SETTINGS = [(r, n) for r in (0.0, 0.2, 0.4, 0.6, 0.8, 0.9, 1.0) for n in (1, 2)]
MACHINES = ("fan", "pump", "slider", "valve", "gearbox", "compressor")
SEVERITY = 0.5


def synthetic(seed):
    clips = make_machine_clips(MACHINES, n_train=50, n_test_normal=50, n_test_anomaly=50, random_state=seed)
    test = (clips.data["split"] == "test").to_numpy()
    return clips.data[~test], clips.data[test], clips.target[test]


def results(name, seed):
    train, test, y_true = synthetic(seed) if name == "synthetic" else REAL[name]()
    train = train.reset_index(drop=True)
    train_mels, test_mels = as_features(train), as_features(test)
    folds = list(ProxyAnomalySplit(random_state=seed).split(train))
    proxies = {
        (fold, kind): proxies_of(train.iloc[kept], kind, seed) for fold, (_, kept) in enumerate(folds) for kind in KINDS
    }
    for r, n_components in SETTINGS:
        detector = TWFRDetector(r, n_components=n_components, random_state=seed)
        found = []
        for fold, (fit, kept) in enumerate(folds):
            detector.fit(train_mels.iloc[fit])
            for kind in KINDS:
                both = pd.concat([train_mels.iloc[kept], proxies[fold, kind]])
                areas = by_machine(np.repeat([1, -1], len(kept)), detector.score_samples(both), both)
                found += [{"machine": machine, "kind": kind, "auc": area} for machine, area in areas.items()]
        found = pd.DataFrame(found).groupby(["machine", "kind"])["auc"].mean()
        truth = by_machine(y_true, detector.fit(train_mels).score_samples(test_mels), test_mels)
        for machine, area in truth.items():
            setting = {"r": r, "n_components": n_components}
            yield {
                "data": f"{name} {machine}",
                "seed": seed,
                **setting,
                "auc": area,
                "proxies": found[machine].to_dict(),
            }


def proxies_of(kept, kind, seed):
    return as_features(make_proxy_anomalies(kept, kind, severity=SEVERITY, random_state=seed))


def by_machine(y_true, score_samples, table):
    """Mean AUC over the sections of each machine type."""
    return score_table(y_true, score_samples, table, year=2020).groupby("machine_type")["auc"].mean().to_dict()


def table(path):
    """reStructuredText: rank correlation of each kind of proxy, and the AUC of what they choose."""
    rows = pd.DataFrame([json.loads(line) for line in path.read_text().splitlines()])
    rows = pd.concat([rows, pd.DataFrame(rows["proxies"].tolist())], axis=1)
    rows["mean of all"] = rows[list(KINDS)].mean(axis=1)
    lines = []
    for data, group in rows.groupby("data", sort=False):
        by_seed = [of_seed for _, of_seed in group.groupby("seed")]
        cells = [
            mean_and_spread(pd.Series([rank_correlation(one, kind) for one in by_seed]), 2)
            for kind in (*KINDS, "mean of all")
        ]
        chosen = pd.Series([one.loc[one["mean of all"].idxmax(), "auc"] for one in by_seed])
        best, middle = (pd.Series([getattr(one["auc"], what)() for one in by_seed]) for what in ("max", "median"))
        lines.append([data, *cells, *map(mean_and_spread, (chosen, middle, best))])
    head = ["data", *(kind.replace("_", " ") for kind in KINDS), "mean of all", "AUC chosen", "median", "best"]
    return list_table(head, lines)


def rank_correlation(rows, kind):
    """Spearman's, 0 where the proxies cannot tell one setting from another."""
    if rows[kind].nunique() < 2 or rows["auc"].nunique() < 2:
        return 0.0
    return spearmanr(rows[kind], rows["auc"]).statistic


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="file to append the JSON lines to")
    parser.add_argument("--data", nargs="+", default=[*REAL, "synthetic"])
    parser.add_argument("--table", type=Path, help="file of JSON lines to make a table of")
    parser.add_argument("--into", type=Path, help="page to write the table into, between its marks")
    arguments = parser.parse_args()
    if arguments.out:
        shared = environment("numpy", "scikit-learn", "scipy")
        for data in arguments.data:
            for seed in SEEDS:
                for row in results(data, seed):
                    append(arguments.out, row, shared)
    if arguments.table:
        text = table(arguments.table)
        print(text)
        if arguments.into:
            fill_in(arguments.into, "proxies", text)


if __name__ == "__main__":
    main()
