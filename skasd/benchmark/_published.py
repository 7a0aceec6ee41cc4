"""Published figures, and the same figures of results."""

from functools import lru_cache
from importlib.resources import files
from typing import Any

import pandas as pd

_KEY = ["machine_type", "section", "metric", "aggregation"]
_OF_2020 = {  # metric and aggregation of the table: column of a summary
    ("auc", "amean_ids"): "auc_official",
    ("pauc", "amean_ids"): "pauc_official",
    ("auc", "pooled_ids"): "auc_pooled",
    ("pauc", "pooled_ids"): "pauc_pooled",
    ("mauc", "min_id"): "auc_worst_section",
}


def published_results() -> pd.DataFrame:
    """Published figures of papers and of the baselines of the challenge.

    Returns
    -------
    table : DataFrame
        Columns ``year, subset, system, machine_type, section, metric, value, aggregation, source``. Values are in [0, 1],
        and every pAUC is standardised. ``ALL`` is a mean over machine types or sections; ``aggregation`` tells which.

    Notes
    -----
    Names of systems that a paper quotes from another one end in ``-as-quoted``, and those of independent reproductions in
    ``-rerun``. STgram-MFN chose its checkpoint on the test clips. OS-SCL and Noisy-ArcMix pool the machines of a type.

    Examples
    --------
    >>> from skasd.benchmark import published_results
    >>> table = published_results()
    >>> table[(table["system"] == "dcase2020-ae") & (table["section"] == "01")]["metric"].unique().tolist()
    ['auc', 'pauc']
    """
    return _read().copy()


@lru_cache(maxsize=1)
def _read() -> pd.DataFrame:
    with (files("skasd.benchmark") / "published_results.csv").open(encoding="utf-8") as file:
        table = pd.read_csv(file, dtype=str, keep_default_na=False)
    return table.assign(value=table["value"].astype(float))


def beside_published(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Mean over seeds of each figure that has a published counterpart, the published figure, and the difference.

    Means over sections or machine types are compared only if the result has all of these.
    """
    published, frames = _read(), []
    for row in rows:
        theirs = published[(published["year"] == str(row["year"])) & (published["subset"] == str(row.get("subset")))]
        for system in row.get("published", ()):
            of_system = theirs[theirs["system"] == system]
            ours = pd.DataFrame(_ours(row, of_system, theirs), columns=[*_KEY, "ours"])
            shared = of_system.merge(ours, on=_KEY)
            frames.append(shared.assign(data=row["data"], detector=row["detector"], seed=row["seed"]))
    columns = ["data", "detector", "system", *_KEY, "ours", "n_seeds", "published", "difference", "source"]
    if not frames or all(frame.empty for frame in frames):
        return pd.DataFrame(columns=columns)
    every = pd.concat(frames).rename(columns={"value": "published"})
    by = ["data", "detector", "system", *_KEY, "published", "source"]
    means = every.groupby(by, sort=False)["ours"].agg(["mean", "size"]).reset_index()
    means = means.rename(columns={"mean": "ours", "size": "n_seeds"})
    return means.assign(difference=means["ours"] - means["published"])[columns]


def _ours(
    row: dict[str, Any], of_system: pd.DataFrame, of_year: pd.DataFrame
) -> list[tuple[str, str, str, str, float]]:
    """Figures of a result, with the keys of the published table."""
    figures: list[tuple[str, str, str, str, float]] = []
    has_sections = {(part["machine_type"], part["section"]) for part in row["official_parts"]}
    known = of_year[(of_year["section"] != "ALL") & (of_year["machine_type"] != "ALL")]
    lacking = {
        machine
        for machine, section in zip(known["machine_type"], known["section"], strict=True)
        if (machine, section) not in has_sections
    }
    machines = {machine["machine_type"]: machine for machine in row["machines"]}
    complete = set(machines) - lacking
    has_all = {name for name in of_system["machine_type"] if name != "ALL"} <= complete
    if row["year"] == 2020:
        pooled = "pooled_ids" in set(of_system["aggregation"])
        for name, machine in machines.items():
            figures += [(name, "ALL", *key, machine[column]) for key, column in _OF_2020.items()]
        for metric in ("auc", "pauc"):
            mean = machines["ALL"][f"{metric}_{'pooled' if pooled else 'official'}"]
            figures.append(("ALL", "ALL", metric, "amean_types", mean))
        figures.append(("ALL", "ALL", "mauc", "amean_types", machines["ALL"]["auc_worst_section"]))
        aggregation = "per_id"
    else:
        figures += [
            (name, "ALL", "omega", "hmean_machine", machine["score_official"]) for name, machine in machines.items()
        ]
        figures.append(("ALL", "ALL", "omega", "official", row["official_score"]))
        aggregation = "per_section_domain" if row["year"] == 2021 else "per_section"
    figures = [figure for figure in figures if figure[0] in complete and (figure[0] != "ALL" or has_all)]
    for part in row["official_parts"]:
        figures.append((part["machine_type"], part["section"], part["metric"], aggregation, part["value"]))
    return figures
