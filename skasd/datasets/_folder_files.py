"""The recordings in a folder and below it, and what is passed over."""

import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from skasd.clips._files import readable_name
from skasd.clips._suffixes import CONVERT, FOREIGN_SUFFIXES, READABLE_SUFFIXES
from skasd.datasets._dcase_truth import shortened


def audio_names(root: Path, extensions: str | Sequence[str] | None) -> tuple[list[str], str]:
    """Recordings in a folder and below it.

    Parameters
    ----------
    root : Path
        Folder to search; hidden files and folders are skipped.
    extensions : str, sequence of str or None
        Suffixes of the files to list; None is every format that libsndfile reads, and warns of other recordings.

    Returns
    -------
    names : list of str
        Sorted paths relative to `root`, with slashes.
    passed_over : str
        Number of the other files by suffix, as text; empty if there are none.

    Raises
    ------
    TypeError
        If `extensions` is anything else.
    ValueError
        If there are no such files.
    """
    suffixes = _suffixes(extensions)
    files = (here / name for here, names in walk_folders(root) for name in names if not name.startswith("."))
    found = sorted(file.relative_to(root).as_posix() for file in files)
    names = [name for name in found if name.lower().endswith(suffixes)]
    others = [name for name in found if not name.lower().endswith(suffixes)]
    counts = Counter(Path(name).suffix.lower() or "without a suffix" for name in others)
    passed_over = ", ".join(f"{count} {suffix}" for suffix, count in sorted(counts.items()))
    foreign = [readable_name(name) for name in others if name.lower().endswith(FOREIGN_SUFFIXES)]
    hint = f" libsndfile does not read {shortened(foreign)}: {CONVERT}." if foreign and extensions is None else ""
    if not names:
        asked = "" if extensions is None else f" (extensions={extensions!r})"
        held = f" Passed over: {passed_over}." if passed_over else ""
        raise ValueError(
            f"No file ending in {' or '.join(suffixes)} in the folder {root} or below it{asked}.{held}{hint}"
        )
    if hint:
        warnings.warn(f"{len(foreign)} recordings in {root} are left out.{hint}", UserWarning, stacklevel=3)
    return names, passed_over


def _raise(error: OSError) -> None:
    raise error


def walk_folders(root: Path, on_error: Callable[[OSError], None] = _raise) -> Iterator[tuple[Path, list[str]]]:
    """Yield every folder that is not hidden, with the sorted names of its files; links are followed once."""
    seen: set[str] = set()
    for here, folders, files in os.walk(root, onerror=on_error, followlinks=True):
        real = os.path.realpath(here)
        folders[:] = [] if real in seen else sorted(name for name in folders if not name.startswith("."))
        if real not in seen:
            seen.add(real)
            yield Path(here), sorted(files)


def _suffixes(extensions: Any) -> tuple[str, ...]:
    if extensions is None:
        return READABLE_SUFFIXES
    given = [extensions] if isinstance(extensions, str) else extensions
    if not isinstance(given, Sequence) or not given or not all(isinstance(suffix, str) for suffix in given):
        raise TypeError(
            f"extensions={extensions!r}; a suffix such as '.wav', a non-empty sequence of them, or None is expected."
        )
    return tuple(f".{suffix.lstrip('.').lower()}" for suffix in given)
