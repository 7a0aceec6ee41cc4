r"""Contrastive learning with spectrum augmentation: which parts of it help, on real and synthetic machines, over seeds.

    python benchmarks/accuracy/contrastive_spectrum.py --out benchmarks/accuracy/contrastive_spectrum.jsonl
    python benchmarks/accuracy/contrastive_spectrum.py --table benchmarks/accuracy/contrastive_spectrum.jsonl \
        --into docs/user_guide/detectors/contrastive_spectrum.rst

Ablation: split frequency x random resize crop x second normalisation x positives across domains, with a network of two
stages; of data without domains the last has nothing to change and is left out. A fifth of the normal training clips is kept
from every training. They, against themselves with a fault made up (`proxies` of osscl.py), give the AUC that may choose a
setting: it knows no anomaly. Premise: views mixed above 2 kHz, below, in all bands or not at all, otherwise alike, to see
which bands carry the normal sound of each machine. Peers: other detectors on the same rows. Each row is one JSON line:
data, variant, its parts, seed, section, AUC and pAUC of the test clips, AUC of the proxies, seconds, versions and commit.
What is done already, by the same file, is passed over.
"""

import argparse
import itertools
import json
import time
from pathlib import Path

import numpy as np
import pandas as pd
from joint_ae_cnn import DATA as REAL
from osscl import proxies
from rows import append, environment, fill_in, list_table, mean_and_spread

from skasd.augmentations import SpectrumAugmentation
from skasd.datasets import make_machine_clips
from skasd.detectors import ContrastiveSpectrumDetector, OSSCLDetector, TWFRDetector
from skasd.features import LogMelTransformer
from skasd.metrics import auc_score, partial_auc_score

SEEDS = (0, 1, 2)
SPLITS = (0.0, 1000.0, 2000.0, 4000.0, "auto")
SMALL = {"bottlenecks": ((2, 64, 1, 2), (2, 64, 1, 2)), "learning_rate": 1e-3, "batch_size": 16}
EPOCHS = {"toycar": 12, "valve": 40, "synthetic": 16}
SEGMENT_LENGTH = 32  # frames: a second
CLIPS_OF_A_CAR = 80  # that are trained on, so that two hundred trainings end in an afternoon
COLUMNS = {
    "toycar": ("machine_type", "section"),
    "valve": ("section",),  # whose attributes are each of one domain: clusters are classes instead
    "synthetic": ("machine_type", "section"),
}
PREMISE = {
    "above": {"split_frequency": 2000.0},
    "below": {"split_frequency": 2000.0, "invert_mask": True},
    "all bands": {"split_frequency": 0.0},
    "nothing": {"mix_ratio": 0.0},
}
PARTS = {"resize_crop": "resize crop", "post_norm": "second normalisation", "cross_domain": "across domains"}


def synthetic():
    """Training table, test table and truth of six machine types in two domains."""
    clips = make_machine_clips(
        ("fan", "pump", "slider", "valve", "gearbox", "compressor"), n_train=50, target_share=0.2, random_state=0
    )
    test = (clips.data["split"] == "test").to_numpy()
    return clips.data[~test], clips.data[test], clips.target[test]


DATA = {**REAL, "synthetic": synthetic}


def as_features(table):
    """The table with log-mels in place of waveforms and paths."""
    if "log_mel" in table.columns:
        return table
    front_end = LogMelTransformer(n_fft=1024, norm=None, mel_scale="htk")
    return front_end.fit_transform(table).drop(columns=["path", "waveform"], errors="ignore")


def with_kept_clips(train, seed):
    """Training clips, and a fifth of each class and domain that is kept from them."""
    keys = [column for column in ("machine_type", "section", "attributes", "domain") if column in train.columns]
    kept = train.groupby(keys, dropna=False).sample(frac=0.2, random_state=seed)
    rest = train.drop(index=kept.index)
    if len(rest) > 4 * CLIPS_OF_A_CAR:
        rest = rest.groupby(["machine_type", "section"]).sample(CLIPS_OF_A_CAR, random_state=seed)
    return rest, kept


