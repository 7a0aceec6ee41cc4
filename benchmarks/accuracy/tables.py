"""Tables of the documentation, from the committed results: CSV files of the user guide.

    python benchmarks/accuracy/tables.py

writes docs/user_guide/results/*.csv, which the pages include, and measured.csv, which says of each table with which version
of skasd and when its results were measured. A test compares what is committed with what this makes.
"""

import json
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import binomtest, poisson, spearmanr

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
RESULTS = ROOT / "docs" / "user_guide" / "results"
MEASURED = RESULTS / "measured.csv"

SPLITS = (0.0, 1000.0, 2000.0, 4000.0, "auto")
PARTS = {"resize_crop": "resize crop", "post_norm": "second normalisation", "cross_domain": "across domains"}
MIXED = {"above": "mixed above", "below": "mixed below", "all bands": "mixed all bands", "nothing": "not mixed"}
KINDS = ("band_gain", "clicks", "mix", "stretch")
OF_SYSTEMS = {
    "auc_source": "AUC source",
    "auc_target": "AUC target",
    "pauc": "pAUC",
    "official": "official",
    "rand_index": "agreement",
    "rand_index_source": "of source",
}
RULES = ("r=1", "r=0.9", "r=0.5", "auto")
FIRST_DETECTORS = (
    "statistics",
    "TWFR, auto",
    "Gaussian on the time mean",
    "MFCC, kNN",
    "MFCC, isolation forest",
    "MFCC, PyOD kNN",
    "MFCC, PyOD autoencoder",
)
OTHERS = FIRST_DETECTORS[1:]  # that StatisticsDetector should not be worse than
INTERMITTENT = ("slider", "valve", "duty cycle")
EXPERTS_OF = {regime: f"experts of {regime} machines" for regime in ("steady", "intermittent", "impulsive")}
NETWORKS = ("statistics", "OS-SCL", "StatCluster", "contrastive spectrum", "joint AE-CNN", "self-supervised")
BACK_ENDS = ("whitened nearest neighbours", "local density")
WAYS_OF_TWO = (
    "near",
    "mean",
    "near minus far in time",
    "Wiener filter of the far one",
    "mel powers, near minus far",
    "log-mels, near minus half of far",
    "residual",
)
SIZES = (100, 1000, 10_000, 100_000)
OF_GROWTH = (
    "TWFRDetector",
    "StatisticsDetector",
    "StatisticsDetector, approximate",
    "CalibratedDetector, leave one out",
    "CalibratedDetector, split",
    "suite",
    "folder",
)
NEIGHBORS_OF_GROWTH = (
    *(
        f"{name}{way}"
        for name in ("KNNScorer", "ScaledKNNScorer", "LocalDensityScorer")
        for way in ("", ", approximate")
    ),
    "NearestNeighbors of scikit-learn",
    "LocalOutlierFactor of scikit-learn",
    "KNN of PyOD",
)
WAYS_OF_SUPPLEMENTAL = ("near", "noise clips", "clean clips", "clean clips alone", "more noisy clips")
PARTS_OF_STATISTICS = (
    *(f"without {part}" for part in ("standardize", "dynamics", "modulation", "q0.25", "level")),
    "one expert with all pairs",
    *(EXPERTS_OF[regime] for regime in ("steady", "intermittent", "impulsive")),
)
FAULTS = ("bearing", "imbalance", "leak", "missing", "squeal")
LIMITS = {
    "spread": (0.0, 6.0, 7.0, 8.0, 8.5, 9.0, 10.0, 12.0, 100.0),
    "peak": (0.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 5.5, 100.0),
}


FILES = set()  # that were read since it was cleared: the results that a table is made of


def _read(file):
    """Rows of a file with committed results."""
    FILES.add(file)
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def results_of(suite):
    """Results of a suite, the last of each data set, detector and seed; tags become columns."""
    last = {}
    for row in _read(HERE / "results" / suite / "results.jsonl"):
        way = row["score_with"] or ""
        names = {"variant": row["detector"].removesuffix(f", {way}"), "score": way}
        last[row["data"], row["detector"], row["seed"]] = {**row, **names, **row["tags"]}
    return list(last.values())


def rows_of(suite):
    """One row for each result and section."""
    rows = []
    for result in results_of(suite):
        (faults,) = (result["proxies"] or {"none": {}}).values()
        shared = {name: value for name, value in result.items() if name not in ("proxies", "sections", "machines")}
        shared |= {"proxy_auc": faults.get("auc"), "proxy_auc_pooled": faults.get("auc_pooled")}
        rows += [{**shared, **section} for section in result["sections"]]
    return pd.DataFrame(rows)


def mean_and_spread(values, digits=3, sign=""):
    """Mean ± standard deviation, the latter where there are several values; nothing of none."""
    if values.isna().all():
        return ""
    spread = f" ± {values.std(ddof=1):.{digits}f}" if len(values) > 1 else ""
    return f"{values.mean():{sign}.{digits}f}{spread}"


def osscl(data):
    """A row for each variant and way to score: AUC of each machine, mean over seeds; then means over machines."""
    rows = rows_of("osscl")
    rows = rows[rows["data"] == data]
    others = {"pauc": "pAUC"}
    if data == "search":
        others["proxy_auc"] = "proxies"
        rows = rows[rows["score"].isin(("label", "embedding, LOF", "label + LOF"))]
    by_machine = "machine_type" if data == "synthetic" else "section"
    lines = []
    for (variant, way), group in rows.groupby(["variant", "score"], sort=False):
        machines = group.groupby(by_machine)["auc"].mean().map("{:.3f}".format)
        by_seed = group.groupby("seed")[["auc", *others]].mean()
        means = {name: f"{by_seed[column].mean():.3f}" for column, name in others.items()}
        lines.append({"variant": variant, "score": way, **machines, "AUC": mean_and_spread(by_seed["auc"]), **means})
    return pd.DataFrame(lines)


