"""Report of a folder of results: tables in Markdown, numbers as CSV, and a figure."""

import os
import warnings
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from skasd.benchmark._published import beside_published
from skasd.benchmark._results import Results
from skasd.metrics import auc_score, paired_bootstrap

_FIGURES = {
    "AUC": "auc_official",
    "AUC pooled": "auc_pooled",
    "AUC worst section": "auc_worst_section",
    "pAUC": "pauc_official",
    "official score": "score_official",
}
_COST = {"fit / s": "fit_seconds", "score / s": "score_seconds"}
_SIZE = {"parameters": "n_parameters", "MACs / clip": "macs_per_clip"}
_COMPARED = "Difference of the AUC, mean over sections and seeds. An interval that contains 0 shows no difference."
_GIGABYTE = 1e9
_PREFIXES = {10**9: "G", 10**6: "M", 10**3: "k"}
_ALL = "ALL"


def report(
    results: str | os.PathLike[str],
    *,
    out: str | os.PathLike[str] | None = None,
    keys: Collection[str] | None = None,
    compare: Sequence[str] | None = None,
    n_resamples: int = 1000,
) -> str:
    """Make the report of a folder of results: tables in Markdown, and files with the numbers and a figure.

    Parameters
    ----------
    results : str or path-like
        Folder written by :func:`run_suite`.
    out : str, path-like or None, default=None
        Folder for ``report.md``, ``report.csv``, ``published.csv`` and ``report.png``. None writes no files.
    keys : collection of str or None, default=None
        Keys of the results to report, such as the column ``key`` of the table from :func:`run_suite`. None reports all;
        if a detector was run with several settings on one data set, or the clips have changed, it reports the last ones.
    compare : sequence of two str or None, default=None
        Names of two detectors to compare by :func:`skasd.metrics.paired_bootstrap`.
    n_resamples : int, default=1000
        Number of bootstrap samples.

    Returns
    -------
    text : str
        Report in Markdown. For each data set it has the metrics of each detector and machine type, as mean and standard
        deviation over seeds: AUC and pAUC as the official score of the year defines them, AUC of one ROC curve pooled over
        sections, and AUC of the worst section. Time, memory, the parameters of the networks, the multiply-accumulate
        operations (MACs) per clip, `score_with` and the choice of the weights follow, and then a comparison with published
        figures.

    Raises
    ------
    FileNotFoundError
        If the folder has no results.
    ValueError
        If a detector to compare has no results, or the two scored different clips; or if `keys` has results of several
        years or subsets of the challenge under one name of a data set.

    Warns
    -----
    UserWarning
        If results are left out because another setting, or other clips, were run later under the same name.

    See Also
    --------
    run_suite : Runs a suite and stores the results.
    """
    store = Results(results)
    rows = store.rows()
    wanted = None if keys is None else set(keys)
    rows = _last_settings(rows) if wanted is None else [row for row in rows if row["key"] in wanted]
    if not rows:
        raise FileNotFoundError(f"{store.folder} has no results; make some with run_suite or skasd benchmark.")
    _refuse_years(rows)
    numbers, published = result_table(rows), beside_published(rows)
    parts = ["# Results", _heading(rows)]
    for data in dict.fromkeys(row["data"] for row in rows):
        of_data = [row for row in rows if row["data"] == data]
        parts += [f"## {data}", *_section(numbers[numbers["data"] == data], of_data)]
    if len(published):
        parts += [
            "## Beside published figures",
            markdown(_rounded(published.drop(columns=["source"]))),
            _sources(published),
        ]
    if compare is not None:
        parts += ["## Paired bootstrap", _COMPARED, markdown(_rounded(_compared(store, rows, compare, n_resamples)))]
    text = "\n\n".join(parts) + "\n"
    if out is not None:
        folder = Path(out).expanduser()
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "report.md").write_text(text, encoding="utf-8")
        numbers.to_csv(folder / "report.csv", index=False)
        published.to_csv(folder / "published.csv", index=False)
        from skasd.benchmark._picture import draw  # Matplotlib takes most of a second to import

        draw(rows).savefig(folder / "report.png", dpi=110)
    return text


