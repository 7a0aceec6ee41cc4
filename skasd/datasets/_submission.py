"""Read and write the score and decision files of DCASE Task 2, the input of the challenge's evaluators."""

import csv
import io
import math
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from skasd.datasets._dcase_names import base_name, check_year
from skasd.datasets._dcase_truth import read_rows, shortened

_SCORE_FILE = re.compile(
    r"anomaly_score_(?:DCASE(?P<year>20[0-9]{2})T2)?(?P<machine_type>.+?)_(?:id|section)_(?P<section>[0-9]{2})"
    r"(?:_(?P<domain>source|target))?(?:_test)?(?:_seed.*)?\.csv"
)
_COLUMNS = ["machine_type", "section", "domain", "file_name", "score"]


def save_dcase_scores(
    folder: str | os.PathLike[str],
    table: pd.DataFrame,
    score_samples: Any,
    *,
    year: int,
    y_pred: Any = None,
) -> list[Path]:
    """Write scores, and optionally decisions, in the format of the challenge.

    There is one file per machine type and section (in 2021 per machine type, section and domain) with one row
    ``name.wav,score`` per clip, sorted by name. In these files, unlike everywhere else, a high score means anomalous.
    Existing files are replaced. Everything is checked before the first file is written, and a file appears only once
    it is complete.

    Parameters
    ----------
    folder : str or path-like
        Folder to write to; it is created if it does not exist.
    table : DataFrame
        Clip table of test clips, with the columns ``path``, ``machine_type``, ``section`` and, in 2021, ``domain``.
    score_samples : array-like of shape (n_clips,)
        Scores returned by ``score_samples`` of a detector: high = normal.
    year : int
        Year of the challenge, 2020 to 2026, which determines the file names.
    y_pred : array-like of shape (n_clips,) or None, default=None
        Decisions returned by ``predict``, +1 normal and -1 anomaly. If given, decision files are written as well, in
        which 1 is an anomaly. The challenge of 2020 has none.

    Returns
    -------
    list of Path
        Paths of the files written, sorted.

    Raises
    ------
    ValueError
        If a required column or cell is missing, the lengths differ, a score is not finite, a decision is not +1 or -1,
        a clip belongs to another split than ``"test"``, or two clips of one file have the same name.

    See Also
    --------
    read_dcase_scores : Read such files.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> import pandas as pd
    >>> from skasd.datasets import read_dcase_scores, save_dcase_scores
    >>> path = ["fan/test/section_00_0000.wav", "fan/test/section_00_0001.wav"]
    >>> table = pd.DataFrame({"path": path, "machine_type": "fan", "section": "00"})
    >>> with TemporaryDirectory() as folder:
    ...     files = save_dcase_scores(folder, table, [-0.5, -2.0], year=2023, y_pred=[1, -1])
    ...     scores = read_dcase_scores(folder)
    >>> [file.name for file in files]
    ['anomaly_score_fan_section_00_test.csv', 'decision_result_fan_section_00_test.csv']
    >>> scores["score"].tolist()
    [0.5, 2.0]
    """
    check_year(year)
    unit = _units(table, year)
    names = [base_name(path) for path in table["path"]]
    # The challenge defines high = anomalous. Apart from the metrics, this is the only place outside a detector that
    # flips the sign. Adding zero turns -0.0 into 0.0.
    score = [repr(float(-value + 0.0)) for value in _finite(score_samples, len(table))]
    texts = _texts("anomaly_score", unit, names, score, year)
    if y_pred is not None:
        texts |= _texts("decision_result", unit, names, _decisions(y_pred, len(table), year), year)
    return _write_all(Path(folder).expanduser(), texts)


def read_dcase_scores(source: str | os.PathLike[str] | Iterable[str | os.PathLike[str]]) -> pd.DataFrame:
    """Read score files of the challenge, as submitted or as written by its baseline systems, of any year.

    Parameters
    ----------
    source : str, path-like or iterable of them
        A folder, in which every ``anomaly_score_*.csv`` is read, or one or several files. The file names give the
        machine type, section and domain.

    Returns
    -------
    DataFrame
        One row per clip, sorted, with the columns ``machine_type``, ``section``, ``domain`` (None if the file is not
        limited to one domain), ``file_name`` and ``score``. As in the files, a high score means anomalous. To match
        scores with clips, merge on ``machine_type``, ``section`` and ``file_name``.

    Raises
    ------
    FileNotFoundError
        If a file or folder does not exist.
    ValueError
        If there is no score file, a file is not named like one, the names are of several years, a row is not a name and a
        finite number, or a clip of a machine type and section has two scores. The message names the file and line.

    See Also
    --------
    save_dcase_scores : Write such files.

    Examples
    --------
    See :func:`save_dcase_scores`.
    """
    rows: list[tuple] = []
    first: dict[tuple, str] = {}
    files = _score_files(source)
    _refuse_years(files)
    for file in files:
        match = _SCORE_FILE.fullmatch(file.name)
        if match is None:
            raise ValueError(
                f"{file} is not named like a score file, for example anomaly_score_fan_section_00_test.csv."
            )
        lines = read_rows(file)
        if not lines:
            raise ValueError(f"{file} is empty.")
        for line, cells in lines:
            key = (match["machine_type"], match["section"], cells[0])
            where = f"{file}, line {line}"
            if key in first:
                raise ValueError(f"{where}: {cells[0]} has a score already, in {first[key]}.")
            first[key] = where
            rows.append((*key[:2], match["domain"], cells[0], _score(cells, where)))
    rows.sort(key=lambda row: (row[0], row[1], row[2] or "", row[3]))
    return pd.DataFrame(rows, columns=_COLUMNS, dtype=object).astype({"score": float})


