"""Keep the years of DCASE Task 2 apart: a machine type of the same name has other recordings in each year."""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from skasd.datasets._dcase_archives import joined_years, told_years, years_of_machine_types
from skasd.datasets._dcase_names import ClipName, clip_stem

_YEAR_FOLDER = (
    re.compile(  # 2020, dcase2020, dcase2020t2, dcase2023_task2_evaluator-main; but not ..._task2_baseline_ae
        r"(?:dcase[_-]?)?(20[0-9]{2})(?:[_-]?t(?:ask)?[_-]?2)?(?:[_-]evaluator.*)?", re.IGNORECASE
    )
)


def year_of_folders(folders: Sequence[str]) -> int | None:
    """Year of the innermost folder that is named after a year, or None."""
    matches = (_YEAR_FOLDER.fullmatch(folder) for folder in reversed(folders))
    return next((int(match[1]) for match in matches if match), None)


def refuse_other_year(machine_type: str, year: int, where: object) -> None:
    """Raise for a machine type that the challenge had in other years only."""
    years = years_of_machine_types().get(machine_type, (year,))
    if year not in years:
        raise ValueError(
            f"{where}: {machine_type} is a machine type of {joined_years(years)}, not of {year}. Give each year a folder "
            f"of its own, named after it, such as dcase{years[0]}."
        )


def refuse_two_of_a_number(clips: Iterable[tuple[tuple, ClipName, Path]], year: int) -> None:
    """Raise if most numbers of a group of clips occur twice, which two years unpacked into one folder look like.

    Parameters
    ----------
    clips : iterable of tuple
        Machine type and subset, name and path of each clip.
    year : int
        Year of the challenge.

    Notes
    -----
    Numbers are unique among the clips of a section, domain, split and label. Names of two years differ in their attributes,
    so neither overwrites the other.
    """
    numbers: dict[tuple, dict[int, list[Path]]] = defaultdict(lambda: defaultdict(list))
    for machine, name, path in clips:
        if name.label and len(years_of_machine_types().get(machine[0], ())) > 1:
            numbers[*machine, name.section, name.domain, name.split, name.label][name.index].append(path)
    for (machine_type, *_), paths in numbers.items():
        years = years_of_machine_types()[machine_type]
        twice = [of_number for of_number in paths.values() if len({clip_stem(path) for path in of_number}) > 1]
        if 2 * len(twice) > len(paths):
            raise ValueError(
                f"{len(twice)} of {len(paths)} numbers of {machine_type} belong to two recordings, such as "
                f"{' and '.join(map(str, twice[0][:2]))}: the folder holds clips of several years. {machine_type} is of "
                f"{joined_years(years)}, with other recordings in each year; unpack those of {year} into a folder of their "
                "own."
            )


def refuse_other_keys(keys: dict[str, tuple[set[Any], set[Any]]], year: int) -> None:
    """Raise if the attributes of the ground truth have other keys than those of the training clips.

    Parameters
    ----------
    keys : dict of str to pair of set
        Keys of the attributes of each machine type: of its training clips, and of its test clips by the ground truth.
    year : int
        Year of the challenge.
    """
    for machine_type, (of_clips, of_truth) in keys.items():
        if of_clips and of_truth and not of_clips & of_truth:
            one, other = (",".join(sorted(of_them)[0]) for of_them in (of_clips, of_truth))
            raise ValueError(
                f"The training clips of {machine_type} have the attributes {one}, but its ground truth {other}: one of them "
                f"is not of {year}.{told_years([machine_type])}"
            )
