"""Read the csv files published for DCASE Task 2: ground truth of the evaluation sets, and attributes.

Every format identifies clips by machine type and base name; nothing is joined by position or number.
"""

import csv
import os
import re
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from skasd.datasets._dcase_names import ClipName, clip_stem, parse_clip_name

Key = tuple[str, str]  # machine type, base name without suffix

# For these machine types, the rows of the published list of 2022 and of the evaluator's attribute files are shuffled
# relative to the evaluator's labels: submitted systems score far above chance with the labels, and at chance with the list.
_SHUFFLED_2022 = frozenset({"ToyCar", "ToyTrain"})
_WHY_SHUFFLED = (
    "For ToyCar and ToyTrain of 2022 the full names in eval_data_list_2022.csv and in ground_truth_attributes are "
    "shuffled, so they are not used: pass the folder that holds ground_truth_data and ground_truth_domain of the "
    "challenge's evaluator, or exclude these two machine types with machine_types."
)

_EVALUATOR_FILE = re.compile(r"ground_truth_(?P<machine_type>.+)_section_[0-9]{2}_(?:(?:source|target)_)?test\.csv")
_ATTRIBUTE_FILE = re.compile(r"attributes_[0-9]{2}\.csv")
_LIST_FILE = re.compile(r"eval_data_list(?:_(?P<year>[0-9]{4}))?\.csv")


@dataclass(frozen=True, slots=True)
class _Entry:
    """Content of one row of a file, about one clip."""

    key: Key
    target: int | None = None
    domain: str | None = None
    attributes: str | None = None
    from_full_name: bool = False


@dataclass
class Truth:
    """Ground truth of evaluation clips, by machine type and base name without suffix."""

    target: dict[Key, int] = field(default_factory=dict)
    domain: dict[Key, str] = field(default_factory=dict)
    attributes: dict[Key, str] = field(default_factory=dict)
    refused: set[Key] = field(default_factory=set)

    def add(self, entry: _Entry, *, year: int, where: str) -> None:
        """Add one row, or raise if another file contradicts it."""
        if year == 2022 and entry.from_full_name and entry.key[0] in _SHUFFLED_2022:
            self.refused.add(entry.key)
            return
        _put(self.target, entry.key, entry.target, where)
        _put(self.domain, entry.key, entry.domain, where)
        if entry.attributes is not None:
            self.attributes.setdefault(entry.key, entry.attributes)


def read_truth(path: str | os.PathLike[str], *, year: int) -> Truth:
    """Read the published csv files of an evaluation set: one file, or all such files below a folder."""
    truth = Truth()
    for file in _truth_files(Path(path).expanduser(), year):
        for line, entry in _entries(file, year):
            truth.add(entry, year=year, where=f"{file}, line {line}")
    return truth


def label_test_clips(rows: list[dict[str, Any]], truth: Truth, *, year: int, test_attributes: bool) -> None:
    """Write the label, the domain and, if requested, the attributes into the rows of unlabelled test clips."""
    keys = [(row["machine_type"], clip_stem(row["path"])) for row in rows]
    unlabelled = [i for i, row in enumerate(rows) if row["split"] == "test" and row["target"] == 0]
    _check_complete([keys[i] for i in unlabelled], truth)
    for i in unlabelled:
        row, domain = rows[i], truth.domain.get(keys[i])
        if row["domain"] and domain and row["domain"] != domain:
            raise ValueError(f"{row['path']} is a {row['domain']} clip by its name and {domain} by the ground truth.")
        row["target"] = truth.target[keys[i]]
        row["domain"] = row["domain"] or domain
        if test_attributes:
            row["attributes"] = row["attributes"] or truth.attributes.get(keys[i])
    without = sum(rows[i]["domain"] is None for i in unlabelled)
    if without and year >= 2021:
        warnings.warn(
            f"The ground truth gives {without} of {len(unlabelled)} test clips a label but no domain, which the "
            "official score needs. Pass the folder that holds both ground_truth_data and ground_truth_domain.",
            stacklevel=3,
        )


def read_attribute_file(path: Path, *, year: int) -> dict[str, str]:
    """Read the attribute text by base name without suffix from one ``attributes_NN.csv``.

    Rows are read cell by cell, because the number of key-value pairs changes within a file.
    """
    text = {}
    for _, cells in read_rows(path):
        if cells[0] == "file_name":
            continue
        values = [cell for cell in cells[1:] if cell and parse_clip_name(cell, year=year) is None]
        if year == 2022 and path.parent.name in _SHUFFLED_2022:
            values[::2] = ["spd" if key == "speed" else key for key in values[::2]]
        if values and values != ["noAttribute"]:
            text[clip_stem(cells[0])] = "_".join(values)
    return text


