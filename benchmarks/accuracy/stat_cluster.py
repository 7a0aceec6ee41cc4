r"""The systems of DCASE 2024 on real valves, with and without their attributes, over seeds.

    python benchmarks/accuracy/stat_cluster.py --out benchmarks/accuracy/stat_cluster.jsonl
    python benchmarks/accuracy/stat_cluster.py --table benchmarks/accuracy/stat_cluster.jsonl \
        --into docs/user_guide/detectors/stat_cluster.rst

Sixty normal recordings of two domains to learn from, two operating patterns in each as attributes, 140 recordings to test
on, where $SKASD_REAL_DATA or ../shared/data holds them. Each row is one JSON line: detector, whether it saw the attributes,
seed, AUC of source and target and pAUC as the challenge defines them, the adjusted Rand index of the classes against the
patterns, seconds, versions and commit. The last epoch is scored.
"""

import argparse
import time
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from rows import append, environment, fill_in, list_table, mean_and_spread, real_data
from scipy.stats import hmean
from sklearn.metrics import adjusted_rand_score

from skasd.clustering import StatisticalClusterer
from skasd.detectors import EnsembleDetector, StatClusterDetector, TWFRDetector
from skasd.features import LogMelTransformer, TWFRTransformer
from skasd.metrics import score_table
from skasd.scoring import KNNScorer, LocalDensityScorer

SEEDS = (0, 1, 2)
FEW = {"batch_size": 8, "max_epochs": 16}  # with batches of 64, sixty clips are one step
MANY = {"batch_size": 8, "max_epochs": 40}  # a small network, trained from nothing
WINDOWS = (256, 1024, 4096)
SYSTEMS = {
    "TWFR": TWFRDetector,
    "1 clusters": lambda: StatClusterDetector("clusters", **FEW),
    "1 clusters, prototype": lambda: StatClusterDetector("clusters", contrast="prototype", **FEW),
    "1 clusters, two stages": lambda: StatClusterDetector("clusters", contrast="two_stage", **FEW),
    "1 clusters, frequency attention": lambda: StatClusterDetector(
        "clusters", branches=("log_mel", "tgram", "frequency_attention"), **FEW
    ),
    "2 metadata": lambda: StatClusterDetector("metadata", **FEW),
    "3 ssl": lambda: StatClusterDetector("ssl", **MANY),
    "3 ssl, feature exchange": lambda: StatClusterDetector("ssl", feature_exchange=True, **MANY),
    "3 ssl, statistics exchange": lambda: StatClusterDetector("ssl", statistics_exchange=True, **MANY),
    "3 ssl, frequency gate": lambda: StatClusterDetector("ssl", frequency_attention="gate", **MANY),
    "3 ssl, three windows": lambda: StatClusterDetector("ssl", n_ffts=WINDOWS, **MANY),
    "3 ssl, three windows, local density": lambda: StatClusterDetector(
        "ssl", n_ffts=WINDOWS, scorer=LocalDensityScorer(), **MANY
    ),
    "4 ensemble of 1, 2, 3": lambda: EnsembleDetector(
        [
            ("clusters", StatClusterDetector("clusters", **FEW)),
            ("metadata", StatClusterDetector("metadata", **FEW)),
            ("ssl", StatClusterDetector("ssl", **MANY)),
        ]
    ),
    "4 ensemble of 3 and TWFR": lambda: EnsembleDetector(
        [("ssl", StatClusterDetector("ssl", n_ffts=WINDOWS, **MANY)), ("twfr", TWFRDetector())]
    ),
}
HIDDEN = ("2 metadata", "3 ssl", "3 ssl, three windows")  # with attributes and without


def valves():
    """Training table and test table."""
    folder = real_data()
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


def of_system(name, clips, train, test, seed):
    """Row of a system fitted to `clips`, which may lack the attributes of `train`."""
    detector = SYSTEMS[name]().set_params(random_state=seed)
    start = time.perf_counter()
    detector.fit(clips)
    row = {"fit_seconds": time.perf_counter() - start, **measured(detector.score_samples(test), test)}
    if hasattr(detector, "labels_"):
        row.update(agreement(train, detector.labels_))
    return row


