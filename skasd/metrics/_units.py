"""Units: groups of clips with a ROC curve of their own, usually one machine type and section."""

import warnings
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from skasd._parameters import check_option, naming
from skasd.metrics._inputs import count_classes

SECTION = ("machine_type", "section")
DOMAINS = ("source", "target")
_MAY_BE_ABSENT = ("machine_type", "section", "domain")


class Unit(NamedTuple):
    """A group of clips: the value of each column that they were grouped by, and their row positions (n_rows,)."""

    key: dict[str, Any]
    rows: np.ndarray

    def __str__(self) -> str:
        known = [f"{column} {value!r}" for column, value in self.key.items() if value is not None]
        return ", ".join(known) or "all clips"


def split_units(table: pd.DataFrame | None, n_clips: int, by: str | Iterable[str] = SECTION) -> list[Unit]:
    """Group clips by the columns `by`: one unit per distinct value, sorted; absent and empty columns are ignored."""
    with naming("by"):
        by = (by,) if isinstance(by, str) else tuple(by)
    known = _known_columns(table, by)
    if table is None or not known:
        return [Unit(dict.fromkeys(by), np.arange(n_clips))]
    columns = table[known].reset_index(drop=True)  # the index may have levels of the same names
    code = columns.groupby(known, sort=False, observed=True).ngroup().to_numpy()
    order = np.argsort(code, kind="stable")
    pieces = np.split(order, np.flatnonzero(np.diff(code[order])) + 1)
    values = {column: table[column].to_numpy(dtype=object) for column in known}
    units = [
        Unit({column: values[column][rows[0]] if column in values else None for column in by}, rows) for rows in pieces
    ]
    return sorted(units, key=lambda unit: [str(value) for value in unit.key.values()])


def known_domains(table: pd.DataFrame | None, n_clips: int) -> np.ndarray:
    """Domain of every clip as text of shape (n_clips,), "" if unknown."""
    if table is None or "domain" not in table.columns:
        return np.full(n_clips, "", dtype="<U6")
    domain = np.where(table["domain"].isna(), "", table["domain"].to_numpy(dtype=object)).astype(str)
    strange = sorted(set(domain.tolist()) - {"", *DOMAINS})
    if strange:
        raise ValueError(
            f"The column domain holds {', '.join(map(repr, strange))}; expected 'source', 'target' or an empty cell."
        )
    return domain


def check_expected(units: Iterable[Unit], expected: Mapping[Any, Iterable[Any]] | None) -> None:
    """Raise unless the units are exactly the expected sections of the expected machine types."""
    if expected is None:
        return
    if not isinstance(expected, Mapping):
        raise TypeError(
            f"expected={expected!r} is a {type(expected).__name__}; a mapping of machine types to sections, such as "
            "{'fan': ['00', '02']}, or None is expected."
        )
    found = {(unit.key["machine_type"], unit.key["section"]) for unit in units}
    wanted = {(machine_type, section) for machine_type, sections in expected.items() for section in sections}
    for pairs, what in ((wanted - found, "expected but absent"), (found - wanted, "present but not expected")):
        if pairs:
            named = ", ".join(f"{machine_type} {section}" for machine_type, section in sorted(pairs, key=str))
            raise ValueError(
                f"{len(pairs)} sections are {what}: {named}. Means over different sections cannot be compared."
            )


def with_both_classes(units: list[Unit], y_true: np.ndarray, one_class: str) -> list[Unit]:
    """Units with both normal and anomalous clips; the others raise, or are skipped with a warning."""
    kept = []
    for unit in units:
        n_normal, n_anomaly = count_classes(y_true[unit.rows])
        if n_normal and n_anomaly:
            kept.append(unit)
        else:
            refuse_unit(unit, f"{n_normal} normal and {n_anomaly} anomalous clips", one_class)
    return some_left(kept)


def refuse_unit(unit: Unit, what: str, one_class: str) -> None:
    """Raise for a unit without a ROC curve, or warn that it is skipped."""
    text = f"No ROC curve for {unit}: {what}, but y_true needs at least one of each."
    if one_class == "raise":
        raise ValueError(
            f"{text} Leave these clips out, or pass one_class='skip' if a mean over fewer sections will do. In a "
            "cross-validation, cv=NormalOnlySplit() of skasd.model_selection gives every fold both classes; cv=3 is KFold."
        )
    warnings.warn(f"{text} It is skipped.", stacklevel=2)


def some_left(units: list[Any]) -> list[Any]:
    """Raise if every unit was skipped."""
    if not units:
        raise ValueError("Every section was skipped: none has both normal and anomalous clips for each of its metrics.")
    return units


def check_one_class(one_class: str) -> None:
    """Raise unless `one_class` is an option."""
    check_option("one_class", one_class, ("raise", "skip"))


def _known_columns(table: pd.DataFrame | None, by: tuple[str, ...]) -> list[str]:
    """Columns among `by` that are known for every clip; raises for an unknown name or a column with empty cells."""
    present = [] if table is None else list(table.columns)
    unknown = [column for column in by if column not in present and column not in _MAY_BE_ABSENT]
    if unknown:
        raise ValueError(
            f"by: the table has no column {', '.join(map(repr, unknown))}; it has {', '.join(map(repr, present)) or 'none'}."
        )
    if table is None:
        return []
    missing = {column: table[column].isna().to_numpy() for column in by if column in present}
    for column, hole in missing.items():
        if hole.any() and not hole.all():
            raise ValueError(
                f"The column {column} is not known for {hole.sum()} of {len(table)} clips, the first in row "
                f"{int(np.flatnonzero(hole)[0])}; fill it in, or drop these clips."
            )
    return [column for column, hole in missing.items() if not hole.all()]