def settings_of_augmentation(data):
    """A row for each setting, the best by proxies first: AUC, pAUC and AUC of proxies, over seeds."""
    rows = rows_of("contrastive_spectrum")
    rows = rows[(rows["data"] == data) & (rows["variant"] != "premise")]
    lines = []
    for (variant, split, *parts), group in rows.groupby(["variant", "split", *PARTS], dropna=False):
        by_seed = group.groupby("seed")[["auc", "pauc", "proxy_auc_pooled"]].mean()
        flags = {name: _flag(part) for name, part in zip(PARTS.values(), parts, strict=True)}
        areas = {
            "AUC": mean_and_spread(by_seed["auc"]),
            "pAUC": mean_and_spread(by_seed["pauc"]),
            "AUC of proxies": mean_and_spread(by_seed["proxy_auc_pooled"]),
        }
        name = variant if variant != "ablation" else _name(split)
        lines.append((by_seed["proxy_auc_pooled"].mean(), {"mixed from": name, **flags, **areas}))
    return pd.DataFrame([line for _, line in sorted(lines, key=lambda line: -line[0])])


def parts_of_augmentation(data):
    """What each part changes where all others are equal: mean of the paired differences over settings and seeds."""
    rows = rows_of("contrastive_spectrum")
    rows = rows[(rows["data"] == data) & (rows["variant"] == "ablation")]
    by_run = rows.groupby(["split", *PARTS, "seed"], dropna=False)[["auc", "proxy_auc_pooled"]].mean()
    parts = [(f"{_name(split)} for all bands", "split", split, 0.0) for split in SPLITS[1:]]
    parts += [(name, part, True, False) for part, name in PARTS.items()]
    return pd.DataFrame(
        [
            {"part": name, **_change(by_run, level, one, other)}
            for name, level, one, other in parts
            if {one, other} <= set(by_run.index.get_level_values(level))
        ]
    )


def _change(by_run, level, one, other):
    change = (by_run.xs(one, level=level) - by_run.xs(other, level=level)).groupby("seed").mean()
    titles = {"auc": "AUC", "proxy_auc_pooled": "AUC of proxies"}
    return {title: mean_and_spread(change[column], sign="+") for column, title in titles.items()}


def _name(split):
    return "auto" if split == "auto" else f"{split / 1000:g} kHz"


def _flag(value):
    return "" if pd.isna(value) else "yes" if value else "no"


def premise_of_augmentation():
    """AUC of each machine type where views are mixed in these bands."""
    rows = rows_of("contrastive_spectrum")
    rows = rows[rows["variant"] == "premise"]
    machine = rows["data"].map(lambda data: "synthetic " if data == "synthetic" else "real ") + rows["machine_type"]
    lines = []
    for name, group in rows.groupby(machine):
        by_seed = group.groupby(["mixed", "seed"])["auc"].mean()
        lines.append({"machine": name, **{title: mean_and_spread(by_seed.loc[key]) for key, title in MIXED.items()}})
    return pd.DataFrame(lines)


def joint_ae_cnn(data):
    """A row for each detector and way to score: AUC of each section, then of all, and pAUC."""
    rows = rows_of("joint_ae_cnn")
    rows = rows[rows["data"] == data]
    lines = []
    for (variant, way), group in rows.groupby(["variant", "score"], sort=False):
        sections = group.groupby("section")["auc"].mean().map("{:.3f}".format)
        by_seed = group.groupby("seed")[["auc", "pauc"]].mean()
        lines.append(
            {
                "detector": variant,
                "scored by": way,
                **(sections if len(sections) > 1 else {}),
                "AUC": mean_and_spread(by_seed["auc"]),
                "pAUC": mean_and_spread(by_seed["pauc"]),
                "fit in s": f"{group['fit_seconds'].mean():.0f}",
            }
        )
    return pd.DataFrame(lines)


def stat_cluster():
    """A row for each system: the figures of the challenge, and how well its classes agree with the patterns."""
    alone = [{"data": "known", "variant": row["system"], **row} for row in clusters_of("kNN")]
    rows = pd.DataFrame([*alone, *map(_of_system, results_of("stat_cluster"))])
    lines = []
    for (system, attributes), group in rows.groupby(["variant", "data"], sort=False):
        figures = {title: mean_and_spread(group[column]) for column, title in OF_SYSTEMS.items()}
        seconds = mean_and_spread(group["fit_seconds"], 0)
        lines.append({"system": system, "attributes": attributes, **figures, "fit in s": seconds})
    return pd.DataFrame(lines)


def _of_system(result):
    parts = {part["metric"]: part["value"] for part in result["official_parts"]}
    agreement = result["agreement"] or {}
    figures = {"official": result["official_score"], "rand_index": agreement.get("all")}
    return {**result, **parts, **figures, "rand_index_source": agreement.get("source")}


def clusters_of(start):
    """Rows of clusters.py whose name begins so."""
    rows = _read(HERE / "results" / "stat_cluster" / "clusters.jsonl")
    return [row for row in rows if row["system"].startswith(start)]


def clusters():
    """How well each method of clustering finds the patterns."""
    rows = pd.DataFrame(clusters_of("clusters: "))
    return pd.DataFrame(
        {
            "clusters": rows["system"].str.removeprefix("clusters: "),
            "agreement": rows["rand_index"].map("{:.3f}".format),
            "of source": rows["rand_index_source"].map("{:.3f}".format),
        }
    )


