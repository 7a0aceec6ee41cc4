"""List the archives of a data set, from the table that ships with the package or from a table of the user's own."""

import csv
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

_HASH = re.compile(r"(?:md5:[0-9a-f]{32}|sha1:[0-9a-f]{40}|(?:sha256:)?[0-9a-f]{64})")
COLUMNS = ("year", "part", "machine_type", "url", "hash")
FOLDER_OF_PART = {
    "dev": "dev_data",
    "eval_train": "eval_data",
    "eval_test": "eval_data",
    "ground_truth": "ground_truth",
}
PARTS_OF_SUBSET = {
    "dev": ("dev",),
    "eval": ("eval_train", "eval_test", "ground_truth"),
    "both": tuple(FOLDER_OF_PART),
}


@dataclass(frozen=True, slots=True)
class Archive:
    """One file to download, and the folder of its year that it is unpacked into."""

    part: str
    machine_type: str
    url: str
    known_hash: str | None

    @property
    def name(self) -> str:
        """File name: the last part of the URL."""
        return PurePosixPath(unquote(urlsplit(self.url).path)).name

    @property
    def moves(self) -> bool:
        """Whether the URL follows the latest revision of a repository, so that no hash can be stored."""
        return "/HEAD." in self.url

    @property
    def folder(self) -> str:
        """Folder that the archive is unpacked into."""
        return FOLDER_OF_PART[self.part]


def list_archives(
    year: int, subset: str, machine_types: Sequence[str] | None, table: str | os.PathLike[str] | None
) -> list[Archive]:
    """Archives of a subset; the ground truth of an evaluation set comes last."""
    rows = [row for row in read_archives(table) if int(row["year"]) == year and row["part"] in PARTS_OF_SUBSET[subset]]
    where = "the table of archives" if table is None else str(table)
    there = {row["machine_type"] for row in rows if row["machine_type"]}
    if not there:
        raise ValueError(f"{where} has no archive of DCASE {year}, subset {subset}.")
    asked = there if machine_types is None else set(machine_types)
    for half in ("dev", "eval_test"):  # in later years the two sets have different machine types
        of_half = {row["machine_type"] for row in rows if row["part"] == half}
        if asked and asked <= there and of_half and not asked & of_half:
            raise ValueError(
                f"machine_types={sorted(asked)}: none is in the {half.partition('_')[0]} set of {year}, which has "
                f"{', '.join(sorted(of_half))}; request only the other subset."
            )
    if not asked or not asked <= there:
        held = f"holds the unknown {sorted(asked - there)}" if asked else "is empty"
        raise ValueError(
            f"machine_types={sorted(asked)} {held}; DCASE {year}, subset {subset}, has (case matters): "
            f"{', '.join(sorted(there))}.{told_years(sorted(asked - there))}"
        )
    return [
        Archive(row["part"], row["machine_type"], row["url"], row["hash"] or None)
        for row in rows
        if not row["machine_type"] or row["machine_type"] in asked
    ]


def read_archives(table: str | os.PathLike[str] | None) -> list[dict[str, str]]:
    """Checked rows of a table of archives; None is the one that ships with the package."""
    source = files("skasd.datasets") / "dcase_archives.csv" if table is None else Path(table).expanduser()
    with source.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for line, row in enumerate(rows, start=2):
        if tuple(row) != COLUMNS or None in row.values():
            raise ValueError(f"{source}, line {line}: the columns {','.join(COLUMNS)} are expected, got {row}.")
        if row["hash"] and not _HASH.fullmatch(row["hash"]):
            raise ValueError(
                f"{source}, line {line}: hash {row['hash']!r} is not valid; expected md5:, sha1: or sha256: and the "
                "hexadecimal digits, or an empty cell."
            )
        if not row["year"].isdigit() or row["part"] not in FOLDER_OF_PART:
            raise ValueError(
                f"{source}, line {line}: got year {row['year']!r} and part {row['part']!r}; expected a number and one of "
                f"{', '.join(FOLDER_OF_PART)}."
            )
    return rows


@lru_cache(maxsize=1)
def years_of_machine_types() -> dict[str, tuple[int, ...]]:
    """Years of the challenge that have a machine type, by its name."""
    years: dict[str, set[int]] = defaultdict(set)
    for row in read_archives(None):
        if row["machine_type"]:
            years[row["machine_type"]].add(int(row["year"]))
    return {name: tuple(sorted(of_name)) for name, of_name in years.items()}


def told_years(machine_types: Iterable[str]) -> str:
    """Sentence about the years that have these machine types, or "" if none has."""
    known = years_of_machine_types()
    told = [f"{name} is of {joined_years(known[name])}" for name in machine_types if name in known]
    return f" {'; '.join(told)}." if told else ""


def joined_years(years: Sequence[object]) -> str:
    """Years as a text, such as "2023 and 2026"."""
    return " and ".join(filter(None, [", ".join(map(str, years[:-1])), str(years[-1])]))
