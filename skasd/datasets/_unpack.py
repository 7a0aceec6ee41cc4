"""Zip archives into folders: all of it or nothing, and nothing outside."""

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

SCRATCH = "unpacking-"  # beginning of the names of folders that are gone when all is unpacked
Place = Callable[[tuple[str, ...]], tuple[str, ...]]


def unpack(archive: Path, folder: Path, *, place: Place, scratch: Path, verbose: int) -> list[Path]:
    """Unpack an archive into a folder, and return its files.

    Parameters
    ----------
    archive : Path
        Zip file.
    folder : Path
        Where its entries go; files of the same name are replaced.
    place : callable
        From the steps of an entry's path to those of its place below the folder; none for what is not wanted.
    scratch : Path
        Folder on the same disk that it is unpacked in first.
    verbose : int
        Shows a progress bar from 1 on.

    Raises
    ------
    ValueError
        If the archive is broken, or an entry of it points outside the folder; nothing is unpacked then.
    OSError
        If the disk has too little room; nothing is unpacked then.
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
    """Raise unless the disk of a folder has room for so many bytes."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(there).free
    if free < n_bytes:
        raise OSError(
            errno.ENOSPC,
            f"{what} needs {n_bytes / 1e9:.2f} GB in {folder}, and {free / 1e9:.2f} GB are free there; make room, or fetch "
            "fewer machine types",
        )


def _checked(file: zipfile.ZipFile, archive: Path, place: Place) -> list[tuple[zipfile.ZipInfo, str]]:
    """Entries that are wanted, and their places."""
    entries = []
    for entry in file.infolist():
        name = PurePosixPath(entry.filename.replace("\\", "/"))
        if name.is_absolute() or ".." in name.parts or ":" in entry.filename:
            raise ValueError(f"{archive} is refused: its entry {entry.filename!r} points outside.")
        parts = () if entry.is_dir() else place(name.parts)
        if parts and stat.S_ISLNK(entry.external_attr >> 16):
            raise ValueError(f"{archive} is refused: its entry {entry.filename!r} is a link.")
        if parts:
            entries.append((entry, str(PurePosixPath(*parts))))
    twice = [name for name, n in Counter(name for _, name in entries).items() if n > 1]
    if twice:
        raise ValueError(f"{archive} is refused: it has {twice[0]!r} more than once.")
    if not entries:
        raise ValueError(f"{archive} holds nothing of what is looked for in it.")
    return entries


def _extract(file: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with file.open(entry) as source, path.open("wb") as target:
        shutil.copyfileobj(source, target, 1 << 20)


def _move(source: Path, target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    os.replace(source, target)  # noqa: PTH105 - a rename that replaces, on every system
    return target