def proxies():
    """Rank correlation of proxies of each kind with true anomalies, and the AUC of the setting that they choose."""
    rows = pd.DataFrame(
        [
            {
                "data": f"{result['data']} {machine['machine_type']}",
                "seed": result["seed"],
                "auc": machine["auc_official"],
                **{kind: figures["machines"][machine["machine_type"]] for kind, figures in result["proxies"].items()},
            }
            for result in results_of("proxy_anomalies")
            for machine in result["machines"][:-1]
        ]
    )
    rows["mean of all"] = rows[list(KINDS)].mean(axis=1)
    lines = []
    for data, group in rows.groupby("data", sort=False):
        by_seed = [of_seed for _, of_seed in group.groupby("seed")]
        line = {"data": data}
        for kind in (*KINDS, "mean of all"):
            ranks = pd.Series([_rank_correlation(one, kind) for one in by_seed])
            line[kind.replace("_", " ")] = mean_and_spread(ranks, 2)
        chosen = pd.Series([one.loc[one["mean of all"].idxmax(), "auc"] for one in by_seed])
        line["AUC chosen"] = mean_and_spread(chosen)
        for title, what in (("median", "median"), ("best", "max")):
            line[title] = mean_and_spread(pd.Series([getattr(one["auc"], what)() for one in by_seed]))
        lines.append(line)
    return pd.DataFrame(lines)


def _rank_correlation(rows, kind):
    """Spearman's, 0 where the proxies cannot tell one setting from another."""
    if rows[kind].nunique() < 2 or rows["auc"].nunique() < 2:
        return 0.0
    return spearmanr(rows[kind], rows["auc"]).statistic


def twfr(rules=RULES):
    """A row for each data set: AUC ± its standard deviation over seeds / pAUC, each a mean over machines."""
    rows = rows_of("twfr")
    rows["data"] = rows["data"].str.replace(r", \d+ dB$", "", regex=True)
    by_seed = rows.groupby(["data", "detector", "seed"])[["auc", "pauc"]].mean()
    lines = []
    for data in sorted(set(rows["data"])):
        areas = {rule: by_seed.loc[data, rule] for rule in rules}
        cells = {rule: f"{mean_and_spread(of['auc'])} / {of['pauc'].mean():.3f}" for rule, of in areas.items()}
        lines.append({"AUC / pAUC": data, **cells})
    return pd.DataFrame(lines)


def _zoo(detectors=None):
    """AUC and pAUC of each machine and seed by detector; `set` is the real data set, or the kind of synthetic machine."""
    rows = rows_of("zoo")
    rows = rows if detectors is None else rows[rows["detector"].isin(detectors)]
    is_real = rows["data"].str.contains("20")
    of_time = rows["data"].str.contains("|".join(INTERMITTENT)).map({True: "intermittently", False: "steadily"})
    return rows.assign(set=rows["data"].where(is_real, "synthetic, sounding " + of_time))


def zoo():
    """A row for each data set: AUC ± its standard deviation over seeds / pAUC, each a mean over machines."""
    rows = _zoo(FIRST_DETECTORS)
    lines = []
    for data, group in rows.groupby("set", sort=False):
        by_seed = group.groupby(["detector", "seed"])[["auc", "pauc"]].mean()
        cells = {
            name: f"{mean_and_spread(by_seed.loc[name, 'auc'])} / {by_seed.loc[name, 'pauc'].mean():.3f}"
            for name in FIRST_DETECTORS
        }
        lines.append({"AUC / pAUC": data, **cells})
    return pd.DataFrame(lines)


def zoo_machines():
    """A row for each synthetic machine: AUC of each detector, mean over seeds, and the lead over the best other one."""
    rows = _zoo(FIRST_DETECTORS)
    rows = rows[rows["set"].str.startswith("synthetic")]
    areas = rows.pivot_table(index=["data", "section"], columns="detector", values="auc", sort=False)[
        list(FIRST_DETECTORS)
    ]
    areas["ahead of the best other"] = areas["statistics"] - areas[list(OTHERS)].max(axis=1)
    table = areas.map("{:.3f}".format)
    table["ahead of the best other"] = areas["ahead of the best other"].map("{:+.3f}".format)
    return table.reset_index().rename(columns={"data": "machine"})


def statistics_parts():
    """A row for each variant of StatisticsDetector: AUC / pAUC on each data set, means over machines and seeds."""
    rows = _zoo()
    rows = rows[~rows["detector"].isin(FIRST_DETECTORS[1:])]
    means = rows.groupby(["detector", "set"], sort=False)[["auc", "pauc"]].mean()
    lines = []
    for name in rows["detector"].unique():
        cells = {
            data: f"{means.loc[(name, data), 'auc']:.3f} / {means.loc[(name, data), 'pauc']:.3f}"
            for data in rows["set"].unique()
        }
        lines.append({"experts": "auto" if name == "statistics" else name, **cells})
    return pd.DataFrame(sorted(lines, key=lambda line: line["experts"] != "auto"))


def statistics_families():
    """A row for each part of StatisticsDetector: what it adds to the pAUC of each family, and whether the others want it.

    A family is left out in turn: the part is wanted if it adds something on average over the others.
    """
    rows = _zoo()
    rows = rows[~rows["data"].str.contains("split")]  # the draws are of the same clips
    families = rows["data"].str.extract(r"^(\w+)")[0]
    means = rows.assign(family=families).pivot_table(index="detector", columns="family", values="pauc", sort=False)
    lines = []
    for name in PARTS_OF_STATISTICS:
        gain = means.loc["statistics"] - means.loc[name]
        wanted = [(gain.sum() - gain[family]) / (len(gain) - 1) >= 0 for family in gain.index]
        cells = {family: f"{gain[family]:+.3f}" for family in gain.index}
        lines.append(
            {"part": name.removeprefix("without "), **cells, "wanted by the others": f"{sum(wanted)} of {len(wanted)}"}
        )
    return pd.DataFrame(lines)