def agreement(train, labels):
    """Adjusted Rand index of classes and patterns: over all clips, and over the source clips, whom no domain helps."""
    source = (train["domain"] == "source").to_numpy()
    return {
        "rand_index": adjusted_rand_score(train["attributes"], labels),
        "rand_index_source": adjusted_rand_score(train["attributes"][source], labels[source]),
    }


def of_clusters(train):
    """Rows of clusters without a detector: how well each method finds the patterns."""
    for r, method in product(((1.0, 0.9, 0.5), (0.5,)), ("kmeans_silhouette", "agglomerative", "gmm_bic")):
        statistics = TWFRTransformer(r, frontend=LogMelTransformer()).fit_transform(train)
        statistics -= statistics.mean(axis=1, keepdims=True)
        clusterer = StatisticalClusterer(method, random_state=0)
        labels = clusterer.fit(statistics, domain=train["domain"]).labels_
        name = f"{method} of r = {', '.join(map(str, r))}"
        yield {"system": f"clusters: {name}", "attributes": "hidden", "seed": 0, **agreement(train, labels)}


def of_raw_means(train, test):
    """Nearest neighbour on the mean log-mel, in dB."""
    pooling = TWFRTransformer(r=1.0).fit(train)
    scorer = KNNScorer(metric="euclidean").fit(pooling.transform(train), domain=train["domain"])
    return measured(scorer.score_samples(pooling.transform(test)), test)


def results(names, seeds):
    train, test = valves()
    if 0 in seeds and "TWFR" in names:
        yield from of_clusters(train)
        yield {"system": "kNN on log-mel means", "attributes": "known", "seed": 0, **of_raw_means(train, test)}
    for name, seed in product(names, seeds):
        for attributes in ("known", "hidden") if name in HIDDEN else ("known",):
            clips = train if attributes == "known" else train.assign(attributes="")
            yield {"system": name, "attributes": attributes, "seed": seed, **of_system(name, clips, train, test, seed)}


COLUMNS = {
    "auc_source": "AUC source",
    "auc_target": "AUC target",
    "pauc": "pAUC",
    "official": "official",
    "rand_index": "agreement",
    "rand_index_source": "of source",
}


def table(path):
    """reStructuredText: mean and standard deviation over seeds."""
    results = pd.read_json(path, lines=True, precise_float=True)
    results = results[~results["system"].str.startswith("clusters:")]
    rows = []
    for (system, attributes), group in results.groupby(["system", "attributes"], sort=False):
        cells = [mean_and_spread(group[column]) for column in COLUMNS]
        rows.append([system, attributes, *cells, mean_and_spread(group["fit_seconds"], 0)])
    return list_table(["system", "attributes", *COLUMNS.values(), "fit in s"], rows)


def table_of_clusters(path):
    """reStructuredText: how well each method finds the patterns."""
    results = pd.read_json(path, lines=True, precise_float=True)
    results = results[results["system"].str.startswith("clusters:")]
    names = ("rand_index", "rand_index_source")
    rows = [
        [row["system"].removeprefix("clusters: "), *(f"{row[name]:.3f}" for name in names)]
        for _, row in results.iterrows()
    ]
    return list_table(["clusters", "agreement", "of source"], rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="file to append the JSON lines to")
    parser.add_argument("--systems", nargs="+", default=list(SYSTEMS), choices=list(SYSTEMS))
    parser.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS))
    parser.add_argument("--table", type=Path, help="file of JSON lines to make tables of")
    parser.add_argument("--into", type=Path, help="page to write the tables into, between their marks")
    arguments = parser.parse_args()
    if arguments.out:
        shared = environment("numpy", "scikit-learn", "torch", "skorch")
        for row in results(arguments.systems, arguments.seeds):
            append(arguments.out, row, shared)
    if arguments.table:
        for name, text in (("valves", table(arguments.table)), ("clusters", table_of_clusters(arguments.table))):
            print(text)
            if arguments.into:
                fill_in(arguments.into, name, text)


if __name__ == "__main__":
    main()
