r"""Names of machines: the cells of several columns joined by "/", so that different cells never give the same name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

_SEPARATOR, _ESCAPED = re.compile(r"(?<!\\)/"), re.compile(r"\\([/\\])")
MACHINE_COLUMNS = ("machine_type", "section")  # usual columns that define a machine; a clip table may lack them


def joined(cells: Sequence[np.ndarray], n_rows: int) -> np.ndarray:
    r"""Join the cells of each row by "/".

    Where there are several columns, a "/" within a cell is written as "\/" and a backslash twice.

    Parameters
    ----------
    cells : sequence of ndarray of shape (n_rows,)
        The cells of each column.
    n_rows : int
        Number of rows.

    Returns
    -------
    names : ndarray of shape (n_rows,), dtype object
        A name for each row; "" if there is no column.
    """
    names = np.full(n_rows, "", dtype=object)
    for position, column in enumerate(cells):
        names = names + ("/" if position else "") + _as_names(column, escape=len(cells) > 1)
    return names


def split_names(names: Iterable[str]) -> list[tuple[str, ...]]:
    r"""Cells of names that were joined.

    Parameters
    ----------
    names : iterable of str
        Names of machines of several columns.

    Returns
    -------
    cells : list of tuple of str
        Cells of each name.

    Examples
    --------
    >>> split_names(["fan/00", "hall\\/fan/01", "pump"])
    [('fan', '00'), ('hall/fan', '01'), ('pump',)]
    """
    return [tuple(_ESCAPED.sub(r"\1", cell) for cell in _SEPARATOR.split(name)) for name in names]


def machine_names(table: pd.DataFrame) -> pd.Series:
    r"""Machine of each row of a clip table that has a machine type and a section.

    Parameters
    ----------
    table : DataFrame
        Clip table.

    Returns
    -------
    names : Series of str
        Names, with the index of the table.

    Examples
    --------
    >>> import pandas as pd
    >>> machine_names(pd.DataFrame({"machine_type": ["fan", "hall/fan"], "section": ["00", "01"]})).tolist()
    ['fan/00', 'hall\\/fan/01']
    """
    import pandas as pd

    cells = [table[column].to_numpy(dtype=object) for column in MACHINE_COLUMNS]
    return pd.Series(joined(cells, len(table)), index=table.index, dtype=object)


def _as_names(cells: np.ndarray, *, escape: bool) -> np.ndarray:
    names = np.array([str(cell) for cell in cells], dtype=object)
    if escape and any("/" in name or "\\" in name for name in set(names)):
        return np.array([name.replace("\\", "\\\\").replace("/", "\\/") for name in names], dtype=object)
    return names