def regimes(limited):
    """A row for each limit of the spread or of the peak, the other as it is: AUC of the experts that it would choose."""
    measures = _lines("regimes")
    areas = _zoo(list(EXPERTS_OF.values())).pivot_table(
        index=["set", "data", "section", "seed"], columns="detector", values="auc"
    )
    joined = areas.reset_index().merge(measures, on=["data", "section", "seed"])
    lines = []
    for limit in LIMITS[limited]:
        spread, peak = (limit, 4.0) if limited == "spread" else (8.5, limit)
        regime = np.where(
            joined["peak"] > peak, "impulsive", np.where(joined["spread"] <= spread, "steady", "intermittent")
        )
        chosen = [row[EXPERTS_OF[name]] for name, (_, row) in zip(regime, joined.iterrows(), strict=True)]
        means = joined.assign(auc=chosen).groupby("set")["auc"].mean().map("{:.3f}".format)
        lines.append({f"limit of the {limited} in dB": "none" if limit == 100 else f"{limit:g}", **means})
    return pd.DataFrame(lines)


def which_detector():
    """A row for each detector of the suites: AUC and pAUC on either data set, and what fitting and scoring cost."""
    results = pd.DataFrame(_read(HERE / "results" / "results.jsonl"))
    every = pd.DataFrame([machines[-1] for machines in results["machines"]])  # the last row is over all machine types
    results = results.assign(auc=every["auc_official"], pauc=every["pauc_official"])
    table = []
    for _, group in results.groupby("detector", sort=False):
        row = {"detector": group["class"].iloc[0]}
        if row["detector"] == "EnsembleDetector":
            row["detector"] = "EnsembleDetector, TWFR and autoencoder"
        for data, title in (("toycar2020", "toy cars"), ("valve2023", "valve")):
            of_data = group[group["data"] == data]
            row[f"{title}: AUC"] = mean_and_spread(of_data["auc"])
            row[f"{title}: pAUC"] = f"{of_data['pauc'].mean():.3f}"
            row[f"{title}: fit in s"] = _seconds(of_data["fit_seconds"].mean())
        cars = group[group["data"] == "toycar2020"]
        row["ms per clip"] = f"{1000 * (cars['score_seconds'] / cars['n_test']).mean():.1f}"
        row["peak GB"] = f"{cars['peak_bytes'].mean() / 1e9:.1f}"
        table.append(row)
    return pd.DataFrame(sorted(table, key=lambda row: row["detector"] != "StatisticsDetector"))  # the one to start with


def _seconds(value):
    return f"{value:.0f}" if value >= 1 else f"{value:.1f}" if value >= 0.1 else "< 0.1"


def _lines(name):
    """Committed lines of a measurement without a suite."""
    return pd.DataFrame(_read(HERE / "results" / name / "results.jsonl")).drop(columns=["date", "commit", "versions"])


def false_alarms():
    """False alarm rates in per cent with their 95 % intervals, over all draws; in brackets where the detector warns."""
    rows = []
    for (detector, data, n_train), lines in _lines("false_alarms").groupby(["detector", "data", "n_train"], sort=False):
        row = {"detector": detector, "clips of": data, "training clips": n_train, "draws": lines["draw"].nunique()}
        for share, of_share in lines.groupby("contamination", sort=False):
            result = binomtest(int(of_share["n_alarms"].sum()), int(of_share["n_new"].sum()))
            low, high = result.proportion_ci()
            text = f"{100 * result.statistic:.1f} ({100 * low:.1f} to {100 * high:.1f})"
            row[f"{100 * share:g} % asked"] = f"[{text}]" if (of_share["said"] != "").any() else text
        rows.append(row)
    return pd.DataFrame(sorted(rows, key=lambda row: row["detector"] != "StatisticsDetector"))  # the one to start with


def _decisions(kind, *columns):
    """Rows of one kind of the benchmark of decisions, with what their cells name as columns."""
    rows = [row for row in _read(HERE / "results" / "decisions" / "results.jsonl") if row["cell"][0] == kind]
    return pd.DataFrame([dict(zip(columns, row["cell"][1:], strict=True)) | row for row in rows])


def decisions_validity():
    """Measured false alarm rates in per cent, by detector, method and number of calibration clips."""
    rows = []
    columns = ("detector", "method", "calibration clips")
    for cell, of_cell in _decisions("validity", *columns).groupby(list(columns), sort=False):
        row = dict(zip(columns, cell, strict=True)) | {"draws": of_cell["repetitions"].iloc[0]}
        for alpha in (0.01, 0.05, 0.1):
            found = of_cell[of_cell["alpha"] == alpha]
            text = [
                f"{100 * one.rate:.1f} ± {200 * one.error:.1f} (expected {100 * one.expected:.1f})"
                for one in found.itertuples()
            ]
            row[f"{100 * alpha:g} % asked"] = text[0] if text else "too few clips"
        rows.append(row)
    return pd.DataFrame(rows)


