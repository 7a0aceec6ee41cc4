"""Detectors of machines as the commands use them: kept in one model file, and asked about recordings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from skasd.cli._recordings import Recording, find_machine, told_if_done, why_unreadable
from skasd.cli._score_table import Row
from skasd.clips import MACHINE_COLUMNS
from skasd.clips._files import readable_name
from skasd.clips._machine_names import split_names
from skasd.clips._readers import readers_of
from skasd.persistence._description import detector_in

if TYPE_CHECKING:
    from skasd.base import BaseDetector
    from skasd.decisions._decisions import Decisions

_AT_ONCE = 2000  # recordings that are scored in one call


@dataclass(frozen=True)
class Scored:
    """A machine, the detector that scores it, and how it is told which machine it is.

    Parameters
    ----------
    detector : detector or str
        The detector, or why there is none.
    cells : dict of str to str, default=None
        Cells of the clip table that name the machine, for a detector of several machines.
    """

    detector: Any
    cells: Mapping[str, str | None] | None = None


def save_models(models: Mapping[str, BaseDetector], path: Path) -> None:
    """Write detectors to a model file: a detector, or a dict of them by machine if there is a machine with a name."""
    from skasd.persistence import save

    only = models.get("")
    save(only if only is not None and len(models) == 1 else dict(models), path)


def load_models(path: Path, n_jobs: int) -> dict[str, Scored]:
    """Detectors of a model file by machine, which compute in `n_jobs` threads."""
    from skasd.cli._detectors import set_jobs
    from skasd.persistence import load

    machines = scored_machines(load(path), path)
    for scored in machines.values():
        set_jobs(scored.detector, n_jobs)
    return machines


def load_scored(path: Path, n_jobs: int) -> Mapping[str, Scored]:
    """What scores the machines of a model file, without the import of scikit-learn where its detectors can do without."""
    from skasd.persistence._scores import load_scores

    scores = load_scores(path, n_jobs)
    if scores is None:
        return load_models(path, n_jobs)
    return {machine: Scored(detector) for machine, detector in scores.items()}


def scored_machines(model: Any, path: Path | None = None) -> dict[str, Scored]:
    """What each machine is scored with.

    Parameters
    ----------
    model : detector or dict of str to detector
        What is in a model file, or was fitted.
    path : Path or None, default=None
        Model file, for messages.

    Raises
    ------
    ValueError
        If there is no detector.
    """
    models = model if isinstance(model, dict) else {"": model}
    found: dict[str, Scored] = {}
    for machine, detector in models.items():
        if not isinstance(detector, str) and not (
            hasattr(detector, "decision_function") and hasattr(detector_in(detector), "offset_")
        ):
            raise ValueError(
                f"{path} holds a {type(detector).__name__}, which decides nothing; a detector is expected."
            )
        learnt = split_names(learnt_machines(detector))
        if machine == "" and any(map(any, learnt)):
            found |= {"/".join(filter(None, names)): Scored(detector, _cells(names)) for names in learnt}
        else:
            found[machine] = Scored(detector, _cells(learnt[0]) if len(learnt) == 1 and any(learnt[0]) else None)
    return found


def learnt_machines(detector: Any) -> dict[str, int]:
    """Machines that a detector was fitted on, as its clip table named them, and their numbers of clips."""
    return getattr(getattr(detector_in(detector), "_training_data", None), "machines", {})


def score_recordings(
    recordings: list[Recording], machines: Mapping[str, Scored], *, strict: bool, verbose: int
) -> list[Row]:
    """Rows of recordings: their scores, or why they have none.

    Parameters
    ----------
    recordings : list of Recording
        Recordings to score.
    machines : dict of str to Scored
        What each machine is scored with.
    strict : bool
        Whether the first recording that cannot be scored is an error.
    verbose : int
        Shows progress bars if 1 or larger.
    """
    rows: list[Row] = []
    of_machine: dict[str, list[str]] = {}
    for recording in recordings:
        machine = find_machine(recording, list(machines))
        reason = why_no_model(machine, machines)
        if reason and strict:
            raise ValueError(f"{readable_name(recording.file)}: {reason}.")
        if reason:
            rows.append(Row(recording.file, machine or "", reason=reason))
        else:
            of_machine.setdefault(machine or "", []).append(recording.file)
    for machine, paths in of_machine.items():
        for start in range(0, len(paths), _AT_ONCE):
            rows += _rows(machine, machines[machine], paths[start : start + _AT_ONCE], strict, verbose)
    return rows


def _cells(names: tuple[str, ...]) -> dict[str, str | None]:
    return dict(zip(MACHINE_COLUMNS, (name or None for name in names), strict=False))


def why_no_model(machine: str | None, machines: Mapping[str, Scored]) -> str:
    """Why a recording of a machine cannot be scored; "" if it can."""
    if machine is None:
        known = ", ".join(machines)
        return f"its folders name none of the machines that were learnt ({known})"
    detector = machines[machine].detector
    return detector if isinstance(detector, str) else ""


def _rows(machine: str, scored: Scored, paths: list[str], strict: bool, verbose: int) -> list[Row]:
    """Rows of recordings of one machine, each of which is read once if all can be used."""
    try:
        with told_if_done():
            return _decided(machine, scored, paths)
    except ValueError as error:
        reader = getattr(scored.detector, "reader", None) or readers_of(scored.detector)[0]
        bad = why_unreadable(paths, reader, strict=strict, verbose=verbose) or (
            {paths[0]: str(error)} if len(paths) == 1 else {}
        )
        if strict and len(paths) == 1:
            raise ValueError(f"{readable_name(paths[0])}: {error}") from error
    good = [path for path in paths if path not in bad]
    rows = [Row(path, machine, reason=reason) for path, reason in bad.items()]
    if bad:
        return rows + (_rows(machine, scored, good, strict, verbose) if good else [])
    return [row for path in paths for row in _rows(machine, scored, [path], strict, verbose)]


def _decided(machine: str, scored: Scored, paths: list[str]) -> list[Row]:
    X: Any = paths
    if scored.cells is not None:
        import pandas as pd

        X = pd.DataFrame({"path": paths, **{column: [cell] * len(paths) for column, cell in scored.cells.items()}})
    decided = _decisions(scored.detector, X)
    texts = np.where(decided.is_anomaly, "anomaly", "normal").tolist()
    values = (decided.anomaly_score, decided.threshold, decided.p_value, decided.is_provisional)
    return [
        Row(path, machine, score, threshold, text, "", None if np.isnan(p_value) else p_value, is_provisional)
        for path, text, score, threshold, p_value, is_provisional in zip(
            paths, texts, *(value.tolist() for value in values), strict=True
        )
    ]


def _decisions(detector: Any, X: Any) -> Decisions:
    """Decisions of a detector, or of what scores files in its model file."""
    if hasattr(detector, "decided"):
        return detector.decided(X)
    from skasd.decisions._table import decided

    return decided(detector, X)