def result_table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Mean and standard deviation over seeds: one row for each data set, machine type and detector."""
    lines = []
    for row in rows:
        for machine in row["machines"]:
            figures = {column: machine[column] for column in _FIGURES.values()}
            names = {"data": row["data"], "machine_type": machine["machine_type"], "detector": row["detector"]}
            sizes = {
                column: row.get(column) for column in _SIZE.values()
            }  # results from before they were counted lack them
            lines.append({**names, "n_sections": machine["n_sections"], **figures, **sizes})
    groups = pd.DataFrame(lines).groupby(["data", "machine_type", "detector"], sort=False)
    table = groups["n_sections"].agg(n_seeds="size", n_sections="first")
    for column in _FIGURES.values():
        table[f"{column}_mean"], table[f"{column}_std"] = groups[column].mean(), groups[column].std()
    for column in _SIZE.values():
        table[column] = groups[column].max().astype("Int64")
    return table.reset_index()


def markdown(table: pd.DataFrame) -> str:
    """Format a table in Markdown."""
    lines = ["| " + " | ".join(map(str, table.columns)) + " |", "|" + "---|" * len(table.columns)]
    lines += ["| " + " | ".join(map(str, cells)) + " |" for cells in table.itertuples(index=False)]
    return "\n".join(lines)


def _last_settings(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Results of the setting that was run last of each detector and data set, with all its seeds."""
    last = {(row["data"], row["detector"]): row["setting"] for row in rows}
    is_kept = [row["setting"] == last[row["data"], row["detector"]] for row in rows]
    kept = [row for row, keep in zip(rows, is_kept, strict=True) if keep]
    other = sorted({f"{row['detector']} on {row['data']}" for row, keep in zip(rows, is_kept, strict=True) if not keep})
    if other:
        warnings.warn(
            f"Several settings, or other clips, under one name; the last ones are reported: {', '.join(other)}.",
            stacklevel=3,
        )
    return kept


def _refuse_years(rows: list[dict[str, Any]]) -> None:
    """Raise if a name stands for data sets of several years, whose machine types of one name are different machines."""
    for data in dict.fromkeys(row["data"] for row in rows):
        sets = sorted({f"{row['year']} {row['subset'] or ''}".strip() for row in rows if row["data"] == data})
        if len(sets) > 1:
            raise ValueError(
                f"The results of {data!r} are of {' and '.join(sets)}, which have other recordings even of a machine type "
                "of the same name. Report them one after the other, by `keys`, or give the data sets names of their own."
            )


def _heading(rows: list[dict[str, Any]]) -> str:
    last = max(rows, key=lambda row: row["date"])
    versions = ", ".join(f"{name} {number}" for name, number in last["versions"].items())
    processors = ", ".join(sorted({row["processor"] if row["device"] == "cpu" else row["device"] for row in rows}))
    return (
        f"{len(rows)} results, the last of {last['date'][:10]}; {versions}; {processors}. Mean ± standard deviation over "
        "seeds. pAUC is standardised, up to a false positive rate of 0.1."
    )


def _provenance(row: dict[str, Any]) -> str:
    mean = "the mean of AUC and pAUC: that year had no official score" if row["year"] == 2020 else "harmonic mean"
    return (
        f"{row['n_train']} training and {row['n_test']} test clips; score of {row['year']}, {mean}; "
        f"fingerprint {row['fingerprint']}. Figures are means over machine types."
    )


def _over_all(numbers: pd.DataFrame, rows: list[dict[str, Any]]) -> pd.DataFrame:
    """One line for each detector, the best first: means over machine types, time and memory."""
    of_all = numbers[numbers["machine_type"] == _ALL].sort_values("score_official_mean", ascending=False)
    lines = []
    for figures in of_all.to_dict(orient="records"):
        group = pd.DataFrame([row for row in rows if row["detector"] == figures["detector"]])
        line = {"detector": figures["detector"]}
        line |= {title: _mean_and_spread(figures, column) for title, column in _FIGURES.items()}
        line |= {title: f"{group[name].mean():.1f}" for title, name in _COST.items()}
        peaks = group["peak_bytes"].dropna()
        line["peak / GB"] = f"{peaks.max() / _GIGABYTE:.2f}" if len(peaks) else "-"
        line |= {title: _count(figures[name]) for title, name in _SIZE.items()}
        line |= {"scored with": group["score_with"].iloc[0] or "-", "weights": group["checkpoint"].iloc[0]}
        lines.append({**line, "seeds": figures["n_seeds"]})
    return pd.DataFrame(lines)


