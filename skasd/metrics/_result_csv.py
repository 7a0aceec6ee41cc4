"""Write and read the result files of the official baselines as text."""

import csv
import io
import re
from collections.abc import Iterable
from typing import Any

import pandas as pd

from skasd.metrics._decisions import decision_table
from skasd.metrics._means import arithmetic_mean, harmonic_mean
from skasd.metrics._official_rules import check_year
from skasd.metrics._score_table import score_table

_DOMAIN_COLUMNS = {
    "AUC (source)": "auc_source",
    "AUC (target)": "auc_target",
    "pAUC": "pauc",
    "pAUC (source)": "pauc_source",
    "pAUC (target)": "pauc_target",
    "precision (source)": "precision_source",
    "precision (target)": "precision_target",
    "recall (source)": "recall_source",
    "recall (target)": "recall_target",
    "F1 score (source)": "f1_source",
    "F1 score (target)": "f1_target",
}


def format_result_csv(
    y_true: Any,
    score_samples: Any,
    table: pd.DataFrame,
    *,
    year: int,
    y_pred: Any = None,
    max_fpr: float = 0.1,
) -> str:
    """Format the result file of the official baseline of a year.

    In 2020 there is, for each machine type, a line with its name, the header ``id,AUC,pAUC``, a row per section and a row
    ``Average``. In 2022 there is a line with its name, the header ``section,AUC (source),AUC (target),pAUC,precision
    (source),...``, a row per section, and the rows ``arithmetic mean`` and ``harmonic mean``. Since 2023 there is one
    file per machine type, without its name, with additional columns ``pAUC (source),pAUC (target)``, which use only the
    anomalies of their own domain. An empty line follows the rows of each machine type, in every year. The file of 2022 ends
    with means over all machine types, which are left out here; :func:`official_score` computes the official one.

    Parameters
    ----------
    y_true : array-like of shape (n_clips,)
        +1 for normal clips, -1 for anomalies.
    score_samples : array-like of shape (n_clips,)
        Scores, high = normal.
    table : DataFrame of n_clips rows
        Clip table with ``machine_type``, ``section`` and, since 2022, ``domain``.
    year : int
        Year of the challenge, 2020 or 2022 to 2026.
    y_pred : array-like of shape (n_clips,) or None, default=None
        Decisions, +1 or -1, which are required since 2022.
    max_fpr : float, default=0.1
        Highest false positive rate of the pAUC, dimensionless, in (0, 1].

    Returns
    -------
    text : str
        Comma-separated values, with a line feed at the end of each line.

    Raises
    ------
    ValueError
        If the layout of that year is not supported, decisions or domains are missing, or the clips belong to several
        machine types although the year has one file for each.

    See Also
    --------
    parse_result_csv : Parse such a file.

    Examples
    --------
    >>> import pandas as pd
    >>> from skasd.metrics import format_result_csv
    >>> table = pd.DataFrame({"machine_type": "fan", "section": ["00"] * 2 + ["02"] * 2})
    >>> print(format_result_csv([1, -1, 1, -1], [2, 1, 3, 3], table, year=2020))
    fan
    id,AUC,pAUC
    00,1.0,1.0
    02,0.5,0.5
    Average,0.75,0.75
    <BLANKLINE>
    <BLANKLINE>
    """
    if check_year(year) == 2021:
        raise ValueError("year=2021: the layout of that year is not supported; expected 2020 or 2022 to 2026.")
    if year == 2020:
        scores = score_table(y_true, score_samples, table, year=2020, max_fpr=max_fpr)
        columns = {"AUC": "auc", "pAUC": "pauc"}
        return _write(
            line for block in _types(scores) for line in _block(*block, "id", columns, {"Average": arithmetic_mean})
        )
    scores = _with_decisions(y_true, score_samples, table, year, y_pred, max_fpr)
    means = {"arithmetic mean": arithmetic_mean, "harmonic mean": harmonic_mean}
    if year == 2022:
        columns = {name: column for name, column in _DOMAIN_COLUMNS.items() if not name.startswith("pAUC (")}
        return _write(line for block in _types(scores) for line in _block(*block, "section", columns, means))
    if len(scores["machine_type"].unique()) > 1:
        raise ValueError(f"year={year} has one file per machine type; pass the clips of one machine type at a time.")
    return _write(_block(None, scores, "section", _DOMAIN_COLUMNS, means))