def decisions_real():
    """False alarm rates in per cent on real normal clips, with their 95 % intervals."""
    rows = []
    for (data, detector), of_cell in _decisions("real", "clips of", "detector").groupby(
        ["clips of", "detector"], sort=False
    ):
        row = {"clips of": data, "detector": detector, "calibration clips": of_cell["n"].iloc[0]}
        for alpha in (0.01, 0.05, 0.1):
            text = ""
            for one in of_cell[of_cell["alpha"] == alpha].itertuples():
                low, high = binomtest(round(one.rate * one.n_new), one.n_new).proportion_ci()
                text = f"{100 * one.rate:.1f} ({100 * low:.1f} to {100 * high:.1f})"
            row[f"{100 * alpha:g} % asked"] = text or "too few clips"
        rows.append(row)
    return pd.DataFrame(rows)


def decisions_selection():
    """Realised false discovery proportion and power of a selection, and of a threshold."""
    rows = []
    names = ["machine", "faults"]
    for (machine, share), of_cell in _decisions("selection", *names).groupby(names, sort=False):
        row = {"machine": machine, "faults in the batch": f"{100 * share:g} %"}
        for how, title in (("fdr", "selection"), ("alpha", "threshold")):
            one = of_cell[of_cell["how"] == how].iloc[0]
            row[f"{title}: normal ones among the selected"] = f"{one['fdp']:.3f} ± {one['error']:.3f}"
            row[f"{title}: faults found"] = "" if share == 0 else f"{one['power']:.2f}"
        rows.append(row)
    return pd.DataFrame(rows)


def decisions_drift():
    """Alarms of the test of exchangeability before and after a change."""
    rows = _decisions("drift", "machine", "change", "detector")
    delays = ["" if np.isnan(delay) else f"{delay:.0f}" for delay in rows["median_delay"].astype(float)]
    return pd.DataFrame(
        {
            "machine": rows["machine"],
            "change": rows["change"],
            "detector": rows["detector"],
            "alarms before": [f"{n} of {of}" for n, of in zip(rows["n_early"], rows["repetitions"], strict=True)],
            "within 50 clips after": [
                f"{n} of {of}" for n, of in zip(rows["n_within_50"], rows["repetitions"], strict=True)
            ],
            "median number of clips": delays,
        }
    )


def _monitoring(kind, *columns):
    """Rows of one kind of the benchmark of the monitor, with what their cells name as columns."""
    rows = _lines("monitoring")
    rows = rows[[cell[0] == kind for cell in rows["cell"]]].reset_index(drop=True)
    cells = pd.DataFrame([cell[1:] for cell in rows["cell"]], columns=list(columns))
    return pd.concat([cells, rows.drop(columns="cell").dropna(axis=1, how="all")], axis=1)


def monitoring_episodes():
    """False episodes in 48 hours of normal sound, and single windows above a plain threshold."""
    columns = ("machine", "detector", "rate")
    rows, orders = _monitoring("normal", *columns), _monitoring("order", *columns)
    both = rows.merge(orders, on=list(columns), validate="one_to_one").sort_values(list(columns), ignore_index=True)
    low, high = (poisson.ppf(end, both["rate"] * both["hours"] / 24).astype(int) for end in (0.025, 0.975))
    return pd.DataFrame(
        {
            "machine": both["machine"],
            "detector": both["detector"],
            "asked per day": both["rate"].map("{:g}".format),
            "95 % interval, per day": [
                f"{a:.1f} to {b:.1f}" for a, b in zip(both["lowest"], both["highest"], strict=True)
            ],
            "episodes in 48 h": both["n_episodes"].astype(int),
            "95 % of a Poisson count": [f"{a} to {b}" for a, b in zip(low, high, strict=True)],
            "per day, other orders": both["per_day"].map("{:.2f}".format),
            "windows above a plain threshold": both["n_windows"].astype(int),
        }
    )


def monitoring_faults():
    """Faults that are missed within 4.5 minutes, and the median delay until the others are told, over machines."""
    rows, found = _monitoring("fault", "machine", "detector", "severity"), []
    titles = {"episodes": "monitor", "learnt": "plain threshold", "afterwards": "plain threshold, set afterwards"}
    for (detector, severity), part in rows.groupby(["detector", "severity"]):
        row = {"detector": detector, "severity": f"{severity:g}"}
        for how, title in titles.items():
            delays = np.concatenate([np.array(one, dtype=float) for one in part.loc[part["how"] == how, "delays"]])
            row["faults"] = len(delays)
            row[f"{title}: missed"] = f"{100 * np.isnan(delays).mean():.0f} %"
            row[f"{title}: delay"] = "" if np.isnan(delays).all() else f"{np.nanmedian(delays):.0f} s"
        found.append(row)
    return pd.DataFrame(found)


def monitoring_changes():
    """What six hours after a change of a healthy machine bring, over machines."""
    found = []
    for (change, detector), part in _monitoring("change", "machine", "detector", "change").groupby(
        ["change", "detector"], sort=False
    ):
        drift = part["drift"].astype(float).dropna() if "drift" in part else pd.Series(dtype=float)
        found.append(
            {
                "change": change,
                "detector": detector,
                "drift alarms": f"{len(drift)} of {len(part)} machines",
                "median time until it, h": "" if drift.empty else f"{drift.median():.1f}",
                "episodes, median": f"{part['n_episodes'].median():g}",
                "episodes, most": int(part["n_episodes"].max()),
                "windows above a plain threshold, median": f"{part['n_windows'].median():g}",
            }
        )
    return pd.DataFrame(found)


def monitoring_drift():
    """Share of sequences of 48 hours of normal sound with a false alarm about drift."""
    rows = []
    for (machine, detector), part in _monitoring("drift", "machine", "detector", "interval").groupby(
        ["machine", "detector"]
    ):
        counts = {
            f"every {one.interval / 60:g} min": f"{one.n_alarms:.0f} of {one.orders:.0f}" for one in part.itertuples()
        }
        rows.append({"machine": machine, "detector": detector, **counts})
    return pd.DataFrame(rows)


