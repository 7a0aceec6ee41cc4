"""Unpack zip archives: either completely or not at all, and never outside the target folder."""

import errno
import os
import shutil
import stat
import tempfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from tqdm import tqdm

SCRATCH = "unpacking-"  # prefix of temporary folders, which are removed after unpacking
Place = Callable[[tuple[str, ...]], tuple[str, ...]]


def unpack(archive: Path, folder: Path, *, place: Place, scratch: Path, verbose: int) -> list[Path]:
    """Unpack an archive into a folder, and return the paths of its files.

    Parameters
    ----------
    archive : Path
        Zip file.
    folder : Path
        Folder to unpack into; files of the same name are replaced.
    place : callable
        Maps the parts of an entry's path to the parts of its path below `folder`; an empty tuple skips the entry.
    scratch : Path
        Folder on the same disk, in which the archive is unpacked first.
    verbose : int
        A progress bar is shown if this is 1 or more.

    Returns
    -------
    list of Path
        Paths of the unpacked files.

    Raises
    ------
    ValueError
        If the archive is broken, or one of its entries points outside the folder. Nothing is unpacked then.
    OSError
        If there is too little disk space. Nothing is unpacked then.
    """
    try:
        with zipfile.ZipFile(archive) as file:
            entries = _checked(file, archive, place)
            check_free_space(folder, sum(entry.file_size for entry, _ in entries), f"unpacking {archive.name}")
            with tempfile.TemporaryDirectory(dir=scratch, prefix=SCRATCH) as temporary:
                for entry, name in tqdm(
                    entries, desc=f"unpacking {archive.name}", unit="file", disable=verbose < 1, leave=False
                ):
                    _extract(file, entry, Path(temporary, name))
                return [_move(Path(temporary, name), folder / name) for _, name in entries]
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise ValueError(f"{archive} is a broken zip file: {error}.") from error


def check_free_space(folder: Path, n_bytes: int, what: str) -> None:
    """Raise unless the disk of a folder has this many bytes free."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(there).free
    if free < n_bytes:
        raise OSError(
            errno.ENOSPC,
            f"{what} needs {n_bytes / 1e9:.2f} GB in {folder}, but only {free / 1e9:.2f} GB are free there; free some "
            "space, or fetch fewer machine types",
        )


def _checked(file: zipfile.ZipFile, archive: Path, place: Place) -> list[tuple[zipfile.ZipInfo, str]]:
    """Check all entries, and return the wanted ones with their target paths."""
    entries = []
    for entry in file.infolist():
        name = PurePosixPath(entry.filename.replace("\\", "/"))
        if name.is_absolute() or ".." in name.parts or ":" in entry.filename:
            raise ValueError(f"{archive} is refused: its entry {entry.filename!r} points outside the target folder.")
        parts = () if entry.is_dir() else place(name.parts)
        if parts and stat.S_ISLNK(entry.external_attr >> 16):
            raise ValueError(f"{archive} is refused: its entry {entry.filename!r} is a link.")
        if parts:
            entries.append((entry, str(PurePosixPath(*parts))))
    twice = [name for name, n in Counter(name for _, name in entries).items() if n > 1]
    if twice:
        raise ValueError(f"{archive} is refused: it has {twice[0]!r} more than once.")
    if not entries:
        raise ValueError(f"{archive} holds none of the expected files.")
    return entries


def _extract(file: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with file.open(entry) as source, path.open("wb") as target:
        shutil.copyfileobj(source, target, 1 << 20)


def _move(source: Path, target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    os.replace(source, target)  # noqa: PTH105 - a rename that replaces, on every system
    return target