def ablation(data, has_domains):
    """Name and parts of each variant."""
    across = (True, False) if has_domains else (True,)
    for split, crop, norm, cross in itertools.product(SPLITS, (True, False), (True, False), across):
        yield {"split": split, "resize_crop": crop, "post_norm": norm, "cross_domain": cross}


def of_parts(parts):
    return SpectrumAugmentation(parts["split"], resize_crop=parts["resize_crop"], post_norm=parts["post_norm"])


def contrastive(data, augmentation, cross_domain=True):
    return ContrastiveSpectrumDetector(
        augmentation,
        cross_domain=cross_domain,
        segment_length=SEGMENT_LENGTH,
        label_columns=COLUMNS[data],
        max_epochs=EPOCHS[data],
        averaging_decay=None,
        **SMALL,
    )


def peers(data):
    """Name and detector of what it is compared with."""
    yield "TWFR", TWFRDetector(r=1.0 if data == "toycar" else "auto")
    yield (
        "OS-SCL, log-mel",
        OSSCLDetector(
            ("log_mel",), label_columns=COLUMNS[data], score_with="embedding", max_epochs=EPOCHS[data], **SMALL
        ),
    )


def variants(data, has_domains, what):
    """Kind, parts and detector of all that is measured."""
    if "ablation" in what:
        for parts in ablation(data, has_domains):
            yield "ablation", parts, contrastive(data, of_parts(parts), parts["cross_domain"])
    if "premise" in what:
        for name, settings in PREMISE.items():
            augmentation = SpectrumAugmentation(resize_crop=False, **settings)
            yield "premise", {"mixed": name}, contrastive(data, augmentation)
    if "peers" in what:
        for name, detector in peers(data):
            yield name, {}, detector


def measured(detector, tables, y_true, seed, data):
    train, kept, test = tables
    start = time.perf_counter()
    detector.set_params(random_state=seed).fit(train)
    seconds = time.perf_counter() - start
    known = test.assign(section=None, attributes=None) if data == "valve" else test
    kept = kept.assign(section=None, attributes=None) if data == "valve" else kept
    if isinstance(detector, TWFRDetector) and data == "valve":
        known, kept = test, kept.assign(section="00")
    score = detector.score_samples(known)
    both = np.concatenate([detector.score_samples(kept), detector.score_samples(proxies(kept, seed))])
    proxy = auc_score(np.repeat([1, -1], len(kept)), both)
    for names, rows in test.reset_index(drop=True).groupby(["machine_type", "section"]).groups.items():
        areas = {"auc": auc_score(y_true[rows], score[rows]), "pauc": partial_auc_score(y_true[rows], score[rows])}
        yield {"machine_type": names[0], "section": names[1], **areas, "proxy_auc": proxy, "fit_seconds": seconds}


def results(data, what, seeds, done):
    train, test, y_true = DATA[data]()
    train, test = as_features(train), as_features(test)
    has_domains = "domain" in train.columns and len(set(train["domain"])) > 1
    for seed in seeds:
        tables = (*with_kept_clips(train, seed), test)
        for kind, parts, detector in variants(data, has_domains, what):
            shared = {"data": data, "variant": kind, **parts, "seed": seed}
            if key(shared) not in done:
                for row in measured(detector, tables, y_true, seed, data):
                    yield {**shared, **row}


def key(row):
    return tuple(str(row.get(name)) for name in ("data", "variant", "mixed", "split", *PARTS, "seed"))


def finished(path):
    """Keys of the rows that a file holds already."""
    if not path.exists():
        return set()
    return {key(json.loads(line)) for line in path.read_text().splitlines()}


def read(path, data):
    rows = pd.DataFrame([json.loads(line) for line in path.read_text().splitlines()])
    return rows[rows["data"] == data]


