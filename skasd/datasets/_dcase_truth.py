"""Read the csv files published for DCASE Task 2: ground truth of the evaluation sets, and attributes.

Every format identifies clips by machine type and base name; nothing is joined by position or number.
"""

import csv
import os
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from skasd.datasets._dcase_archives import years_of_machine_types
from skasd.datasets._dcase_names import ClipName, clip_stem, parse_attributes, parse_clip_name
from skasd.datasets._dcase_truth_files import CORRESPONDENCE_FILE, EVALUATOR_FILE, lacking_file, truth_files
from skasd.datasets._dcase_years import refuse_other_keys, refuse_other_year

Key = tuple[str, str]  # machine type, base name without suffix

# For these machine types, the rows of the published list of 2022 and of the evaluator's attribute files are shuffled
# relative to the evaluator's labels: submitted systems score far above chance with the labels, and at chance with the list.
_SHUFFLED_2022 = frozenset({"ToyCar", "ToyTrain"})
_WHY_SHUFFLED = (
    "For ToyCar and ToyTrain of 2022 the full names in eval_data_list_2022.csv and in ground_truth_attributes are "
    "shuffled, so they are not used: pass the folder that holds ground_truth_data and ground_truth_domain of the "
    "challenge's evaluator, or exclude these two machine types with machine_types."
)


@dataclass(frozen=True, slots=True)
class _Entry:
    """Content of one row of a file, about one clip."""

    key: Key
    target: int | None = None
    domain: str | None = None
    attributes: str | None = None
    from_full_name: bool = False
    full_name: str | None = None  # as distributed, where another file may have its hidden attributes


@dataclass
class Truth:
    """Ground truth of evaluation clips, by machine type and base name without suffix."""

    target: dict[Key, int] = field(default_factory=dict)
    domain: dict[Key, str] = field(default_factory=dict)
    attributes: dict[Key, str] = field(default_factory=dict)
    refused: set[Key] = field(default_factory=set)
    full_names: dict[Key, Key] = field(default_factory=dict)
    hidden: dict[Key, str] = field(default_factory=dict)  # attributes by machine type and name as distributed

    def add(self, entry: _Entry, *, year: int, where: str) -> None:
        """Add one row, or raise if another file contradicts it, or if it is of another year."""
        refuse_other_year(entry.key[0], year, where)
        if year == 2022 and entry.from_full_name and entry.key[0] in _SHUFFLED_2022:
            self.refused.add(entry.key)
            return
        _put(self.target, entry.key, entry.target, where)
        _put(self.domain, entry.key, entry.domain, where)
        if entry.attributes is not None:
            self.attributes.setdefault(entry.key, entry.attributes)
        if entry.full_name is not None:
            self.full_names[entry.key] = (entry.key[0], entry.full_name)

    def reveal(self) -> None:
        """Fill in the attributes that full names hide."""
        for key, full_name in self.full_names.items():
            if attributes := self.hidden.get(full_name) or self.hidden.get(key):
                self.attributes.setdefault(key, attributes)


def read_truth(path: str | os.PathLike[str], *, year: int) -> Truth:
    """Read the published csv files of an evaluation set: one file, or all such files below a folder."""
    truth = Truth()
    for file in truth_files(Path(path).expanduser(), year):
        if CORRESPONDENCE_FILE.fullmatch(file.name):
            truth.hidden |= _hidden_attributes(file, year)
            continue
        for line, entry in _entries(file, year):
            truth.add(entry, year=year, where=f"{file}, line {line}")
    truth.reveal()
    return truth


def label_test_clips(rows: list[dict[str, Any]], truth: Truth, *, year: int, test_attributes: bool) -> None:
    """Write the label, the domain and, if requested, the attributes into the rows of unlabelled test clips."""
    keys = [(row["machine_type"], clip_stem(row["path"])) for row in rows]
    unlabelled = [i for i, row in enumerate(rows) if row["split"] == "test" and row["target"] == 0]
    _check_complete([rows[i] for i in unlabelled], truth, year)
    _check_keys(rows, keys, truth, year)
    for i in unlabelled:
        row, domain = rows[i], truth.domain.get(keys[i])
        if row["domain"] and domain and row["domain"] != domain:
            raise ValueError(f"{row['path']} is a {row['domain']} clip by its name and {domain} by the ground truth.")
        row["target"] = truth.target[keys[i]]
        row["domain"] = row["domain"] or domain
        if test_attributes:
            row["attributes"] = row["attributes"] or truth.attributes.get(keys[i])
    _warn_of_domains([rows[i] for i in unlabelled], year)
    _warn_of_surplus(rows, keys, truth)


def read_attribute_file(path: Path, *, year: int) -> dict[str, str]:
    """Read the attribute text by base name without suffix from one ``attributes_NN.csv``.

    Rows are read cell by cell, because the number of key-value pairs changes within a file, and keys may repeat. Those of
    clips whose name has attributes are passed over.
    """
    text = {}
    for line, cells in read_rows(path):
        clip = parse_clip_name(cells[0], year=year)
        if cells[0] == "file_name" or (clip and clip.attributes):
            continue
        values = _pairs(cells[1:], f"{path}, line {line}", year)
        if year == 2022 and path.parent.name in _SHUFFLED_2022:
            values[::2] = ["spd" if key == "speed" else key for key in values[::2]]
        if values:
            text[clip_stem(cells[0])] = "_".join(values)
    return text