def _units(table: pd.DataFrame, year: int) -> list[tuple[str, ...]]:
    """Check the table, and return machine type, section and, in 2021, domain of every clip."""
    if not isinstance(table, pd.DataFrame) or table.empty:
        raise ValueError(f"Expected a clip table with at least one clip, got {type(table).__name__}.")
    columns = ["machine_type", "section", *(["domain"] if year == 2021 else [])]
    if missing := [column for column in ("path", *columns) if column not in table]:
        raise ValueError(f"The table has no column {' or '.join(missing)}; its columns: {', '.join(map(str, table))}.")
    if "split" in table and not table["split"].dropna().eq("test").all():
        raise ValueError(
            "The challenge's files hold test clips only: pass table[table['split'] == 'test'] and the scores of these clips."
        )
    allowed = {"machine_type": r"[^/\\\s]+", "section": "[0-9]{2}", "domain": "source|target"}
    for column in columns:
        for path, cell in zip(table["path"], table[column], strict=True):
            if not isinstance(cell, str) or not re.fullmatch(allowed[column], cell):
                raise ValueError(
                    f"{column} of {path} is {cell!r}; it becomes part of a file name, so a string that matches "
                    f"{allowed[column]!r} is expected."
                )
    return list(table[columns].itertuples(index=False, name=None))


def _finite(score_samples: Any, n_clips: int) -> np.ndarray:
    score = np.asarray(score_samples, dtype=float)
    if score.shape != (n_clips,):
        raise ValueError(f"score_samples has shape {score.shape}; the table has {n_clips} clips.")
    if not np.isfinite(score).all():
        raise ValueError(f"score_samples of clip {np.flatnonzero(~np.isfinite(score))[0]} is not finite.")
    return score


def _decisions(y_pred: Any, n_clips: int, year: int) -> list[str]:
    decision = np.asarray(y_pred)
    if year == 2020:
        raise ValueError("The challenge of 2020 has no decision files: omit y_pred.")
    if decision.shape != (n_clips,) or not np.isin(decision, (1, -1)).all():
        raise ValueError(f"y_pred has shape {decision.shape}; expected {n_clips} values that are +1 or -1.")
    return ["1" if value == -1 else "0" for value in decision]


def _texts(kind: str, units: list[tuple[str, ...]], names: list[str], values: list[str], year: int) -> dict[str, str]:
    """Contents of the files by file name."""
    rows: dict[str, dict[str, str]] = {}
    for (machine_type, section, *domain), name, value in zip(units, names, values, strict=True):
        unit = f"id_{section}" if year == 2020 else "_".join(["section", section, *domain, "test"])
        file = rows.setdefault(f"{kind}_{machine_type}_{unit}.csv", {})
        if name in file:
            raise ValueError(f"Two clips of {machine_type}, section {section} are called {name!r}.")
        file[name] = value
    return {file: _csv(sorted(content.items())) for file, content in rows.items()}


def _csv(rows: list[tuple[str, str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _write_all(folder: Path, texts: dict[str, str]) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = {folder / f".{name}.part": folder / name for name in texts}
    try:
        for part, file in unfinished.items():
            part.write_text(texts[file.name], encoding="utf-8", newline="\n")
        for part, file in unfinished.items():
            part.replace(file)
    finally:
        for part in filter(Path.is_file, unfinished):
            part.unlink()
    return sorted(unfinished.values())


def _score_files(source: Any) -> list[Path]:
    if not isinstance(source, (str, os.PathLike)):
        files = [Path(file).expanduser() for file in source]
    elif (path := Path(source).expanduser()).is_dir():
        files = sorted(path.glob("anomaly_score_*.csv"))
    else:
        files = [path]
    if not files:
        raise ValueError(f"No anomaly_score_*.csv in {source}.")
    if missing := [file for file in files if not file.is_file()]:
        raise FileNotFoundError(f"There is no file {shortened(missing)}.")
    return files


def _refuse_years(files: list[Path]) -> None:
    """Raise if the names of baseline files are of several years, whose machine types of one name are different machines."""
    years: dict[str, Path] = {}
    for file in files:
        if (match := _SCORE_FILE.fullmatch(file.name)) and match["year"]:
            years.setdefault(match["year"], file)
    if len(years) > 1:
        raise ValueError(
            f"Scores of DCASE {' and '.join(sorted(years))} in one call: {shortened(years.values())}. A machine type of the "
            "same name is another machine in each year; pass the files of one year."
        )


def _score(cells: list[str], where: str) -> float:
    try:
        name, text = cells
        score = float(text)
    except ValueError:
        name, score = "", math.nan
    if not name or not math.isfinite(score):
        raise ValueError(f"{where}: expected a file name and a number, got {','.join(cells)!r}.")
    return score
