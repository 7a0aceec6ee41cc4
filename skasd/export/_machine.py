r"""The machine whose model goes into the graph.

A machine is named as clip tables name it: its cells of several columns, joined by "/".
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline

from skasd.clips._machine_names import joined
from skasd.detectors import AutoencoderDetector, EnsembleDetector, StatisticsDetector, TWFRDetector
from skasd.detectors._embedding import EmbeddingDetector

_WITHOUT_MACHINES = ("predicted", "reconstruction")  # scores of networks that do not use the machine of a clip


@dataclass(frozen=True)
class Machine:
    """A machine.

    Parameters
    ----------
    cells : dict of str to str
        Its cells by column of the clip table; empty if clips name no machine.
    text : str, default=""
        Its name.
    """

    cells: dict[str, str] = field(default_factory=dict)
    text: str = ""

    def name(self, columns: Sequence[str]) -> str:
        """Join its cells of some columns, as the name of clips is made."""
        cells = [np.array([self.cells[column]], dtype=object) for column in columns if column in self.cells]
        return str(joined(cells, 1)[0])


def chosen_machine(estimator: Any, machine: str | None) -> Machine:
    """The machine that is asked for, or the only one.

    Parameters
    ----------
    estimator : estimator
        Fitted estimator.
    machine : str or None
        Name of the machine.

    Raises
    ------
    ValueError
        If there are several and none is named, or the named one is not known.
    """
    columns, known = known_machines(estimator)
    if machine is None and (len(known) == 1 or not _uses_machines(estimator)):
        machine = known[0] if len(known) == 1 else ""
    elif machine is None:
        raise ValueError(
            f"{type(estimator).__name__} has a model for each of {len(known)} machines; name the one to export "
            f"with machine=, one of {known}."
        )
    elif machine not in known:
        what = (
            "was fitted on clips that name no machine; leave it out" if known == [""] else f"knows the machines {known}"
        )
        raise ValueError(f"machine={machine!r}: {type(estimator).__name__} {what}.")
    return Machine(_cells(columns, machine), machine)


def known_machines(estimator: Any) -> tuple[tuple[str, ...], list[str]]:
    """Columns that define a machine, and the names of those that an estimator was fitted on, sorted."""
    if isinstance(estimator, Pipeline):
        return known_machines(estimator.steps[-1][1])
    if isinstance(estimator, EnsembleDetector):
        members = [known_machines(member) for member in estimator.estimators_]
        return max(members, key=lambda member: (len(member[1]), len(member[0])))
    if isinstance(estimator, EmbeddingDetector):
        return tuple(estimator._scores.columns), _sorted(estimator._scores.machines)
    if isinstance(estimator, AutoencoderDetector):
        return estimator._columns, _sorted(estimator._names)
    if isinstance(estimator, TWFRDetector | StatisticsDetector):
        return estimator._group_columns, _sorted(estimator._machines)
    return (), [""]  # back ends know no machines


def _sorted(names: Iterable[Any]) -> list[str]:
    return sorted(map(str, names))


def _uses_machines(estimator: Any) -> bool:
    if isinstance(estimator, Pipeline):
        return _uses_machines(estimator.steps[-1][1])
    return getattr(estimator, "score_with", None) not in _WITHOUT_MACHINES


def _cells(columns: Sequence[str], name: str) -> dict[str, str]:
    r"""Cells of a machine by column; of a name of several cells, "\/" is a "/" within a cell."""
    if not name:
        return {}
    parts = re.split(r"(?<!\\)(?:\\\\)*/", name) if len(columns) > 1 else [name]
    if len(parts) > 1:
        parts = [re.sub(r"\\(.)", r"\1", part) for part in parts]
    return dict(zip(columns, parts, strict=False))