def _by_machine(numbers: pd.DataFrame, column: str) -> pd.DataFrame:
    """One metric, with a column for each machine type."""
    machines = [name for name in dict.fromkeys(numbers["machine_type"]) if name != _ALL]
    cells = {
        (row["detector"], row["machine_type"]): _mean_and_spread(row, column) for row in numbers.to_dict("records")
    }
    detectors = dict.fromkeys(numbers["detector"])
    return pd.DataFrame(
        [{"detector": name} | {machine: cells.get((name, machine), "") for machine in machines} for name in detectors]
    )


def _mean_and_spread(figures: dict[Any, Any], column: str) -> str:
    mean, spread = figures[f"{column}_mean"], figures[f"{column}_std"]
    return f"{mean:.3f}" + ("" if np.isnan(spread) else f" ± {spread:.3f}")


def _count(number: Any) -> str:
    """A count with three digits, such as "23.8 M"; a dash if there is none."""
    if pd.isna(number):
        return "-"
    rounded = float(f"{number:.3g}")
    power = next((power for power in _PREFIXES if rounded >= power), 1)
    return f"{rounded / power:g} {_PREFIXES[power]}" if power > 1 else str(number)


def _section(numbers: pd.DataFrame, rows: list[dict[str, Any]]) -> list[str]:
    """Paragraphs about one data set."""
    parts = [_provenance(rows[0]), markdown(_over_all(numbers, rows))]
    if numbers["machine_type"].nunique() > 2 or (numbers["n_sections"] > 1).any():
        figures = (
            dict(_FIGURES) if (numbers["n_sections"] > 1).any() else {"AUC": "auc_official", "pAUC": "pauc_official"}
        )
        for title, column in figures.items():
            parts += [f"{title} of each machine type:", markdown(_by_machine(numbers, column))]
    return parts


def _rounded(table: pd.DataFrame) -> pd.DataFrame:
    return table.apply(lambda column: column.map("{:.4f}".format) if column.dtype.kind == "f" else column)


def _sources(published: pd.DataFrame) -> str:
    sources = published.drop_duplicates("system")
    return "Sources: " + "; ".join(f"{row.system}: {row.source}" for row in sources.itertuples()) + "."


def _compared(store: Results, rows: list[dict[str, Any]], compare: Sequence[str], n_resamples: int) -> pd.DataFrame:
    """Difference between two detectors in the AUC averaged over sections, with its interval, for each data set."""
    if len(compare) != 2:
        raise ValueError(f"compare={list(compare)}; the names of two detectors are expected.")
    known = list(dict.fromkeys(row["detector"] for row in rows))
    if strange := set(compare) - set(known):
        raise ValueError(
            f"compare: {', '.join(sorted(strange))} has no results; there are results of {', '.join(known)}."
        )
    lines = []
    for data in dict.fromkeys(row["data"] for row in rows):
        by_detector = [[row for row in rows if row["data"] == data and row["detector"] == name] for name in compare]
        seeds = sorted(set.intersection(*({row["seed"] for row in group} for group in by_detector)))
        if not seeds:
            continue
        tables = [[store.scores(row) for row in group if row["seed"] in seeds] for group in by_detector]
        first = tables[0][0]
        fingerprints = {row["fingerprint"] for group in by_detector for row in group}
        if len(fingerprints) > 1:
            raise ValueError(
                f"{' and '.join(compare)} scored other clips of {data} for another seed or setting; a paired bootstrap "
                "needs the same test clips."
            )
        one, other = (np.stack([table["score_samples"] for table in group]) for group in tables)
        sections = first[["machine_type", "section"]].assign(domain=first.get("domain"))
        result = paired_bootstrap(
            _mean_auc, first["y_true"], one, other, sections, n_resamples=n_resamples, random_state=0
        )
        lines.append(
            {"data": data, "first": compare[0], "second": compare[1], "n_seeds": len(seeds)} | result._asdict()
        )
    if not lines:
        raise ValueError(f"{' and '.join(compare)} have no data set and seed in common.")
    return pd.DataFrame(lines)


def _mean_auc(y_true: np.ndarray, score_samples: np.ndarray, table: pd.DataFrame) -> float:
    """AUC, mean over sections."""
    rows = table.groupby(["machine_type", "section"], dropna=False).indices.values()
    with_both = [index for index in rows if len(np.unique(y_true[index])) == 2]
    return float(np.mean([auc_score(y_true[index], score_samples[index]) for index in with_both]))
