"""Measurements without a detector, which a suite cannot express: clusters of real valves, and kNN on mean spectra.

    python benchmarks/accuracy/clusters.py

writes JSON lines into results/stat_cluster/clusters.jsonl: for each method of clustering the adjusted Rand index of clusters
and operating patterns, of all clips and of source clips; and the figures of the nearest neighbour on the mean log-mel.
"""

import datetime
import json
import platform
import subprocess
from importlib.metadata import version
from itertools import product
from pathlib import Path

from sklearn.metrics import adjusted_rand_score

from skasd.benchmark import read_suite
from skasd.benchmark._data import load_data
from skasd.clustering import StatisticalClusterer
from skasd.features import LogMelTransformer, TWFRTransformer
from skasd.metrics import official_score, score_table
from skasd.scoring import KNNScorer

HERE = Path(__file__).resolve().parent


def agreement(train, labels):
    """Adjusted Rand index of clusters and patterns; knowing the domain does not help within the source clips."""
    source = (train["domain"] == "source").to_numpy()
    return {
        "rand_index": adjusted_rand_score(train["attributes"], labels),
        "rand_index_source": adjusted_rand_score(train["attributes"][source], labels[source]),
    }


def of_clusters(train):
    for r, method in product(((1.0, 0.9, 0.5), (0.5,)), ("kmeans_silhouette", "agglomerative", "gmm_bic")):
        statistics = TWFRTransformer(r, frontend=LogMelTransformer()).fit_transform(train)
        statistics -= statistics.mean(axis=1, keepdims=True)
        labels = StatisticalClusterer(method, random_state=0).fit(statistics, domain=train["domain"]).labels_
        yield {"system": f"clusters: {method} of r = {', '.join(map(str, r))}", **agreement(train, labels)}


def of_raw_means(train, test, y_true):
    """Figures of the nearest neighbour on the mean log-mel, in dB."""
    pooling = TWFRTransformer(r=1.0).fit(train)
    scorer = KNNScorer(metric="euclidean").fit(pooling.transform(train), domain=train["domain"])
    score = scorer.score_samples(pooling.transform(test))
    row = score_table(y_true, score, test, year=2023).iloc[0]
    areas = {name: row[name] for name in ("auc_source", "auc_target", "pauc")}
    return {"system": "kNN on log-mel means", **areas, "official": official_score(y_true, score, test, year=2023)}


def main():
    train, test, y_true = load_data(read_suite(HERE / "suites" / "stat_cluster.toml").data["known"]).split()
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    shared = {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "commit": commit.stdout.strip(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("skasd", "numpy", "scikit-learn", "torch", "skorch")},
    }
    with (HERE / "results" / "stat_cluster" / "clusters.jsonl").open("w") as file:
        for row in (*of_clusters(train), of_raw_means(train, test, y_true)):
            rounded = {name: round(float(value), 5) if name != "system" else value for name, value in row.items()}
            file.write(json.dumps({**rounded, **shared}) + "\n")


if __name__ == "__main__":
    main()
