"""Tables of the documentation: as the committed results make them, and each on a page."""

import importlib.util
import re
import sys
from pathlib import Path

import pytest

from skasd.benchmark import read_suite

ROOT = Path(__file__).resolve().parents[2]
GUIDE = ROOT / "docs" / "user_guide"
SPEC = importlib.util.spec_from_file_location("accuracy_tables", ROOT / "benchmarks" / "accuracy" / "tables.py")
tables = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(tables)
PAGES = {page: page.read_text(encoding="utf-8") for page in GUIDE.rglob("*.rst")}


@pytest.mark.parametrize("name", tables.TABLES)
def test_a_table_of_the_guide_is_what_the_committed_results_make(name):
    text = tables.csv_of(name)
    assert text.count("\n") >= 3  # names of columns, and two rows
    assert text == (GUIDE / "results" / f"{name}.csv").read_text(encoding="utf-8")


def test_the_suite_of_the_first_detector_has_its_peers_and_loads_without_pyod(monkeypatch):
    pytest.importorskip("librosa")
    monkeypatch.setitem(sys.modules, "pyod", None)  # an import of it fails
    assert set(tables.FIRST_DETECTORS) <= set(
        read_suite(ROOT / "benchmarks" / "accuracy" / "suites" / "zoo.py").entries
    )


def test_every_table_is_on_one_page_and_every_page_has_its_tables():
    included = [file for text in PAGES.values() for file in re.findall(r":file: (?:\.\./)*results/(\w+)\.csv", text)]
    assert sorted(included) == sorted(set(tables.TABLES))
    assert sorted(file.stem for file in (GUIDE / "results").iterdir()) == sorted([*tables.TABLES, tables.MEASURED.stem])


def test_version_and_days_of_every_table_are_those_of_the_committed_results():
    assert tables.MEASURED.read_text(encoding="utf-8") == tables.measured()