def _pairs(cells: list[str], where: str, year: int) -> list[str]:
    """Keys and values in turn, without the full names and the empty cells behind them."""
    values = [cell for cell in cells if not cell or parse_clip_name(cell, year=year) is None]
    if {*values} <= {"", "noAttribute"}:
        return []
    while not values[-1]:
        values.pop()
    if len(values) % 2 or not all(values):
        raise ValueError(
            f"{where}: {','.join(cells)!r} is not a sequence of names and values of attributes, such as mic,2,mic,1; one "
            "of them is missing. Correct the row, or remove it to load the clip without attributes."
        )
    return values


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


def _check_complete(rows: list[dict[str, Any]], truth: Truth, year: int) -> None:
    keys = [(row["machine_type"], clip_stem(row["path"])) for row in rows]
    missing = [key for key in keys if key not in truth.target]
    if not missing:
        return
    labelled = {_unit(row) for row, key in zip(rows, keys, strict=True) if key in truth.target}
    without = sorted({_unit(row) for row in rows} - labelled)
    names = [lacking_file(*unit, year) for unit in without]
    hint = f" Nothing is known of {_units(without)}; there should be {shortened(names, 3)}." if without else ""
    if any(key in truth.refused for key in missing):
        hint = f" {_WHY_SHUFFLED}"
    raise ValueError(
        f"{len(missing)} of {len(keys)} test clips have no label in the ground truth: "
        f"{shortened(map('/'.join, missing))}.{hint}"
    )


def _check_keys(rows: list[dict[str, Any]], keys: list[Key], truth: Truth, year: int) -> None:
    """Raise if attributes tell that the ground truth of a machine type is that of another year."""
    if year < 2022:  # attributes have no keys
        return
    found: dict[str, tuple[set[Any], set[Any]]] = {}
    for row, key in zip(rows, keys, strict=True):
        if len(years_of_machine_types().get(key[0], ())) > 1 and row["split"] in {"train", "test"}:
            clip = parse_clip_name(row["path"], year=year)
            text = truth.attributes.get(key) if row["split"] == "test" else clip.attributes if clip else None
            if text:
                of_split = found.setdefault(key[0], (set(), set()))[row["split"] == "test"]
                of_split.add(tuple(name for name, _ in parse_attributes(text, year=year)))
    refuse_other_keys(found, year)


def _warn_of_domains(rows: list[dict[str, Any]], year: int) -> None:
    without = [row for row in rows if row["domain"] is None]
    if without and year >= 2021:
        units = sorted({_unit(row) for row in without})
        warnings.warn(
            f"The ground truth gives {len(without)} of {len(rows)} test clips a label but no domain, which the official "
            f"score needs: those of {_units(units)}. Pass the folder that holds both ground_truth_data and "
            f"ground_truth_domain; there should be {shortened([lacking_file(*unit, year, 'domain') for unit in units], 3)}.",
            stacklevel=4,
        )


def _warn_of_surplus(rows: list[dict[str, Any]], keys: list[Key], truth: Truth) -> None:
    """Warn of clips of the ground truth that are not in the data, in sections of which others are."""
    known, units = set(keys), {_unit(row) for row in rows if row["split"] == "test"}
    surplus = sorted(key for key in truth.target if key not in known and (key[0], _section(key[1])) in units)
    if surplus:
        warnings.warn(
            f"The ground truth has {len(surplus)} test clips that are not in the data: {shortened(map('/'.join, surplus))}. "
            "Scores of the others alone are not those of the challenge; the archive may have been unpacked in part.",
            stacklevel=4,
        )


def _unit(row: dict[str, Any]) -> tuple[str, str]:
    return row["machine_type"], row["section"]


def _units(units: list[tuple[str, str]]) -> str:
    return shortened([f"{machine_type}, section {section}" for machine_type, section in units], 3)


def _section(stem: str) -> str:
    """The two digits after ``section_`` or ``id_``."""
    return stem.partition("_")[2][:2]


def _hidden_attributes(file: Path, year: int) -> dict[Key, str]:
    """Attributes by machine type and distributed name, from rows ``name with attributes,name as distributed``."""
    attributes = {}
    for line, cells in read_rows(file):
        if cells[0] == "source_file_name":
            continue
        clip = _labelled(cells[0], year)
        if len(cells) < 2 or clip is None or parse_clip_name(cells[1], year=year) is None:
            raise ValueError(f"{file}, line {line}: expected two names of a clip of {year}, got {','.join(cells)!r}.")
        if clip.attributes:
            attributes[file.parent.name, clip_stem(cells[1])] = clip.attributes
    return attributes


def _entries(file: Path, year: int) -> Iterator[tuple[int, _Entry]]:
    rows = read_rows(file)
    if not rows:
        raise ValueError(f"{file} is empty.")
    evaluator = EVALUATOR_FILE.fullmatch(file.name)
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
    target = 1 if clip.label == "normal" else -1
    return _Entry(key, target, clip.domain, attributes, from_full_name=True, full_name=clip_stem(full_name))
