"""How well proxies rank settings of a detector: their AUC beside that of true anomalies, over seeds.

    python benchmarks/accuracy/proxy_anomalies.py --out benchmarks/accuracy/proxy_anomalies.jsonl
    python benchmarks/accuracy/proxy_anomalies.py --table benchmarks/accuracy/proxy_anomalies.jsonl \
        --into docs/user_guide/model_selection.rst

Each setting of TWFRDetector is fitted on normal clips in three folds and tested on the rest against proxies, and fitted on all
of them and tested on the test clips. The seed draws the folds and the proxies, and with synthetic machines the clips. Each row
is one JSON line: data, seed, setting, AUC of the true anomalies, AUC of the proxies of each kind, versions and commit.
"""

import argparse
import json
from pathlib import Path

import pandas as pd
from joint_ae_cnn import DATA as REAL
from rows import append, environment, fill_in, list_table, mean_and_spread
from scipy.stats import spearmanr

from skasd.datasets import make_machine_clips
from skasd.detectors import TWFRDetector
from skasd.features import LogMelTransformer
from skasd.metrics import aggregate_score
from skasd.model_selection import ProxyAnomalyScorer, ProxyAnomalySplit

SEEDS = (0, 1, 2)
KINDS = ("band_gain", "clicks", "mix", "stretch")
SETTINGS = [(r, n) for r in (0.0, 0.2, 0.4, 0.6, 0.8, 0.9, 1.0) for n in (1, 2)]
MACHINES = ("fan", "pump", "slider", "valve", "gearbox", "compressor")
SEVERITY = 0.5


def synthetic(machine, seed):
    clips = make_machine_clips(machine, n_train=50, n_test_normal=50, n_test_anomaly=50, random_state=seed)
    test = (clips.data["split"] == "test").to_numpy()
    return clips.data[~test], clips.data[test], clips.target[test]


def data_of(name, seed):
    """Training table, test table and truth."""
    return REAL[name]() if name in REAL else synthetic(name.removeprefix("synthetic "), seed)


def log_mels(table):
    if "log_mel" in table.columns:
        return table
    front_end = LogMelTransformer(n_fft=1024, norm=None, mel_scale="htk")
    return front_end.fit_transform(table).drop(columns=["path", "waveform"], errors="ignore")


def results(name, seed):
    train, test, y_true = data_of(name, seed)
    train = train.reset_index(drop=True)
    train_mels, test_mels = log_mels(train), log_mels(test)
    sounds = train if "waveform" in train.columns else train_mels
    scorer = ProxyAnomalyScorer(KINDS, severity=SEVERITY, random_state=seed)
    for r, n_components in SETTINGS:
        frontend = LogMelTransformer(n_fft=1024, norm=None, mel_scale="htk")
        detector = TWFRDetector(r, n_components=n_components, frontend=frontend, random_state=seed)
        folds = ProxyAnomalySplit(random_state=seed).split(sounds)
        found = [scorer.by_kind(detector.fit(sounds.iloc[fit]), sounds.iloc[kept]) for fit, kept in folds]
        proxies = pd.DataFrame(found).mean().to_dict()
        truth = aggregate_score(y_true, detector.fit(train_mels).score_samples(test_mels), test_mels)
        yield {"data": name, "seed": seed, "r": r, "n_components": n_components, "auc": truth, "proxies": proxies}


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
    parser.add_argument("--data", nargs="+", default=[*REAL, *(f"synthetic {machine}" for machine in MACHINES)])
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
