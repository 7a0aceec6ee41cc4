"""The systems of DCASE 2024 on real valves, with and without their attributes, over seeds.

    python benchmarks/accuracy/stat_cluster.py --out benchmarks/accuracy/stat_cluster.jsonl
    python benchmarks/accuracy/stat_cluster.py --table benchmarks/accuracy/stat_cluster.jsonl

Sixty normal recordings of two domains to learn from, four operating patterns as attributes, 140 recordings to test on, where
$SKASD_REAL_DATA or ../shared/data holds them. Each row is one JSON line: detector, whether it saw the attributes, seed, AUC
of source and target and pAUC as the challenge defines them, the adjusted Rand index of the classes against the patterns,
seconds, versions and commit. The last epoch is scored; no test clip chooses anything.
"""

import argparse
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
from scipy.stats import hmean
from sklearn.metrics import adjusted_rand_score

from skasd.clustering import StatisticalClusterer
from skasd.detectors import EnsembleDetector, StatClusterDetector, TWFRDetector
from skasd.features import TWFRTransformer
from skasd.metrics import score_table
from skasd.scoring import KNNScorer

SEEDS = (0, 1, 2)
STEPS = {"batch_size": 8, "max_epochs": 40}  # with batches of 64, sixty clips are one step
IMPULSIVE = {"stat_r": (0.5,), **STEPS}  # for a machine that acts now and then
MIXTURE = StatisticalClusterer("gmm_bic")
SYSTEMS = {
    "1 clusters": lambda: StatClusterDetector("clusters", **STEPS),
    "1 clusters, r = 0.5": lambda: StatClusterDetector("clusters", **IMPULSIVE),
    "1 clusters, r = 0.5, mixture": lambda: StatClusterDetector("clusters", clusterer=MIXTURE, **IMPULSIVE),
    "1 clusters, r = 0.5, prototype": lambda: StatClusterDetector("clusters", contrast="prototype", **IMPULSIVE),
    "1 clusters, r = 0.5, two stages": lambda: StatClusterDetector("clusters", contrast="two_stage", **IMPULSIVE),
    "2 metadata": lambda: StatClusterDetector("metadata", **STEPS),
    "3 ssl": lambda: StatClusterDetector("ssl", **IMPULSIVE),
    "3 ssl, feature exchange": lambda: StatClusterDetector("ssl", feature_exchange=True, **IMPULSIVE),
    "4 ensemble": lambda: EnsembleDetector(
        [
            ("clusters", StatClusterDetector("clusters", **IMPULSIVE)),
            ("metadata", StatClusterDetector("metadata", **STEPS)),
            ("ssl", StatClusterDetector("ssl", **IMPULSIVE)),
        ]
    ),
    "4 ensemble with TWFR": lambda: EnsembleDetector(
        [("twfr", TWFRDetector()), ("ssl", StatClusterDetector("ssl", **IMPULSIVE))]
    ),
    "TWFR": TWFRDetector,
}


def valves():
    """Training table and test table."""
    folder = Path(os.environ.get("SKASD_REAL_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data")
    table = pd.read_csv(folder / "clips.csv", dtype=str)
    table = table[table["dataset"] == "valve2023"].assign(
        path=lambda rows: [str(folder / path) for path in rows["path"]]
    )
    return table[table["split"] == "train"], table[table["split"] == "test"]


def measured(score, test):
    """AUC of both domains, pAUC, and their harmonic mean."""
    y_true = np.where(test["label"] == "anomaly", -1, 1)
    row = score_table(y_true, score, test, year=2023).iloc[0]
    areas = {"auc_source": row["auc_source"], "auc_target": row["auc_target"], "pauc": row["pauc"]}
    return {**areas, "official": hmean(list(areas.values()))}


def of_system(name, train, test, seed):
    detector = SYSTEMS[name]().set_params(random_state=seed)
    start = time.perf_counter()
    detector.fit(train)
    row = {"fit_seconds": time.perf_counter() - start, **measured(detector.score_samples(test), test)}
    if hasattr(detector, "labels_"):
        row["rand_index"] = adjusted_rand_score(train["attributes"], detector.labels_)
    return row


def of_raw_means(train, test):
    """Nearest neighbour on the mean log-mel, in dB."""
    pooling = TWFRTransformer(r=1.0).fit(train)
    scorer = KNNScorer(metric="euclidean").fit(pooling.transform(train), domain=train["domain"])
    return measured(scorer.score_samples(pooling.transform(test)), test)


def results(names, seeds):
    train, test = valves()
    yield {"system": "kNN on log-mel means", "seed": 0, **of_raw_means(train, test)}
    for seed in seeds:
        for name in names:
            for hidden in (False, True):
                clips = train.drop(columns="attributes") if hidden else train
                if hidden and not any(word in name for word in ("metadata", "ssl", "ensemble")):
                    continue  # sees no attributes in any case
                row = (
                    of_system(name, clips.assign(attributes=""), test, seed)
                    if hidden
                    else of_system(name, train, test, seed)
                )
                yield {"system": name, "attributes": "hidden" if hidden else "known", "seed": seed, **row}


def environment():
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    packages = ("skasd", "numpy", "scikit-learn", "torch", "skorch")
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "commit": commit.stdout.strip(),
        "python": platform.python_version(),
        "versions": {package: version(package) for package in packages},
    }


def table(path):
    """Markdown: mean and standard deviation over seeds."""
    rows = pd.read_json(path, lines=True, precise_float=True)
    rows["attributes"] = rows.get("attributes", pd.Series("", rows.index)).fillna("")
    lines = [
        "| system | attributes | AUC source | AUC target | pAUC | official | Rand index | seconds |",
        "|---" * 8 + "|",
    ]
    for (system, attributes), group in rows.groupby(["system", "attributes"], sort=False):
        columns = ("auc_source", "auc_target", "pauc", "official", "rand_index", "fit_seconds")
        cells = [_mean_and_spread(group[column], 0 if column == "fit_seconds" else 3) for column in columns]
        lines.append(f"| {' | '.join([system, attributes, *cells])} |")
    return "\n".join(lines) + "\n"


def _mean_and_spread(values, digits):
    if values.isna().all():
        return ""
    spread = f" ± {values.std(ddof=1):.{digits}f}" if len(values) > 1 and digits else ""
    return f"{values.mean():.{digits}f}{spread}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="file to append the JSON lines to")
    parser.add_argument("--systems", nargs="+", default=list(SYSTEMS), choices=list(SYSTEMS))
    parser.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS))
    parser.add_argument("--table", type=Path, help="file of JSON lines to make a table of")
    arguments = parser.parse_args()
    if arguments.out:
        shared = environment()
        for row in results(arguments.systems, arguments.seeds):
            rounded = {key: round(value, 5) if isinstance(value, float) else value for key, value in row.items()}
            with arguments.out.open("a") as file:
                file.write(json.dumps({**rounded, **shared}) + "\n")
    if arguments.table:
        print(table(arguments.table))


if __name__ == "__main__":
    main()
