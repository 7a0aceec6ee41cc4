"""Which csv files below a folder are the ground truth of an evaluation set, and of which year."""

import re
from pathlib import Path

from skasd.datasets._dcase_archives import joined_years
from skasd.datasets._dcase_years import year_of_folders

EVALUATOR_FILE = re.compile(
    r"ground_truth_(?P<machine_type>.+)_section_(?P<section>[0-9]{2})_(?:(?:source|target)_)?test\.csv"
)
CORRESPONDENCE_FILE = re.compile(
    r"attributes_[0-9]{2}_test_correspondence\.csv"
)  # of the baseline, for hidden attributes
_ATTRIBUTE_FILE = re.compile(r"attributes_[0-9]{2}\.csv")
_LIST_FILE = re.compile(r"eval_data_list(?:_(?P<year>[0-9]{4}))?\.csv")
_NAMELESS_LIST_YEAR = 2020


def truth_files(path: Path, year: int) -> list[Path]:
    """Files to read: one file, or those of a year below a folder."""
    if not path.exists():
        raise FileNotFoundError(f"ground_truth={str(path)!r} does not exist.")
    if path.is_file():
        if _year_of_list(path) not in {None, year}:
            raise ValueError(f"{path} is the list of {_year_of_list(path)}, not of {year}.")
        return [path]
    named = [file for file in sorted(path.rglob("*.csv")) if _is_truth(file)]
    files = [file for file in named if _year_of_file(file, path) in {None, year}]
    if not files:
        others = sorted({of_file for file in named if (of_file := _year_of_file(file, path))})
        found = f" There is that of {joined_years(others)}." if others else ""
        raise ValueError(
            f"No ground truth of {year} below {path}: looked for ground_truth_*_section_*_test.csv, "
            f"eval_data_list*.csv and ground_truth_attributes/*/attributes_*.csv.{found}"
        )
    return files


def lacking_file(machine_type: str, section: str, year: int, kind: str = "data") -> str:
    """The file that should have the labels (``"data"``) or domains (``"domain"``) of a section, for messages."""
    if year == _NAMELESS_LIST_YEAR:
        return f"the block {machine_type} of eval_data_list.csv"
    domain = "_<source|target>" if year == 2021 else ""
    return f"ground_truth_{kind}/ground_truth_{machine_type}_section_{section}{domain}_test.csv"


def _is_truth(file: Path) -> bool:
    if _ATTRIBUTE_FILE.fullmatch(file.name):
        return "ground_truth_attributes" in file.parts
    if CORRESPONDENCE_FILE.fullmatch(file.name):
        return {"ground_truth_attributes", "eval_data"} <= {*file.parts}
    return any(pattern.fullmatch(file.name) for pattern in (_LIST_FILE, EVALUATOR_FILE))


def _year_of_file(file: Path, root: Path) -> int | None:
    """Year in the name of a list, or of the innermost folder that is named after a year."""
    return _year_of_list(file) or year_of_folders((root.name, *file.relative_to(root).parts[:-1]))


def _year_of_list(file: Path) -> int | None:
    match = _LIST_FILE.fullmatch(file.name)
    return int(match["year"]) if match and match["year"] else None