def table(path, data):
    """reStructuredText: AUC, pAUC and AUC of proxies of each variant, mean and standard deviation over seeds."""
    lines, rows = [], read(path, data)
    rows = rows[rows["variant"] != "premise"]
    for (variant, split, *parts), group in rows.groupby(["variant", "split", *PARTS], dropna=False):
        by_seed = group.groupby("seed")[["auc", "pauc", "proxy_auc"]].mean()
        cells = [mean_and_spread(by_seed[name]) for name in ("auc", "pauc", "proxy_auc")]
        lines.append((by_seed["proxy_auc"].mean(), [_name(variant, split), *map(_flag, parts), *cells]))
    lines.sort(key=lambda line: -line[0])
    head = ["mixed from", *PARTS.values(), "AUC", "pAUC", "AUC of proxies"]
    return list_table(head, [cells for _, cells in lines])


def table_of_parts(path, data):
    """reStructuredText: what each part changes, all others equal: mean of the paired differences over settings and seeds."""
    rows = read(path, data)
    rows = rows[rows["variant"] == "ablation"]
    by_run = rows.groupby(["split", *PARTS, "seed"], dropna=False)[["auc", "proxy_auc"]].mean()
    lines = [
        [f"{_name('ablation', split)} for all bands", *_change(by_run, "split", split, 0.0)] for split in SPLITS[1:]
    ]
    lines += [[name, *_change(by_run, part, True, False)] for part, name in PARTS.items()]
    return list_table(["part", "AUC", "AUC of proxies"], [line for line in lines if line[1]])


def table_of_premise(path):
    """reStructuredText: AUC of each machine type where views are mixed in these bands, mean and spread over seeds."""
    rows = pd.concat([read(path, data) for data in DATA])
    rows = rows[rows["variant"] == "premise"]
    rows["name"] = np.where(rows["data"] == "synthetic", "synthetic ", "real ") + rows["machine_type"]
    lines = []
    for name, group in rows.groupby("name"):
        by_seed = group.groupby(["mixed", "seed"])["auc"].mean()
        lines.append([name, *(mean_and_spread(by_seed.loc[mixed]) for mixed in PREMISE)])
    return list_table(
        ["machine", *(f"mixed {where}" if where != "nothing" else "not mixed" for where in PREMISE)], lines
    )


def _change(by_run, level, one, other):
    """Mean difference of AUC and of that of proxies, with the standard deviation over seeds."""
    values = by_run.index.get_level_values(level)
    if not {one, other} <= set(values):
        return ["", ""]
    change = by_run.xs(one, level=level) - by_run.xs(other, level=level)
    by_seed = change.groupby("seed").mean()
    return [f"{by_seed[name].mean():+.3f} ± {by_seed[name].std(ddof=1):.3f}" for name in ("auc", "proxy_auc")]


def _name(variant, split):
    if variant != "ablation":
        return variant
    return "auto" if split == "auto" else f"{split / 1000:g} kHz"


def _flag(value):
    return "" if pd.isna(value) else "yes" if value else "no"


def show(name, text, page):
    print(text)
    if page:
        fill_in(page, name, text)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="file to append the JSON lines to")
    parser.add_argument("--data", nargs="+", default=list(DATA), choices=DATA)
    parser.add_argument("--what", nargs="+", default=["premise", "peers", "ablation"])
    parser.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS))
    parser.add_argument("--table", type=Path, help="file of JSON lines to make tables of")
    parser.add_argument("--into", type=Path, help="page to write the tables into, between their marks")
    arguments = parser.parse_args()
    if arguments.out:
        shared = environment("numpy", "scikit-learn", "torch", "skorch")
        for data in arguments.data:
            for row in results(data, arguments.what, arguments.seeds, finished(arguments.out)):
                append(arguments.out, row, shared)
    if arguments.table:
        for data in arguments.data:
            show(data, table(arguments.table, data), arguments.into)
            show(f"parts of {data}", table_of_parts(arguments.table, data), arguments.into)
        show("premise", table_of_premise(arguments.table), arguments.into)


if __name__ == "__main__":
    main()
