"""Warnings about the clips of a fit that would otherwise show only as bad scores, at a cost that does not grow with clips.

They are about a dead channel, machine columns under other names, and a feature column in place of the front end.
"""

import re
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from skasd.clips._audio import ClipReader
from skasd.clips._clips import Clips
from skasd.clips._feature_column import noted_feature
from skasd.clips._machine_names import MACHINE_COLUMNS

_LOOK_ALIKES = {  # names without case, spaces and signs
    "machine_type": {"machine", "machines", "machinetype", "machinename", "machinekind", "device", "devicetype"},
    "section": {"section", "sections", "sectionid", "id", "machineid", "deviceid", "unit", "unitid", "serialnumber"},
}
_WAVEFORM_BRANCHES = {"tgram", "tfgram"}  # of a network, for which the front end says how waveforms are read
_MACHINES_LOOKED_AT, _CLIPS_LOOKED_AT = 16, 3


def warn_of_training_clips(estimator: Any, clips: Clips) -> None:
    """Warn of training clips that a detector learns nothing from, or not what its parameters say.

    Parameters
    ----------
    estimator : estimator
        Detector that is about to be fitted. Its parameters `frontend`, and `group_columns` or `label_columns`, are used.
    clips : Clips
        Training clips.
    """
    parameters = estimator.get_params(deep=False)
    frontend = parameters.get("frontend")
    columns = parameters.get("group_columns", parameters.get("label_columns", MACHINE_COLUMNS))
    if clips.table is not None:
        _warn_of_other_names(clips.table, columns if isinstance(columns, list | tuple) else ())
        branches = parameters.get("branches")
        reads_waveforms = isinstance(branches, list | tuple) and any(name in _WAVEFORM_BRANCHES for name in branches)
        if frontend is not None and parameters.get("feature") == "auto" and not reads_waveforms:
            _warn_of_idle_frontend(clips)
    _warn_of_dead_clips(clips, getattr(frontend, "channel", 0))


def _warn_of_other_names(table: pd.DataFrame, columns: Sequence[Any]) -> None:
    """Warn if a column that defines the machines is missing, and the index or a column of another name looks like it."""
    missing = [name for name in columns if name in _LOOK_ALIKES and name not in table.columns]
    if in_index := [name for name in missing if name in table.index.names]:
        warnings.warn(
            f"The clip table has {' and '.join(map(repr, in_index))} in its index, not in a column, so it does not tell "
            "machines apart; give X.reset_index().",
            stacklevel=4,
        )
    for name in set(missing) - set(in_index):
        for other in table.columns.difference(list(columns), sort=False):
            if _looks_like(table[other], str(other), name):
                warnings.warn(
                    f"The clip table has no column {name!r}, so it does not tell machines apart, but a column {other!r}. If "
                    f"that is meant, give X.rename(columns={{{other!r}: {name!r}}}).",
                    stacklevel=4,
                )


def _looks_like(cells: pd.Series, other: str, name: str) -> bool:
    """Whether a column of another name seems to be the column `name`: similar by name, and with values that repeat."""
    if re.sub(r"[\W_]+", "", other).lower() not in _LOOK_ALIKES[name] or not isinstance(cells, pd.Series):
        return False
    return 1 < cells.map(str).nunique() <= len(cells) / 2  # else it names one machine, or the clips


def _warn_of_idle_frontend(clips: Clips) -> None:
    """Warn if features in the table replace the front end, which was given for the waveforms beside them."""
    if clips.kind != "feature" or {"path", "waveform"}.isdisjoint(clips.table.columns):  # type: ignore[union-attr]
        return
    written = " that a transformer wrote" if noted_feature(clips.table) == clips.column else ""
    warnings.warn(
        f"frontend is not used for the spectrograms: they are read from the column {clips.column!r}{written}. Give "
        f"X.drop(columns={clips.column!r}) to have frontend compute them, or leave frontend at None; "
        f"feature={clips.column!r} says that the column is meant.",
        stacklevel=4,
    )


def _warn_of_dead_clips(clips: Clips, channel: Any) -> None:
    """Warn if the first clips of a machine hold one constant value each, as of a dead channel."""
    for rows in _first_of_machines(clips):
        if _is_dead(clips, rows[0], channel) and all(_is_dead(clips, row, channel) for row in rows[1:]):
            what = f" in channel {channel!r}" if clips.kind == "waveform" else ""
            names = ", ".join(clips.name(row) for row in rows)
            warnings.warn(
                f"Training clips hold a single constant value{what}, as of a dead channel: {names}. Nothing can be learnt "
                "from them; check the recordings, or set the channel of the front end.",
                stacklevel=4,
            )


def _first_of_machines(clips: Clips) -> list[np.ndarray]:
    """Positions of the first clips of each machine, for a few machines."""
    columns = [] if clips.table is None else [name for name in MACHINE_COLUMNS if name in clips.table.columns]
    machine = np.zeros(len(clips), dtype=int)
    if columns:
        names = clips.table[columns].map(str)  # type: ignore[index]
        machine = names.groupby(columns, sort=False, dropna=False).ngroup().to_numpy()
    return [np.flatnonzero(machine == name)[:_CLIPS_LOOKED_AT] for name in np.unique(machine)[:_MACHINES_LOOKED_AT]]


def _is_dead(clips: Clips, position: int, channel: Any) -> bool:
    """Whether a clip has more than one value, all of them equal; False if it cannot be read, which a fit reports."""
    item = clips.items[position]
    try:
        values = np.asarray(item) if clips.kind == "feature" else ClipReader(channel=channel)(item)
        return values.size > 1 and bool((values == values.flat[0]).all())
    except (TypeError, ValueError, OSError, MemoryError, RuntimeError, AttributeError):
        return False