def monitoring_tail():
    """Rate at the threshold that was learnt from sequences with a known one, 1 per day asked."""
    rows = _monitoring("tail", "scores", "days", "rate")
    return pd.DataFrame(
        {
            "scores": rows["scores"],
            "learning, h": (24 * rows["days"]).map("{:g}".format),
            "mean rate per day": rows["per_day"].map("{:.2f}".format),
            "rate inside the interval": (100 * rows["inside"]).map("{:.0f} %".format),
            "above it": (100 * rows["above"]).map("{:.0f} %".format),
            "median interval": [f"{a:.2f} to {b:.2f}" for a, b in zip(rows["lowest"], rows["highest"], strict=True)],
        }
    )


def few_clips():
    """Share of faults found and of false alarms, over the number of training clips."""
    of_size = _lines("few_clips").groupby("n_train")[["faults_found", "false_alarms"]].mean().round(2).reset_index()
    return of_size.set_axis(["training clips", "faults found", "false alarms"], axis=1)


def _networks(ways):
    """AUC and pAUC of the networks suite, a mean over machines for each task, of results scored in these ways."""
    rows = rows_of("networks")
    rows = rows[rows["score"].isin(ways)]
    rows["detector"] = [
        name.removesuffix(f", {way}") for name, way in zip(rows["detector"], rows["score"], strict=True)
    ]
    columns = ["data", "detector", "score", "seed"]
    return rows.groupby(columns, sort=False)[["auc", "pauc", "fit_seconds"]].mean().reset_index()


def networks():
    """A row for each default network and way to score: AUC and pAUC on either data set, and how long a fit takes."""
    rows = _networks(("", "auto", "embedding"))
    rows = rows[rows["detector"].isin(NETWORKS)]
    table = []
    for (detector, score), group in rows.groupby(["detector", "score"], sort=False):
        row = {"detector": detector, "score": {"auto": "with statistics", "embedding": "alone"}.get(score, "")}
        row["seeds"] = group["seed"].nunique()
        for data in ("valve", "toycar"):
            of_data = group[group["data"] == data]
            row |= {
                f"{data}, AUC": mean_and_spread(of_data["auc"]),
                f"{data}, pAUC": mean_and_spread(of_data["pauc"]),
                f"{data}, s": "" if of_data.empty else round(of_data["fit_seconds"].mean()),
            }
        table.append(row)
    return pd.DataFrame(table)


def zoo_networks():
    """A row for the statistics, and for each network with and without them: AUC and pAUC over synthetic machines."""
    rows = rows_of("zoo_networks")
    names = rows["detector"].str.rsplit(", ", n=1, expand=True)
    rows = rows.assign(detector=names[0], score=names[1].map({"auto": "with statistics", "embedding": "alone"}))
    place = ["data", "section", "seed"]
    known = _zoo(["statistics"]).set_index(place)[["auc", "pauc"]]
    heard = known.loc[known.index.intersection(pd.MultiIndex.from_frame(rows[place].drop_duplicates()))]
    table = [{"detector": "statistics", "score": "", **_over_machines(heard.reset_index())}]
    for (detector, score), group in rows.groupby(["detector", "score"], sort=False):
        lead = group.set_index(place)["auc"] - known["auc"].reindex(pd.MultiIndex.from_frame(group[place])).to_numpy()
        by_machine = lead.groupby(["data", "section"]).mean()
        worst = by_machine.idxmin()
        row = {"detector": detector, "score": score, **_over_machines(group), "lead": f"{by_machine.mean():+.3f}"}
        if score == "with statistics":
            row |= {"worst": f"{worst[0]}, {worst[1]}", "lead there": f"{by_machine.min():+.3f}"}
        table.append(row)
    return pd.DataFrame(table)


def _over_machines(rows):
    by_machine = rows.groupby(["data", "section"])[["auc", "pauc"]].mean()
    seeds = rows.groupby(["data", "section"])["seed"].nunique()
    fewest, most = seeds.min(), seeds.max()
    counts = {"machines": len(by_machine), "seeds": f"{most}" if fewest == most else f"{fewest} to {most}"}
    return counts | {"AUC": f"{by_machine['auc'].mean():.3f}", "pAUC": f"{by_machine['pauc'].mean():.3f}"}


def networks_parts():
    """A row for each change of a network alone on the valve: AUC by three back ends, and the number of seeds."""
    rows = _networks(("embedding", *(f"embedding, {name}" for name in BACK_ENDS)))
    rows = rows[(rows["data"] == "valve") & ~rows["detector"].isin(NETWORKS[:-1])]
    table = []
    for detector, group in rows.groupby("detector", sort=False):
        row = {"change": detector, "seeds": group["seed"].nunique()}
        row["own back end"] = mean_and_spread(group.loc[group["score"] == "embedding", "auc"])
        for name in BACK_ENDS:
            row[name] = mean_and_spread(group.loc[group["score"] == f"embedding, {name}", "auc"])
        table.append(row)
    return pd.DataFrame(table)


