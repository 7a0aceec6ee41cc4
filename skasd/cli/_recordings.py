"""Recordings given on the command line: which files they are, which of them cannot be read, and of which machine each is."""

from __future__ import annotations

import os
import unicodedata
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from skasd.clips import ClipReader
from skasd.clips._files import readable_name
from skasd.datasets._folder import existing_folder, names_a_machine
from skasd.datasets._folder_files import audio_names

if TYPE_CHECKING:
    import pandas as pd

_MOST_LISTED = 5


@dataclass(frozen=True, slots=True)
class Recording:
    """A recording to score.

    Parameters
    ----------
    file : str
        Its path.
    folders : tuple of str
        Folders that may name its machine: those below the folder that was given, or else the folders that it lies in.
    is_below : bool
        Whether `folders` are below the folder that was given.
    """

    file: str
    folders: tuple[str, ...]
    is_below: bool


def list_recordings(given: Iterable[Path]) -> list[Recording]:
    """Recordings of files and folders, each once; raises if a file does not exist."""
    given = list(given)
    missing = [str(path) for path in given if not path.exists()]
    if missing:
        raise FileNotFoundError(f"{len(missing)} of {len(given)} files to score do not exist: {', '.join(missing)}.")
    found: dict[str, Recording] = {}
    for path in given:
        for recording in _below(existing_folder(path, "recordings")) if path.is_dir() else [recording_of(str(path))]:
            found.setdefault(_real(recording.file), recording)
    return list(found.values())


def common_folder(given: Iterable[Path]) -> str | None:
    """Deepest folder that holds all files and folders that were given; None if they are on several drives."""
    folders = [existing_folder(path, "recordings") if path.is_dir() else path.absolute().parent for path in given]
    try:
        return os.path.commonpath(folders)
    except ValueError:
        return None


def _below(folder: Path) -> list[Recording]:
    names, _ = audio_names(folder, None)
    return [recording_of(os.path.join(folder, name), os.path.dirname(name)) for name in names]  # noqa: PTH118, PTH120


def recording_of(file: str, below: str = "") -> Recording:
    """A recording in the folder `below`, relative to the one that was given; "" if the file itself was given."""
    folders = _machine_folders(below)
    above = _machine_folders(os.path.dirname(os.path.abspath(file)))  # noqa: PTH100, PTH120 - Path is slow for many files
    return Recording(file, folders or above, bool(folders))


@cache
def _machine_folders(folder: str) -> tuple[str, ...]:
    return tuple(filter(names_a_machine, Path(folder).parts))


def _real(file: str) -> str:
    """Path of a file without symbolic links."""
    folder, name = os.path.split(os.path.abspath(file))  # noqa: PTH100
    return os.path.realpath(file) if os.path.islink(file) else os.path.join(_real_folder(folder), name)  # noqa: PTH114, PTH118


@cache
def _real_folder(folder: str) -> str:
    return os.path.realpath(folder)


def why_unreadable(files: Sequence[str], reader: ClipReader, *, strict: bool, verbose: int) -> dict[str, str]:
    """Read each file once, and return the reason for each that cannot be used; `strict` raises it for the first one."""
    import joblib

    found = joblib.Parallel(n_jobs=-1, prefer="threads", return_as="generator")(
        joblib.delayed(_why_unreadable)(file, reader) for file in files
    )
    reasons = {}
    for file, reason in zip(
        files, tqdm(found, "reading", len(files), disable=verbose < 1, unit="clip", leave=False), strict=True
    ):
        if reason and strict:
            raise ValueError(f"{readable_name(file)}: {reason}.")
        if reason:
            reasons[file] = reason
    return reasons


def _why_unreadable(file: str, reader: ClipReader) -> str:
    try:
        reader(file)
    except (ValueError, TypeError, RuntimeError, OSError, MemoryError) as error:
        return str(error) or type(error).__name__
    return ""


@contextmanager
def told_if_done() -> Iterator[None]:
    """Hold warnings back until the ``with`` block is done; those of one that fails and is tried again are not told."""
    with warnings.catch_warnings(record=True) as caught:
        yield
    for warning in caught:
        warnings.warn(warning.message, stacklevel=3)


def listed(reasons: dict[str, str]) -> str:
    """One line for each of the first files, with its reason."""
    lines = [f"  {readable_name(file)}: {reason}" for file, reason in [*reasons.items()][:_MOST_LISTED]]
    more = len(reasons) - len(lines)
    return "\n".join([*lines, *([f"  and {more} more"] if more else [])])


def machine_names(table: pd.DataFrame) -> list[str]:
    """Machine of each row of a clip table: its machine type, and its section after "/" where it has one; "" if unknown."""
    pairs = zip(table["machine_type"], table["section"], strict=True)
    return ["/".join(str(part) for part in pair if part is not None) for pair in pairs]


def find_machine(recording: Recording, known: Sequence[str]) -> str | None:
    """The machine among the known ones that the folders of a recording name, or None.

    Folders below the one that was given may hold others; a recording directly in it has to lie in the folder of its machine.
    The last part of a machine's name will do where no other machine shares it, and no other folder stands before it. If
    there is only one machine, a recording that was given without such folders is of that machine.
    """
    if len(known) == 1 and not (known[0] and recording.is_below):
        return known[0]
    folders = [_plain(folder) for folder in recording.folders]
    last = [_parts(name)[-1:] for name in known]
    found = []
    for name in known:
        whole, short = _parts(name), _parts(name)[-1:]
        found += [(end, len(whole), name) for end in _ends(folders, whole, recording.is_below)]
        if len(whole) > 1 and last.count(short) == 1:  # a folder before it would say otherwise, such as another hall
            ends = _ends(folders, short, recording.is_below)
            found += [(end, 1, name) for end in ends if end == 1 or not recording.is_below]
    return max(found)[2] if found else None


def _ends(folders: list[str], parts: list[str], anywhere: bool) -> list[int]:
    """Positions behind the places where the parts of a name stand in a row."""
    starts = range(len(folders) - len(parts) + 1) if anywhere else [len(folders) - len(parts)]
    return [start + len(parts) for start in starts if start >= 0 and folders[start : start + len(parts)] == parts]


def _parts(machine: str) -> list[str]:
    return [_plain(part) for part in machine.split("/")]


def _plain(name: str) -> str:
    """Name of a folder as it is compared: systems store umlauts in two ways, and MIMII writes sections as ``id_00``."""
    return unicodedata.normalize("NFC", name).casefold().removeprefix("id_")