def parse_result_csv(text: str) -> pd.DataFrame:
    r"""Parse the rows of sections in a result file of a baseline or evaluator.

    Parameters
    ----------
    text : str
        Content of a result file of any year.

    Returns
    -------
    results : DataFrame
        One row per section with ``machine_type`` (None if the file does not give it), ``section`` and the columns of the
        file under their own names, as float; ``domain`` is text. Rows with means are left out.

    Raises
    ------
    ValueError
        If the text holds no row of a section below a header.

    See Also
    --------
    format_result_csv : Format such a file.

    Examples
    --------
    >>> from skasd.metrics import parse_result_csv
    >>> parse_result_csv("fan\nid,AUC,pAUC\n00,0.75,0.5\nAverage,0.75,0.5\n")
      machine_type section   AUC  pAUC
    0          fan      00  0.75   0.5
    """
    if not isinstance(text, str):
        raise TypeError(f"text={text!r} is a {type(text).__name__}; the contents of a csv file are expected.")
    machine_type, header, rows = None, None, []
    for line in csv.reader(io.StringIO(text)):
        cells = [cell.strip() for cell in line]
        if cells and cells[0] in ("id", "section"):
            header = cells[1:]
        elif len(cells) == 1 and cells[0]:
            machine_type, header = cells[0], None
        elif header is not None and cells and re.fullmatch(r"\d{2}", cells[0]):
            values = {
                name: cell if name == "domain" else float(cell) for name, cell in zip(header, cells[1:], strict=True)
            }
            rows.append({"machine_type": machine_type, "section": cells[0], **values})
    if not rows:
        raise ValueError("The text has no row of a section below a header that starts with 'id' or 'section'.")
    return pd.DataFrame(rows)


def _with_decisions(
    y_true: Any, score_samples: Any, table: pd.DataFrame, year: int, y_pred: Any, max_fpr: float
) -> pd.DataFrame:
    """One row per section: AUC, pAUC, pAUC within each domain, and precision, recall and F1 of each domain."""
    if y_pred is None:
        raise ValueError(f"year={year} needs precision, recall and F1; pass the decisions of predict as y_pred.")
    scores = score_table(y_true, score_samples, table, year=year, max_fpr=max_fpr)
    within = score_table(y_true, score_samples, table, year=2021, max_fpr=max_fpr)
    decisions = decision_table(y_true, y_pred, table)
    for domain in ("source", "target"):
        scores[f"pauc_{domain}"] = within[f"pauc_{domain}"]
        rows = decisions[decisions["domain"] == domain]
        if len(rows) != len(scores):
            raise ValueError(
                f"{len(scores) - len(rows)} of {len(scores)} sections have no clips of the domain {domain!r}."
            )
        for name in ("precision", "recall", "f1"):
            scores[f"{name}_{domain}"] = rows[name].to_numpy()
    return scores


def _types(scores: pd.DataFrame) -> Iterable[tuple[Any, pd.DataFrame]]:
    return scores.groupby("machine_type", sort=False)


def _block(
    machine_type: Any, scores: pd.DataFrame, first: str, columns: dict[str, str], means: dict[str, Any]
) -> Iterable[list[Any]]:
    """Yield the lines of one machine type."""
    if machine_type is not None:
        yield [machine_type]
    yield [first, *columns]
    values = scores[list(columns.values())]
    for section, row in zip(scores["section"], values.to_numpy().tolist(), strict=True):
        yield [section, *row]
    for name, mean in means.items():
        yield [name, *(mean(values[column]) for column in values)]
    yield []


def _write(lines: Iterable[list[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(lines)
    return text.getvalue()