def read_rows(path: Path) -> list[tuple[int, list[str]]]:
    """Line number and stripped cells of every non-blank row of a csv file."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            rows = [(reader.line_num, [cell.strip() for cell in cells]) for cells in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} is not a readable csv file: {error}.") from error
    return [(line, cells) for line, cells in rows if any(cells)]


def shortened(names: Iterable[object], n_shown: int = 5) -> str:
    """Join the first few names, and say how many more there are."""
    texts = [str(name) for name in names]
    more = len(texts) - n_shown
    return ", ".join(texts[:n_shown]) + (f", and {more} more" if more > 0 else "")


def _put(known: dict[Key, Any], key: Key, value: Any, where: str) -> None:
    if value is not None and known.setdefault(key, value) != value:
        raise ValueError(
            f"Ground truth files contradict each other on {'/'.join(key)}: {known[key]} and {value} ({where})."
        )


def _check_complete(keys: list[Key], truth: Truth) -> None:
    missing = ["/".join(key) for key in keys if key not in truth.target]
    if missing:
        hint = f" {_WHY_SHUFFLED}" if any(key in truth.refused for key in keys if key not in truth.target) else ""
        raise ValueError(
            f"{len(missing)} of {len(keys)} test clips have no label in the ground truth: {shortened(missing)}.{hint}"
        )


def _truth_files(path: Path, year: int) -> list[Path]:
    if not path.exists():
        raise FileNotFoundError(f"ground_truth={str(path)!r} does not exist.")
    if path.is_file():
        if _year_of_list(path) not in {None, year}:
            raise ValueError(f"{path} is the list of {_year_of_list(path)}, not of {year}.")
        return [path]
    files = [file for file in sorted(path.rglob("*.csv")) if _is_truth(file, year)]
    if not files:
        raise ValueError(
            f"No ground truth of {year} below {path}: looked for ground_truth_*_section_*_test.csv, "
            "eval_data_list*.csv and ground_truth_attributes/*/attributes_*.csv."
        )
    return files


def _is_truth(file: Path, year: int) -> bool:
    if _LIST_FILE.fullmatch(file.name):
        return _year_of_list(file) in {None, year}
    if _ATTRIBUTE_FILE.fullmatch(file.name):
        return "ground_truth_attributes" in file.parts
    return _EVALUATOR_FILE.fullmatch(file.name) is not None


def _year_of_list(file: Path) -> int | None:
    match = _LIST_FILE.fullmatch(file.name)
    return int(match["year"]) if match and match["year"] else None


def _entries(file: Path, year: int) -> Iterator[tuple[int, _Entry]]:
    rows = read_rows(file)
    if not rows:
        raise ValueError(f"{file} is empty.")
    evaluator = _EVALUATOR_FILE.fullmatch(file.name)
    if evaluator:
        yield from _evaluator_entries(file, rows, evaluator["machine_type"], year)
    elif rows[0][1][0] == "file_name":
        yield from _attribute_entries(file, rows[1:], year)
    else:
        yield from _block_entries(file, rows, year)


def _evaluator_entries(file: Path, rows: list, machine_type: str, year: int) -> Iterator[tuple[int, _Entry]]:
    """Entries of rows ``name,0`` and ``name,1``, or ``name,full name``."""
    is_domain = file.parent.name == "ground_truth_domain"
    for line, cells in rows:
        if len(cells) < 2:
            raise ValueError(f"{file}, line {line}: expected a file name and a value, got {','.join(cells)!r}.")
        key, value = (machine_type, clip_stem(cells[0])), cells[1]
        if value not in {"0", "1"}:
            yield line, _full_name_entry(file, line, key, cells[1:], year)
        elif is_domain:
            yield line, _Entry(key, domain={"0": "source", "1": "target"}[value])
        else:
            clip = parse_clip_name(cells[0], year=year)
            yield line, _Entry(key, target={"0": 1, "1": -1}[value], domain=clip.domain if clip else None)


def _attribute_entries(file: Path, rows: list, year: int) -> Iterator[tuple[int, _Entry]]:
    """Entries of the 2022 evaluator's rows; the column of the full name varies, so its format identifies it."""
    for line, cells in rows:
        named = parse_clip_name(cells[0], year=year)
        full_names = [cell for cell in cells[1:] if _labelled(cell, year)]
        if named and full_names:
            key = (named.machine_type or file.parent.name, clip_stem(cells[0]))
            yield line, _full_name_entry(file, line, key, full_names, year)


def _block_entries(file: Path, rows: list, year: int) -> Iterator[tuple[int, _Entry]]:
    """Entries of blocks of rows ``name,full name[,0 or 1]``, each below a line that holds only the machine type."""
    machine_type = None
    for line, cells in rows:
        if not any(cells[1:]):
            machine_type = cells[0]
        elif machine_type is None:
            raise ValueError(f"{file}, line {line}: expected a line that holds only the machine type before any row.")
        else:
            yield line, _full_name_entry(file, line, (machine_type, clip_stem(cells[0])), cells[1:], year)


def _labelled(name: str, year: int) -> ClipName | None:
    clip = parse_clip_name(name, year=year)
    return clip if clip and clip.label else None


def _full_name_entry(file: Path, line: int, key: Key, cells: list[str], year: int) -> _Entry:
    full_name, *rest = cells
    clip = _labelled(full_name, year)
    if clip is None:
        raise ValueError(f"{file}, line {line}: {full_name!r} is not the full name of a clip of {year}.")
    if rest and rest[0] in {"0", "1"} and (rest[0] == "1") != (clip.label == "anomaly"):
        raise ValueError(f"{file}, line {line}: {full_name!r} and the label {rest[0]} contradict each other.")
    hidden = parse_clip_name(rest[0], year=year) if rest else None
    attributes = clip.attributes or (hidden.attributes if hidden else None)
    return _Entry(key, 1 if clip.label == "normal" else -1, clip.domain, attributes, from_full_name=True)
