"""Names of machines: a "/" within a machine type or a section merges no two machines, wherever clips are grouped."""

import numpy as np
import pandas as pd
import pytest

from skasd.benchmark._data import SuiteData
from skasd.benchmark._ways import _rows_by_machine
from skasd.cli._evaluate import _of_trained_sections
from skasd.clips import as_clips
from skasd.clips._machine_names import machine_names


@pytest.fixture
def table():
    """Five clips of the section "b/c" of machine "a", and one of the section "c" of machine "a/b"."""
    rows = {"machine_type": ["a"] * 5 + ["a/b"], "section": ["b/c"] * 5 + ["c"], "split": ["train"] * 5 + ["test"]}
    return pd.DataFrame(rows | {"waveform": [np.ones(16)] * 6}, index=range(10, 16))


def test_names_differ(table):
    assert machine_names(table).tolist() == [r"a/b\/c"] * 5 + [r"a\/b/c"]
    assert machine_names(table).index.equals(table.index)
    assert as_clips(table).group_names(("machine_type", "section")).tolist() == machine_names(table).tolist()


def test_a_suite_tests_no_machine_without_training_clips(table):
    data = SuiteData(table, np.ones(6, dtype=int), 2023, None, "", "", "")
    with pytest.warns(UserWarning, match="Left out, without normal training clips"):
        train, test, _ = data.split()
    assert (len(train), len(test)) == (5, 0)


def test_back_ends_of_a_suite_are_of_one_machine(table):
    assert [len(rows) for rows in _rows_by_machine(table).values()] == [5, 1]


def test_evaluation_leaves_out_a_machine_without_training_clips(table):
    with pytest.warns(UserWarning, match="Sections left out"):
        kept = _of_trained_sections(table, (table["split"] == "train").to_numpy())
    assert kept.tolist() == [True] * 5 + [False]
