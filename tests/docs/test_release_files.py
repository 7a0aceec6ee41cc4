"""Files about the project: what they say is what the code says."""

import re
import runpy
import tomllib

import pandas as pd

import skasd
from tests.docs.blocks import ROOT

CITATION = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def cited(field):
    return re.search(rf"^{field}: (.+)$", CITATION, re.MULTILINE)[1].strip('"')


def test_the_citation_is_of_this_version_and_licence():
    assert cited("version") == skasd.__version__
    assert cited("license") == PROJECT["license"]


def test_the_formats_on_the_page_about_stability_are_those_of_the_code():
    from skasd.monitoring._schema import SCHEMA_VERSION
    from skasd.persistence._container import FORMAT

    page = (ROOT / "docs" / "stability.rst").read_text(encoding="utf-8")
    assert re.findall(r"``format``, (\d+)|``user_version``, (\d+)", page) == [
        (str(FORMAT), ""),
        ("", str(SCHEMA_VERSION)),
    ]


def test_the_figures_of_the_readme_are_those_of_the_results():
    text = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    found = re.search(r"an AUC of ([\d.]+) on a real valve and ([\d.]+) .* have ([\d.]+) and ([\d.]+);", text).groups()
    table = pd.read_csv(ROOT / "docs" / "user_guide" / "results" / "zoo.csv", index_col=0)
    cells = [
        table.loc[data, name].partition(" / ")[0]
        for name in ("statistics", "MFCC, kNN")
        for data in ("valve2023, its split", "toycar2020_logmel, its split")
    ]
    assert list(found) == cells


def test_the_readme_of_pypi_has_absolute_links_only():
    readme = runpy.run_path(str(ROOT / "docs" / "readme.py"))
    text = readme["absolute"](
        readme["README"].read_text(encoding="utf-8"), "https://docs.example", "https://code.example/"
    )
    assert "](https://docs.example/user_guide/getting_started.html)" in text
    assert "](https://code.example/docs/_static/demo.png)" in text
    assert re.findall(r"\]\((?!https://)", text) == []
