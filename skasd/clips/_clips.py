"""Clips: the clips of one X, read lazily and in parallel, with all failures reported together."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from tqdm import tqdm

from skasd.clips._arrays import as_float, as_numpy, checked_feature
from skasd.clips._audio import ClipReader, clip_length
from skasd.clips._files import readable_name
from skasd.clips._machine_names import joined

if TYPE_CHECKING:
    import pandas as pd

_FEW_CLIPS = 4  # up to this many, starting threads costs more time than it saves,
_FEW_VALUES = 300_000  # and up to this many values in all, where the clips are arrays
_CLIPS_PER_TASK = 8
_MANY_HEADERS = 100  # more of them are read in threads
_DOMAINS = ("source", "target")
WAVEFORM_COLUMNS = ("waveform", "path")  # of a clip table, in order of preference


@dataclass(frozen=True)
class Clips:
    """The clips of one X.

    Parameters
    ----------
    kind : {"waveform", "feature"}
        What the items are once they are read.
    items : sequence of n_clips items
        Paths, waveforms or features.
    table : DataFrame of n_clips rows, or None, default=None
        Clip table that they come from.
    column : str or None, default=None
        Column of the table that they come from.
    positions : ndarray of shape (n_clips,), int, or None, default=None
        Position of each clip in the X that it was taken from, for messages; None numbers the clips from 0.
    """

    kind: Literal["waveform", "feature"]
    items: Sequence | np.ndarray
    table: pd.DataFrame | None = None
    column: str | None = None
    positions: np.ndarray | None = None
    _lengths: dict[int, np.ndarray] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.items)

    def name(self, position: int) -> str:
        """Name of a clip in messages: its path, or its position.

        Parameters
        ----------
        position : int
            Position of the clip, counted from 0.

        Returns
        -------
        name : str
            Path, or position and index of the table.
        """
        item = self.items[position]
        if isinstance(item, str | os.PathLike):
            return readable_name(item)
        number = self._number(position)
        if self.table is not None:
            label = self.table.index[position]
            return f"clip {number} (index {label.item() if isinstance(label, np.generic) else label!r} of the table)"
        return f"clip {number}"

    def _number(self, position: int) -> int:
        """Position of a clip in the X that it was taken from."""
        return position if self.positions is None else int(self.positions[position])

    def take(self, positions: np.ndarray) -> Self:
        """Select clips by position.

        Parameters
        ----------
        positions : ndarray of shape (n_taken,), int
            Positions of the clips to take, counted from 0.

        Returns
        -------
        clips : Clips
            The clips at these positions, with their rows of the table.
        """
        whole = isinstance(self.items, np.ndarray)
        items = self.items[positions] if whole else [self.items[position] for position in positions]  # type: ignore
        table = None if self.table is None else self.table.iloc[positions]
        numbers = np.asarray(positions) if self.positions is None else self.positions[positions]
        return type(self)(self.kind, items, table, self.column, numbers)

    def lengths(self, sample_rate: int) -> np.ndarray:
        """Length of each clip, without reading its audio: of a file, only the header is opened.

        Parameters
        ----------
        sample_rate : int
            Sample rate that files are resampled to, in Hz.

        Returns
        -------
        lengths : ndarray of shape (n_clips,), int
            Time points of waveforms, or frames of features; 0 for a clip whose length cannot be found.
        """
        if sample_rate not in self._lengths:
            if isinstance(self.items, np.ndarray) and self.items.dtype != object and self.items.ndim in (2, 3):
                found = [self.items.shape[-1]] * len(self)
            elif self.kind == "feature":
                found = [np.shape(item)[1] if np.ndim(item) == 2 else 0 for item in self.items]
            else:
                tasks = [(clip_length, item, sample_rate) for item in self.items]
                found = [length or 0 for length in _run(tasks, -1 if len(tasks) > _MANY_HEADERS else 1)]
            self._lengths[sample_rate] = np.array(found, dtype=np.int64)
        return self._lengths[sample_rate]

    def group_names(self, columns: Sequence[str], optional: Sequence[str] = ()) -> np.ndarray:
        r"""Name of the group of each clip: its cells of `columns`, joined by "/".

        Where several columns are joined, a "/" within a cell is written as "\/" and a backslash twice, so that different
        cells never give the same name.

        Parameters
        ----------
        columns : sequence of str
            Columns of the clip table. Columns without any value are skipped.
        optional : sequence of str, default=()
            Columns that the table may lack.

        Returns
        -------
        names : ndarray of shape (n_clips,), dtype str
            Group of each clip; "" for all clips if there is no table or no column is left.
        """
        known_columns = () if self.table is None else self.table.columns
        for column in columns:
            if column not in known_columns and column not in optional:
                what = "X is no clip table and" if self.table is None else "The clip table"
                raise ValueError(f"{what} has no column {column!r}; its columns are {list(known_columns)}.")
        if self.table is None:
            return joined([], len(self)).astype(str)
        import pandas as pd

        table = self.table
        known = {column: table[column].to_numpy(dtype=object) for column in columns if column in table.columns}
        missing = {column: pd.isna(cells) for column, cells in known.items()}
        present = [column for column in known if not missing[column].all()]
        for column in present:
            if missing[column].any():
                position = int(np.argmax(missing[column]))
                raise ValueError(
                    f"Column {column!r} has values for some clips but not for {self.name(position)}; fill it in, or leave "
                    "it out of the columns that define the groups (group_columns)."
                )
            self._refuse_containers(column, known[column])
        return joined([known[column] for column in present], len(self)).astype(str)

    def _refuse_containers(self, column: str, cells: np.ndarray) -> None:
        """Raise if a cell that names a group is a list, an array or the like."""
        import pandas as pd

        for position, cell in enumerate(cells):
            if not pd.api.types.is_scalar(cell):
                raise TypeError(
                    f"Column {column!r} holds a {type(cell).__name__} for {self.name(position)}; a text or a number is "
                    "expected."
                )

    def domains(self) -> np.ndarray:
        """Domain of each clip.

        Returns
        -------
        domains : ndarray of shape (n_clips,)
            ``"source"`` or ``"target"``, from the column `domain` of the clip table; ``"source"`` if it is missing or empty.
        """
        domains = np.full(len(self), "source", dtype=object)
        if self.table is None or "domain" not in self.table.columns:
            return domains
        import pandas as pd

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
        ahead: int | None = None,
    ) -> Iterator[Any]:
        """Read all clips in parallel, apply `function` to each, and yield the results in order.

        Parameters
        ----------
        function : callable
            Function of a waveform (n_timepoints,) or a feature (n_mels, n_frames). It runs in threads.
        reader : ClipReader
            Reads files and waveforms; features are used as they are.
        n_jobs : int or None, default=None
            Number of threads, as in joblib.
        verbose : int, default=0
            Shows a progress bar if 1 or larger.
        title : str, default="clips"
            Title of the progress bar.
        ahead : int or None, default=None
            Number of clips that are read at a time. None reads on while the caller is busy, for results that are small.

        Yields
        ------
        result : Any
            Value that `function` returns for a clip; None for a clip that cannot be read.

        Raises
        ------
        ValueError
            If any clip could not be read. It is raised after the last clip, and lists all of them with the reasons.
        """
        failures: dict[int, str] = {}
        loud: dict[int, tuple[str, float]] = {}
        attempts = self.attempts(function, reader, n_jobs=n_jobs, verbose=verbose, title=title, ahead=ahead)
        for position, (result, reason, unscaled) in enumerate(attempts):
            if reason is not None:  # one window of a clip is enough
                failures.setdefault(self._number(position), f"{self.name(position)}: {reason}")
            if unscaled:
                loud.setdefault(self._number(position), (self.name(position), unscaled))
            yield result
        n_clips = len(self) if self.positions is None else len(np.unique(self.positions))
        if failures:
            raise ValueError(_failure_message(list(failures.values()), n_clips))
        if loud:
            warnings.warn(_loud_message(*next(iter(loud.values())), len(loud), n_clips), UserWarning, stacklevel=2)

    def attempts(
        self,
        function: Callable[[np.ndarray], Any],
        reader: ClipReader,
        *,
        n_jobs: int | None = None,
        verbose: int = 0,
        title: str = "clips",
        ahead: int | None = None,
    ) -> Iterator[tuple[Any, str | None, float]]:
        """Read all clips in parallel as ``map`` does, and yield why a clip cannot be used instead of raising an error.

        Parameters
        ----------
        function : callable
            Function of a waveform (n_timepoints,) or a feature (n_mels, n_frames). It runs in threads.
        reader : ClipReader
            Reads files and waveforms; features are used as they are.
        n_jobs : int or None, default=None
            Number of threads, as in joblib.
        verbose : int, default=0
            Shows a progress bar if 1 or larger.
        title : str, default="clips"
            Title of the progress bar.
        ahead : int or None, default=None
            Number of clips that are read at a time. None reads on while the caller is busy, for results that are small.

        Yields
        ------
        outcome : tuple of Any, str or None, and float
            Value that `function` returns for a clip, or None; why the clip cannot be used, or None; and what
            :meth:`ClipReader.read` says of the scale.
        """
        read = _read_feature if self.kind == "feature" else reader.read
        tasks = [(_attempt, function, read, item) for item in self.items]
        step = ahead or max(1, len(tasks))
        blocks = (tasks[start : start + step] for start in range(0, len(tasks), step))
        outcomes = chain.from_iterable(_run(block, n_jobs) for block in blocks)
        yield from tqdm(outcomes, title, len(self), disable=verbose < 1, unit="clip")


@dataclass(frozen=True)
class BadCell:
    """A table cell that holds no clip; reading it fails, so that it is reported together with all other failures."""

    reason: str


def _read_feature(item: Any) -> tuple[np.ndarray, float]:
    """A feature as floats, and 0 because no scale is expected of it."""
    feature = np.asarray(as_numpy(item))
    if feature.ndim != 2 or feature.size == 0 or feature.dtype.kind not in "fiu":
        raise ValueError(
            f"has shape {feature.shape} and dtype {feature.dtype}; a feature is a numeric array of shape (n_mels, n_frames)"
        )
    return checked_feature(feature.astype(np.float64) if feature.dtype.kind in "iu" else as_float(feature)), 0.0


def _attempt(function: Callable, read: Callable, item: Any) -> tuple[Any, str | None, float]:
    """Result of the function, why there is none, and what `ClipReader.read` says of the scale."""
    if isinstance(item, BadCell):
        return None, item.reason, 0.0
    try:
        values, unscaled = read(item)
    except ValueError as error:
        return None, str(error), 0.0
    except (TypeError, RuntimeError, OSError, MemoryError) as error:
        return None, f"cannot be read: {error}", 0.0
    try:
        return function(values), None, unscaled
    except ValueError as error:  # the clip was read, but cannot be used
        return None, str(error), unscaled


def _run(tasks: list[tuple], n_jobs: int | None) -> Iterator[Any]:
    """Results of the tasks in order; they run in threads if there are enough of them."""
    if len(tasks) <= _FEW_CLIPS or _n_values(tasks) <= _FEW_VALUES or _effective_n_jobs(n_jobs) == 1:
        return (task[0](*task[1:]) for task in tasks)
    import joblib

    parallel = joblib.Parallel(
        return_as="generator", batch_size=_CLIPS_PER_TASK, pre_dispatch="all", **_workers(n_jobs)
    )
    return parallel(joblib.delayed(task[0])(*task[1:]) for task in tasks)


def _effective_n_jobs(n_jobs: int | None) -> int:
    import joblib

    return joblib.effective_n_jobs(n_jobs)


def _n_values(tasks: list[tuple]) -> float:
    """Number of values that the clips of the tasks hold; infinite if one is not an array, such as a file."""
    return sum(next((part.size for part in task if isinstance(part, np.ndarray)), np.inf) for task in tasks)


def _workers(n_jobs: int | None) -> dict[str, Any]:
    """Threads, or the backend that the user chose with joblib.parallel_config, if it can yield results one by one.

    The backends of multiprocessing and of Ray cannot; threads take their place, as many as the user set for the backend.
    """
    from joblib.parallel import get_active_backend

    backend, chosen = get_active_backend(prefer="threads")
    if backend.supports_return_generator:
        return {"n_jobs": n_jobs, "prefer": "threads"}
    return {"n_jobs": chosen if n_jobs is None else n_jobs, "require": "sharedmem"}


def _loud_message(name: str, peak: float, n_loud: int, n_clips: int) -> str:
    return (
        f"{n_loud} of {n_clips} clips hold samples up to {peak:.6g} ({name}), where -1 to 1 is expected. They look like "
        "integer PCM that was converted to float without scaling, and their levels are not comparable with those of files: "
        "divide 16-bit samples by 32768, or give the integers as int16."
    )


def _failure_message(failures: list[str], n_clips: int) -> str:
    listed = "\n  ".join(failures)
    way_out = "Repair them, or leave them out with on_error='skip'."
    return f"{len(failures)} of {n_clips} clips cannot be used:\n  {listed}\n{way_out}"
