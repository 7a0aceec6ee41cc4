"""Which pooling over time: fixed r, and rules that choose r from normal clips alone.

    python benchmarks/accuracy/twfr.py --out benchmarks/accuracy/twfr.jsonl     # measure
    python benchmarks/accuracy/twfr.py --table benchmarks/accuracy/twfr.jsonl   # all rules
    python benchmarks/accuracy/twfr.py --table benchmarks/accuracy/twfr.jsonl --rules r=1 r=0.9 r=0.5 auto --readme README.md

Synthetic machines of known duty cycle, three seeds; and real recordings where $SKASD_REAL_DATA or ../shared/data holds them:
the split of the data set and five random draws of as many training normals. Each row is one JSON line: data set, machine
(with section), rule, seed or draw, AUC and standardised pAUC of its test clips, versions and commit.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from rows import append, environment, real_data

from skasd.datasets import make_machine_clips
from skasd.detectors import TWFRDetector
from skasd.features import LogMelTransformer
from skasd.metrics import auc_score, partial_auc_score

GRID = (1.0, 0.95, 0.9, 0.8, 0.7, 0.5, 0.46, 0.0)
COMBINED = (1.0, 0.95, 0.8, 0.5)
MACHINES = ("fan", "pump", "slider", "valve", "gearbox")
DUTY_CYCLES = (0.05, 0.1, 0.2, 0.4, 0.7, 1.0)
SNR_DB = (6.0, 15.0)
SEEDS = (101, 102, 103)
DRAWS = 5


def by_skewness(train):
    """One r: 0.5 where loud frames are rare, else 1."""
    (skewness,) = TWFRDetector(r=1.0).fit(train).skewness_.values()
    return 0.5 if skewness > 0.4 else 1.0


def by_proxy(train, rng):
    """The one r that best tells held-out normals from the same with a band changed, in all frames or in the loud ones."""
    half = rng.permutation(len(train))
    fit_on, held_out = train[half[::2]], train[half[1::2]]
    odd = np.stack([perturbed(clip, rng) for clip in held_out])
    labels = np.repeat([1, -1], len(odd))
    areas = [
        auc_score(labels, TWFRDetector(r=r).fit(fit_on).score_samples(np.concatenate([held_out, odd]))) for r in GRID
    ]
    return GRID[int(np.argmax(areas))]


def perturbed(clip, rng):
    n_bands, _ = clip.shape
    width = rng.integers(8, 40)
    low = rng.integers(0, n_bands - width)
    share = rng.choice([0.05, 0.2, 1.0])
    level = clip[low : low + width].mean(axis=0)
    loud = level >= np.quantile(level, 1 - share)
    clip = clip.copy()
    clip[low : low + width, loud] += rng.choice([-1, 1]) * 2.0 / np.sqrt(max(share, 0.2))
    return clip


def rules(train, seed):
    """Name of each rule with the r that it takes on these normal clips."""
    for r in GRID:
        yield f"r={r:g}", r
    yield "combined", COMBINED
    yield "skewness", by_skewness(train)
    yield "proxy", by_proxy(train, np.random.default_rng(seed))
    yield "auto", "auto"


def measured(train, test, y_true, seed):
    for rule, r in rules(train, seed):
        score_samples = TWFRDetector(r=r).fit(train).score_samples(test)
        yield {"rule": rule, "auc": auc_score(y_true, score_samples), "pauc": partial_auc_score(y_true, score_samples)}


def synthetic():
    """(labels of the row, training features, test features, truth) of each synthetic machine."""
    for seed in SEEDS:
        for snr_db in SNR_DB:
            for duty_cycle in DUTY_CYCLES:
                clips = make_machine_clips(
                    MACHINES, n_train=60, n_test_normal=40, n_test_anomaly=40, duration=4.0, duty_cycle=duty_cycle,
                    severity=0.7, snr_db=snr_db, random_state=seed,
                )  # fmt: skip
                features = np.stack(LogMelTransformer(norm=None, mel_scale="htk").fit_transform(clips.data)["log_mel"])
                for machine in MACHINES:
                    chosen = (clips.data["machine_type"] == machine).to_numpy()
                    train, test = (chosen & (clips.data["split"] == split).to_numpy() for split in ("train", "test"))
                    row = {
                        "dataset": "synthetic",
                        "machine": machine,
                        "duty_cycle": duty_cycle,
                        "snr_db": snr_db,
                        "seed": seed,
                    }
                    yield row, features[train], features[test], clips.target[test]


def real():
    folder = real_data()
    if not (folder / "clips.csv").is_file():
        return
    clips = pd.read_csv(folder / "clips.csv", dtype={"section": str})
    valve = clips[clips["dataset"] == "valve2023"]
    paths = [str(folder / path) for path in valve["path"]]
    yield from draws("valve2023", valve, LogMelTransformer(norm=None, mel_scale="htk").fit_transform(paths))
    toy_car = pd.read_csv(folder / "toycar2020_logmel" / "clips.csv", dtype=str)
    log_mel = np.load(folder / "toycar2020_logmel" / "log_mel.npy").astype(np.float32)
    for section, rows in toy_car.groupby("section"):
        yield from draws("toycar2020_logmel", rows, log_mel[rows.index], section)


def draws(dataset, clips, features, section="00"):
    """The split of the data set (seed None), then random draws of as many training normals."""
    y_true = np.where(clips["label"] == "anomaly", -1, 1)
    given = (clips["split"] == "train").to_numpy()
    normal = np.flatnonzero(y_true == 1)
    for seed in (None, *range(DRAWS)):
        train = given
        if seed is not None:
            train = np.isin(np.arange(len(clips)), np.random.default_rng(seed).permutation(normal)[: given.sum()])
        row = {"dataset": dataset, "machine": f"{clips['machine_type'].iloc[0]}/{section}", "seed": seed}
        yield row, features[train], features[~train], y_true[~train]


def measure(out):
    shared = {"detector": "TWFRDetector", **environment("numpy", "scipy", "scikit-learn")}
    out.unlink(missing_ok=True)
    for source in (real(), synthetic()):
        for row, train, test, y_true in source:
            for result in measured(train, test, y_true, row["seed"] or 0):
                append(out, {**row, **result}, shared)


def table(results, shown):
    """Markdown, a row per data set: AUC ± its standard deviation over seeds / pAUC, each a mean over machines."""
    rows = pd.read_json(results, lines=True, precise_float=True)
    is_real, has_seed = rows["dataset"] != "synthetic", rows["seed"].notna()
    kind = np.select([is_real & has_seed, is_real], [", random draws", ", its split"], "")
    duty_cycle = "synthetic, duty cycle " + rows["duty_cycle"].astype(str)
    rows["data"] = rows["dataset"].where(is_real, duty_cycle) + kind
    rows["seed"] = rows["seed"].fillna(-1)
    per_seed = rows.groupby(["data", "rule", "seed"])[["auc", "pauc"]].mean()
    mean, spread = per_seed.groupby(["data", "rule"]).mean(), per_seed.groupby(["data", "rule"])["auc"].std()
    lines = ["| AUC / pAUC | " + " | ".join(shown) + " |", "|---|" + "---|" * len(shown)]
    for data in mean.index.unique("data"):
        cells = []
        for key in [(data, rule) for rule in shown]:
            plus_minus = "" if np.isnan(spread[key]) else f" ± {spread[key]:.3f}"
            cells.append(f"{mean.loc[key, 'auc']:.3f}{plus_minus} / {mean.loc[key, 'pauc']:.3f}")
        lines.append(f"| {data} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def fill_in(readme, text):
    """Replace what stands between the two marks of the README."""
    before, start, rest = readme.read_text().partition("-->\n")
    _, end, after = rest.partition("<!-- end of table -->")
    readme.write_text(before + start + text + end + after)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="file to write the JSON lines to")
    parser.add_argument("--table", type=Path, help="file of JSON lines to make the table of")
    parser.add_argument(
        "--rules", nargs="+", default=["r=1", "r=0.9", "r=0.5", "combined", "skewness", "proxy", "auto"]
    )
    parser.add_argument("--readme", type=Path, help="file to write the table into, between its marks")
    arguments = parser.parse_args()
    if arguments.out:
        measure(arguments.out)
    if arguments.table:
        text = table(arguments.table, arguments.rules)
        print(text)
        if arguments.readme:
            fill_in(arguments.readme, text)


if __name__ == "__main__":
    main()
