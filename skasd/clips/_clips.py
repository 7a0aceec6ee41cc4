"""The clips of one X: read only when they are asked for, several at a time, and with all failures listed."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import joblib
import numpy as np
import pandas as pd
from tqdm import tqdm

from skasd.clips._audio import ClipReader, as_float, why_not_finite

_FEW_CLIPS = 4  # for so few, starting threads takes longer than it saves
_CLIPS_PER_TASK = 8
_DOMAINS = ("source", "target")


@dataclass(frozen=True)
class Clips:
    """The clips of one X.

    Attributes
    ----------
    kind : {"waveform", "feature"}
        What `items` become when they are read.
    items : sequence of n_clips items
        Paths, waveforms or features.
    table : DataFrame of n_clips rows, or None
        The clip table they came from.
    column : str or None
        The column of the table that they were read from.
    """

    kind: Literal["waveform", "feature"]
    items: Sequence | np.ndarray
    table: pd.DataFrame | None = None
    column: str | None = None

    def __len__(self) -> int:
        return len(self.items)

    def name(self, position: int) -> str:
        """Name of a clip for messages: its path, or where it stands."""
        item = self.items[position]
        if isinstance(item, str | os.PathLike):
            return os.fspath(item)
        if self.table is not None:
            label = self.table.index[position]
            return f"clip {position} (index {label.item() if isinstance(label, np.generic) else label!r} of the table)"
        return f"clip {position}"

    def take(self, positions: np.ndarray) -> Self:
        """Clips at the integer `positions`."""
        whole = isinstance(self.items, np.ndarray)
        items = self.items[positions] if whole else [self.items[position] for position in positions]  # type: ignore
        return type(self)(self.kind, items, None if self.table is None else self.table.iloc[positions], self.column)

    def group_names(self, columns: Sequence[str], optional: Sequence[str] = ()) -> np.ndarray:
        """Names of the group of each clip: the cells of `columns` joined by "/".

        Parameters
        ----------
        columns : sequence of str
            Those of which no cell is known are passed over; without any, and without a table, every clip has the name "".
        optional : sequence of str, default=()
            Columns that the table may lack.

        Returns
        -------
        names : ndarray of shape (n_clips,), dtype str
        """
        names = np.full(len(self), "", dtype=object)
        table = pd.DataFrame() if self.table is None else self.table
        for column in columns:
            if self.table is not None and column not in table.columns and column not in optional:
                raise ValueError(f"The clip table has no column {column!r}; its columns are {list(table.columns)}.")
        known = {column: table[column].to_numpy(dtype=object) for column in columns if column in table.columns}
        missing = {column: pd.isna(cells) for column, cells in known.items()}
        present = [column for column in known if not missing[column].all()]
        for column in present:
            if missing[column].any():
                position = int(np.argmax(missing[column]))
                raise ValueError(
                    f"Column {column!r} is known of some clips but not of {self.name(position)}; fill it in, or leave the "
                    "column out of those that tell clips apart (group_columns)."
                )
            names = names + ("" if column == present[0] else "/") + known[column].astype(str).astype(object)
        return names.astype(str)

    def domains(self) -> np.ndarray:
        """Domain (n_clips,) of each clip: what the table says, ``"source"`` where it says nothing."""
        domains = np.full(len(self), "source", dtype=object)
        if self.table is None or "domain" not in self.table.columns:
            return domains
        for position, cell in enumerate(self.table["domain"]):
            if pd.isna(cell) or cell == "":
                continue
            if cell not in _DOMAINS:
                raise ValueError(
                    f"Column 'domain' holds {cell!r} for {self.name(position)}; 'source', 'target' or nothing is expected."
                )
            domains[position] = cell
        return domains

    def map(
        self,
        function: Callable[[np.ndarray], Any],
        reader: ClipReader,
        *,
        n_jobs: int | None = None,
        verbose: int = 0,
        title: str = "clips",
    ) -> Iterator[Any]:
        """Read every clip and apply `function`, several at a time, and yield the results in order.

        Parameters
        ----------
        function : callable
            Takes a waveform (n_timepoints,) or a feature (n_mels, n_frames). It runs in threads.
        reader : ClipReader
            How files and waveforms are read; features are taken as they are.
        n_jobs : int or None, default=None
            Number of threads, as in joblib.
        verbose : int, default=0
            Shows a progress bar from 1 on.
        title : str, default="clips"
            What the progress bar says.

        Yields
        ------
        result : Any
            What `function` returns for a clip; None for a clip that cannot be read.

        Raises
        ------
        ValueError
            After all clips have been tried, if any could not be read: the message lists them all with their reasons.
        """
        read = _read_feature if self.kind == "feature" else reader
        failures = []
        outcomes = _run([(_attempt, function, read, item) for item in self.items], n_jobs)
        for position, (result, reason) in enumerate(tqdm(outcomes, title, len(self), disable=verbose < 1, unit="clip")):
            if reason is not None:
                failures.append(f"{self.name(position)}: {reason}")
            yield result
        if failures:
            raise ValueError(_failure_message(failures, len(self)))


@dataclass(frozen=True)
class BadCell:
    """A cell of a table that holds no clip; it fails when it is read, and so is listed with all other failures."""

    reason: str


def _read_feature(item: Any) -> np.ndarray:
    feature = np.asarray(item)
    if feature.ndim != 2 or feature.size == 0 or feature.dtype.kind not in "fiu":
        raise ValueError(
            f"has shape {feature.shape}, dtype {feature.dtype}; a feature has numbers of shape (n_mels, n_frames)"
        )
    feature = feature.astype(np.float64) if feature.dtype.kind in "iu" else as_float(feature)
    if not np.isfinite(feature).all():
        raise ValueError(why_not_finite(feature))
    return feature


def _attempt(function: Callable, read: Callable, item: Any) -> tuple[Any, str | None]:
    if isinstance(item, BadCell):
        return None, item.reason
    try:
        values = read(item)
    except ValueError as error:
        return None, str(error)
    except (TypeError, RuntimeError, OSError, MemoryError) as error:
        return None, f"cannot be read: {error}"
    try:
        return function(values), None
    except ValueError as error:  # of a clip that can be read, but not used
        return None, str(error)


def _run(tasks: list[tuple], n_jobs: int | None) -> Iterator[Any]:
    """Results of the tasks in order, in threads where there are enough of them."""
    if len(tasks) <= _FEW_CLIPS or joblib.effective_n_jobs(n_jobs) == 1:
        return (task[0](*task[1:]) for task in tasks)
    parallel = joblib.Parallel(
        n_jobs=n_jobs, prefer="threads", return_as="generator", batch_size=_CLIPS_PER_TASK, pre_dispatch="all"
    )
    return parallel(joblib.delayed(task[0])(*task[1:]) for task in tasks)


def _failure_message(failures: list[str], n_clips: int) -> str:
    listed = "\n  ".join(failures)
    return f"{len(failures)} of {n_clips} clips cannot be used:\n  {listed}\nRepair them, or leave them out."
