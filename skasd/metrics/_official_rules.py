"""Rules of the official score for each year: its metrics, and the clips that each metric is computed from."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from skasd._parameters import check_integer, check_option
from skasd.metrics._inputs import ANOMALY, count_classes
from skasd.metrics._units import (
    DOMAINS,
    Unit,
    check_expected,
    check_one_class,
    known_domains,
    refuse_unit,
    some_left,
    split_units,
)

YEARS = tuple(range(2020, 2027))


class Part(NamedTuple):
    """One metric that a section adds to the official score, and the rows (n_rows,) that it is computed from."""

    metric: str
    rows: np.ndarray


def check_year(year: Any) -> int:
    """Check the year of the challenge, which determines the rules."""
    check_integer("year", year, low=YEARS[0])
    check_option("year", int(year), YEARS)
    return int(year)


def official_metrics(year: int) -> tuple[str, ...]:
    """Names of the metrics that each section adds to the score of a year."""
    if year == 2020:
        return ("auc", "pauc")
    if year == 2021:
        return ("auc_source", "pauc_source", "auc_target", "pauc_target")
    return ("auc_source", "auc_target", "pauc")


def official_parts(
    y_true: np.ndarray,
    table: pd.DataFrame | None,
    *,
    year: int,
    expected: Mapping[str, Iterable[str]] | None = None,
    one_class: str = "raise",
) -> list[tuple[Unit, list[Part]]]:
    """Sections with the rows behind each of their metrics; a section that lacks a class for one raises or is skipped."""
    year = check_year(year)
    check_one_class(one_class)
    units = split_units(table, len(y_true))
    check_expected(units, expected)
    domain = known_domains(table, len(y_true))
    _check_domains_known(y_true, domain, year)
    kept = []
    for unit in units:
        y, unit_domain = y_true[unit.rows], domain[unit.rows]
        parts = [Part(name, unit.rows[selection(name, y, unit_domain, year)]) for name in official_metrics(year)]
        lacking = _lacking(y_true, parts)
        if lacking:
            refuse_unit(unit, lacking, one_class)
        else:
            kept.append((unit, parts))
    return some_left(kept)


def selection(metric: str, y_true: np.ndarray, domain: np.ndarray, year: int) -> np.ndarray:
    """Which clips of a section a metric is computed from, as booleans of shape (n_clips,)."""
    name = metric.rpartition("_")[2]
    if name not in DOMAINS:
        return np.ones(len(y_true), dtype=bool)
    return (domain == name) if year == 2021 else (domain == name) | (y_true == ANOMALY)


def _lacking(y_true: np.ndarray, parts: list[Part]) -> str:
    for part in parts:
        n_normal, n_anomaly = count_classes(y_true[part.rows])
        if not n_normal or not n_anomaly:
            return f"{part.metric} has {n_normal} normal and {n_anomaly} anomalous clips"
    return ""


def _check_domains_known(y_true: np.ndarray, domain: np.ndarray, year: int) -> None:
    if year == 2020:
        return
    needed = np.ones(len(y_true), dtype=bool) if year == 2021 else y_true != ANOMALY
    unknown = np.flatnonzero(needed & (domain == ""))
    if len(unknown):
        raise ValueError(
            f"The domain is not known for {len(unknown)} clips, the first in row {unknown[0]}; the score of {year} "
            "needs a column 'domain' that holds 'source' or 'target'. For data without domains use year=2020."
        )