def norm_warmup():
    """A row for each network: AUC with the warm-up of batch normalisation and without, by steps, and their difference."""
    rows = pd.DataFrame(results_of("norm_warmup"))
    rows = rows.assign(auc=[result[-1]["auc_official"] for result in rows["machines"]])  # over all machine types
    pairs = rows.pivot_table(index=["variant", "steps", "seed"], columns="warmup", values="auc", sort=False)
    pairs["difference"] = pairs["with"] - pairs["without"]
    lines = []
    for name in [*pairs.index.unique("variant"), "all"]:
        of_name = pairs if name == "all" else pairs.loc[[name]]
        line = {"detector": name}
        for steps, part in of_name.groupby("steps"):
            error = part["difference"].std(ddof=1) / np.sqrt(len(part))
            line[f"{steps} steps: with / without"] = f"{part['with'].mean():.3f} / {part['without'].mean():.3f}"
            line["difference" + " " * len(line)] = f"{part['difference'].mean():+.3f} ± {error:.3f}"
        lines.append(line)
    return pd.DataFrame(lines).rename(columns=str.strip)


def lengths():
    """Share of normal clips that alarm in per cent, by detector, way to score and length of the clips."""
    lines = _lines("lengths")
    titles = [name for name in lines.columns if name.endswith(" s")]
    rows = []
    for detector, of_detector in lines.groupby("detector", sort=False):
        for way in ("whole", "largest", "windows"):
            shares = {title: np.mean([cell[way] for cell in of_detector[title]]) for title in titles}
            rows.append({"detector": detector, "score": way} | {title: f"{100 * s:.0f}" for title, s in shares.items()})
    return pd.DataFrame(rows)


def _of_speed(name, *keys):
    """Rows of a benchmark of speed, the last of each value of these keys."""
    rows = _read(ROOT / "benchmarks" / "speed" / f"{name}.jsonl")
    return list({tuple(row[key] for key in keys): row for row in rows}.values())


def _exported():
    """Rows of the benchmark of exported files, the last of each detector."""
    return _of_speed("onnx_export", "what")


def growth(subjects):
    """A row for each subject and step: processor seconds by size, the exponent of the last decade, and memory."""
    of_step = {}
    for row in sorted(_of_speed("growth", "what", "step", "n"), key=lambda row: row["n"]):
        of_step.setdefault((row["what"], row["step"]), {})[row["n"]] = row
    table = []
    for subject, (what, step) in product(subjects, of_step):
        if what == subject:
            rows = of_step[what, step]
            seconds = {
                f"{n:,}".replace(",", " "): _two_digits(rows[n]["processor_s"]) if n in rows else "" for n in SIZES
            }
            largest = rows[max(rows)]
            last = {
                "exponent": f"{largest['exponent_of_time']:.1f}",
                "memory, MB": f"{largest['peak_beyond_bytes'] / 1e6:.0f}",
            }
            table.append({"what": what, "step": step, **seconds, **last})
    return pd.DataFrame(table)


def _two_digits(value):
    return f"{float(f'{value:.2g}'):g}"


def speed_peers():
    """Detectors beside peers that a user would pick: milliseconds of the processor for a clip, and their ratio."""
    return pd.DataFrame(
        [
            {
                "what": row["what"],
                "skasd": row["ours"],
                "peer": row["peer"],
                "skasd, ms": f"{1e3 * row['ours_s']:.2f}",
                "peer, ms": "" if row["peer_s"] is None else f"{1e3 * row['peer_s']:.2f}",
                "ratio": "not run" if row["ratio"] is None else f"{row['ratio']:.1f}",
            }
            for row in _of_speed("peers", "what", "ours", "peer")
            if "ours_s" in row
        ]
    )


def joint_settings():
    """Training of the joint model with one thing changed: clips per second, ratios to the published loop, seconds before."""
    return pd.DataFrame(
        [
            {
                "setting": row["name"],
                "clips/s": f"{row['ours']:.1f}",
                "ratio to the published loop": f"{row['ratio']:.1f}",
                "with our allocator": f"{row['ratio_same_allocator']:.1f}",
                "first epoch, s longer": f"{max(row['longer_first'], 0):.1f}",
            }
            for row in _of_speed("joint_ae_cnn_limits", "what", "name")
            if row["what"] == "setting"
        ]
    )


def joint_limits():
    """Seconds of a step of the joint model, and those that its operations and its bytes alone take, by number format."""
    return pd.DataFrame(
        [
            {
                "format": row["name"],
                "step, ms": f"{1e3 * row['seconds']:.0f}",
                "operations, ms": f"{1e3 * row['seconds_of_flops']:.0f}",
                "memory, ms": f"{1e3 * row['seconds_of_bytes']:.0f}",
                "share of the limit": f"{row['share']:.0%}",
            }
            for row in _of_speed("joint_ae_cnn_limits", "what", "name")
            if row["what"] == "limit"
        ]
    )


def onnx_scores():
    """Agreement of exported files with their detectors: largest difference of scores, and decisions that differ."""
    return pd.DataFrame(
        [
            {
                "detector": row["what"],
                "clips": row["n_clips"],
                "difference": row["difference"],
                "of spread": row["share"],
                "other decisions": row["decisions"],
            }
            for row in _exported()
        ]
    )


def onnx_costs():
    """Size of exported files, and time and memory of one clip in ONNX Runtime and in skasd."""
    return pd.DataFrame(
        [
            {
                "detector": row["what"],
                "file, MB": f"{row['bytes'] / 1e6:.1f}",
                "ONNX Runtime, ms": f"{1e3 * row['ours_s']:.1f}",
                "skasd, ms": f"{1e3 * row['peer_s']:.1f}",
                "ONNX Runtime, MB": f"{row['ours_bytes'] / 1e6:.0f}",
                "skasd, MB": f"{row['peer_bytes'] / 1e6:.0f}",
            }
            for row in _exported()
        ]
    )


