"""Report of a folder of results: tables to read, numbers to work with, and a picture."""

import os
import warnings
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from skasd.benchmark._picture import draw
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
_COMPARED = (
    "Of the AUC of all clips of a section, mean over sections and seeds; an interval that holds 0 tells nothing."
)
_GIGABYTE = 1e9
_ALL = "ALL"


def report(
    results: str | os.PathLike[str],
    *,
    out: str | os.PathLike[str] | None = None,
    keys: Collection[str] | None = None,
    compare: Sequence[str] | None = None,
    n_resamples: int = 1000,
) -> str:
    """Tables of a folder of results in Markdown, and beside them the numbers as CSV and a picture.

    Parameters
    ----------
    results : str or path-like
        Folder that :func:`run_suite` wrote.
    out : str, path-like or None, default=None
        Folder to write ``report.md``, ``report.csv``, ``published.csv`` and ``report.png`` into; None writes nothing.
    keys : collection of str or None, default=None
        Results to report, such as the column ``key`` of what :func:`run_suite` returned. None takes all; of a detector with
        several settings on one data set, or of a data set whose clips have changed, those that were run last.
    compare : sequence of two str or None, default=None
        Two detectors to compare by a paired bootstrap, see :func:`skasd.metrics.paired_bootstrap`.
    n_resamples : int, default=1000
        Of that bootstrap.

    Returns
    -------
    text : str
        For each data set the figures of each machine type and detector, mean and standard deviation over seeds: AUC and pAUC
        as the official score of the year takes them, one ROC curve over all sections, and the worst section; then what the
        detectors cost, how they were scored and which weights were taken; and then published figures beside ours.

    Raises
    ------
    FileNotFoundError
        If the folder has no results.
    ValueError
        If a detector to compare is not there.

    Warns
    -----
    UserWarning
        If results are left out because those of another setting, or of other clips, under the same name were run later.

    See Also
    --------
    run_suite : Makes the results.
    """
    store = Results(results)
    rows = store.rows()
    rows = _last_settings(rows) if keys is None else [row for row in rows if row["key"] in set(keys)]
    if not rows:
        raise FileNotFoundError(f"{store.folder} has no results; run_suite, or skasd benchmark, makes some.")
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
        draw(rows).savefig(folder / "report.png", dpi=110)
    return text


def result_table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Mean and standard deviation over seeds, one row for each data set, machine type and detector."""
    lines = []
    for row in rows:
        for machine in row["machines"]:
            figures = {column: machine[column] for column in _FIGURES.values()}
            names = {"data": row["data"], "machine_type": machine["machine_type"], "detector": row["detector"]}
            lines.append({**names, "n_sections": machine["n_sections"], **figures})
    groups = pd.DataFrame(lines).groupby(["data", "machine_type", "detector"], sort=False)
    table = groups["n_sections"].agg(n_seeds="size", n_sections="first")
    for column in _FIGURES.values():
        table[f"{column}_mean"], table[f"{column}_std"] = groups[column].mean(), groups[column].std()
    return table.reset_index()


def markdown(table: pd.DataFrame) -> str:
    """A table in Markdown."""
    lines = ["| " + " | ".join(map(str, table.columns)) + " |", "|" + "---|" * len(table.columns)]
    lines += ["| " + " | ".join(map(str, cells)) + " |" for cells in table.itertuples(index=False)]
    return "\n".join(lines)


def _last_settings(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of each detector and data set the results of the setting that was run last, over all its seeds."""
    last = {(row["data"], row["detector"]): row["setting"] for row in rows}
    kept = [row for row in rows if row["setting"] == last[row["data"], row["detector"]]]
    other = sorted({f"{row['detector']} on {row['data']}" for row in rows if row not in kept})
    if other:
        warnings.warn(
            f"More than one setting, or other clips, under one name; what was run last is taken: {', '.join(other)}.",
            stacklevel=3,
        )
    return kept


def _heading(rows: list[dict[str, Any]]) -> str:
    last = max(rows, key=lambda row: row["date"])
    versions = ", ".join(f"{name} {number}" for name, number in last["versions"].items())
    processors = ", ".join(sorted({row["processor"] if row["device"] == "cpu" else row["device"] for row in rows}))
    return (
        f"{len(rows)} results, the last of {last['date'][:10]}; {versions}; {processors}. Mean ± standard deviation over "
        "seeds. pAUC is the standardised one, up to a false-positive rate of 0.1."
    )


def _provenance(row: dict[str, Any]) -> str:
    mean = "the mean of AUC and pAUC: that year had no official score" if row["year"] == 2020 else "harmonic mean"
    return (
        f"{row['n_train']} training and {row['n_test']} test clips; score of {row['year']}, {mean}; "
        f"fingerprint {row['fingerprint']}. Figures are means over machine types."
    )


def _over_all(numbers: pd.DataFrame, rows: list[dict[str, Any]]) -> pd.DataFrame:
    """One line for each detector, the best first: means over machines, and what it cost."""
    of_all = numbers[numbers["machine_type"] == _ALL].sort_values("score_official_mean", ascending=False)
    lines = []
    for figures in of_all.to_dict(orient="records"):
        group = pd.DataFrame([row for row in rows if row["detector"] == figures["detector"]])
        line = {"detector": figures["detector"]}
        line |= {title: _mean_and_spread(figures, column) for title, column in _FIGURES.items()}
        line |= {title: f"{group[name].mean():.1f}" for title, name in _COST.items()}
        peaks = group["peak_bytes"].dropna()
        line["peak / GB"] = f"{peaks.max() / _GIGABYTE:.2f}" if len(peaks) else "-"
        line |= {"scored with": group["score_with"].iloc[0] or "-", "weights": group["checkpoint"].iloc[0]}
        lines.append({**line, "seeds": figures["n_seeds"]})
    return pd.DataFrame(lines)


def _by_machine(numbers: pd.DataFrame, column: str) -> pd.DataFrame:
    """One figure, a column for each machine type."""
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


def _section(numbers: pd.DataFrame, rows: list[dict[str, Any]]) -> list[str]:
    """What the report says of one data set."""
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
    """Difference of the mean AUC over sections between two detectors on each data set, with its interval."""
    if len(compare) != 2:
        raise ValueError(f"compare={list(compare)}; the names of two detectors are expected.")
    known = list(dict.fromkeys(row["detector"] for row in rows))
    if strange := set(compare) - set(known):
        raise ValueError(f"compare: {', '.join(sorted(strange))} is not among the detectors {', '.join(known)}.")
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
        raise ValueError(f"{' and '.join(compare)} share no data set and seed.")
    return pd.DataFrame(lines)


def _mean_auc(y_true: np.ndarray, score_samples: np.ndarray, table: pd.DataFrame) -> float:
    """Mean over sections of the AUC of each."""
    rows = table.groupby(["machine_type", "section"], dropna=False).indices.values()
    with_both = [index for index in rows if len(np.unique(y_true[index])) == 2]
    return float(np.mean([auc_score(y_true[index], score_samples[index]) for index in with_both]))