def channels(ways):
    """A row for each detector and way to hear the clips: AUC in each scene, mean over machines, ± over seeds."""
    rows = rows_of("channels")
    rows = rows[rows["way"].isin(ways)]
    scenes = [data for data in rows["data"].unique() if set(rows.loc[rows["data"] == data, "way"]) != {"near"}]
    by_seed = dict(list(rows.groupby(["of", "way", "data", "seed"])["auc"].mean().groupby(["of", "way", "data"])))
    return pd.DataFrame(
        [
            {"detector": of, "heard": way}
            | {data: mean_and_spread(by_seed[of, way, data]) if (of, way, data) in by_seed else "" for data in scenes}
            for of, way in product(rows["of"].unique(), ways)
        ]
    )


def channels_machines():
    """A row for each detector and machine: AUC of the near microphone / of the residual in each scene, mean over seeds."""
    rows = rows_of("channels")
    areas = rows.groupby(["of", "machine_type", "data", "way"])["auc"].mean().map("{:.3f}".format).to_dict()
    return pd.DataFrame(
        [
            {"detector": of, "near / residual": machine}
            | {
                data: f"{areas[of, machine, data, 'near']} / {areas[of, machine, data, 'residual']}"
                for data in rows["data"].unique()
            }
            for of, machine in product(rows["of"].unique(), rows["machine_type"].unique())
        ]
    )


def explanations(figure):
    """A row for each detector and way to make a map: a figure by kind of fault, mean over clips; then over seeds, ±."""
    rows = _lines("explanations").dropna(subset=[figure])
    rows["weighted"] = rows[figure] * rows["n_clips"]
    table = []
    for (detector, way), group in rows.groupby(["detector", "way"], sort=False):
        kinds = group.groupby("kind")[["weighted", "n_clips"]].sum()
        cells = (kinds["weighted"] / kinds["n_clips"]).map("{:.2f}".format)
        seeds = group[group["kind"] != "real"].groupby("seed")[["weighted", "n_clips"]].sum()
        every = mean_and_spread(seeds["weighted"] / seeds["n_clips"], 2)
        real = {"real valve": cells.get("real", "")} if "real" in set(rows["kind"]) else {}
        faults = {kind: cells.get(kind, "") for kind in FAULTS}
        table.append({"detector": detector, "map": way, **faults, "all faults": every, **real})
    return pd.DataFrame(table)


TABLES = {
    "networks": (networks,),
    "networks_parts": (networks_parts,),
    **{f"osscl_{data}": (osscl, data) for data in ("toycar", "search", "synthetic")},
    **{
        f"contrastive_spectrum_{name}_{data}": (table, data)
        for (name, table), data in product(
            (("settings", settings_of_augmentation), ("parts", parts_of_augmentation)), ("toycar", "valve", "synthetic")
        )
    },
    "contrastive_spectrum_premise": (premise_of_augmentation,),
    **{f"joint_ae_cnn_{data}": (joint_ae_cnn, data) for data in ("toycar", "valve")},
    "stat_cluster_valves": (stat_cluster,),
    "stat_cluster_clusters": (clusters,),
    "proxy_anomalies": (proxies,),
    "which_detector": (which_detector,),
    "twfr": (twfr,),
    "zoo": (zoo,),
    "zoo_machines": (zoo_machines,),
    "zoo_networks": (zoo_networks,),
    "statistics_parts": (statistics_parts,),
    "statistics_families": (statistics_families,),
    **{f"regimes_{limited}": (regimes, limited) for limited in LIMITS},
    "false_alarms": (false_alarms,),
    "few_clips": (few_clips,),
    "decisions_validity": (decisions_validity,),
    "decisions_real": (decisions_real,),
    "decisions_selection": (decisions_selection,),
    "decisions_drift": (decisions_drift,),
    "monitoring_episodes": (monitoring_episodes,),
    "monitoring_faults": (monitoring_faults,),
    "monitoring_changes": (monitoring_changes,),
    "monitoring_drift": (monitoring_drift,),
    "monitoring_tail": (monitoring_tail,),
    "lengths": (lengths,),
    "norm_warmup": (norm_warmup,),
    "onnx_scores": (onnx_scores,),
    "onnx_costs": (onnx_costs,),
    "growth_detectors": (growth, OF_GROWTH),
    "growth_neighbors": (growth, NEIGHBORS_OF_GROWTH),
    "speed_peers": (speed_peers,),
    "joint_ae_cnn_settings": (joint_settings,),
    "joint_ae_cnn_limits": (joint_limits,),
    "channels": (channels, WAYS_OF_TWO),
    "channels_machines": (channels_machines,),
    "supplemental": (channels, WAYS_OF_SUPPLEMENTAL),
    **{f"explanations_{figure}": (explanations, figure) for figure in ("pointing", "overlap", "deletion")},
}


def csv_of(name):
    """Text of a CSV file of the guide."""
    function, *arguments = TABLES[name]
    return function(*arguments).to_csv(index=False, lineterminator="\n")


def measured():
    """For each table, versions of skasd and the first and last day of the results in the files that it is made of."""
    lines = []
    for name in TABLES:
        FILES.clear()
        csv_of(name)
        rows = [row for file in FILES for row in _read(file)]
        versions = sorted({row["versions"]["skasd"] for row in rows})
        days = sorted({row["date"][:10] for row in rows})
        lines.append({"table": name, "skasd": " ".join(versions), "first": days[0], "last": days[-1]})
    return pd.DataFrame(lines).to_csv(index=False, lineterminator="\n")


def main():
    RESULTS.mkdir(exist_ok=True)
    for name in TABLES:
        (RESULTS / f"{name}.csv").write_text(csv_of(name), encoding="utf-8")
    MEASURED.write_text(measured(), encoding="utf-8")


if __name__ == "__main__":
    main()
