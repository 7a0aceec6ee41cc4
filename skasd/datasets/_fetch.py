"""fetch_dcase: download the DCASE Task 2 data sets from where the organisers publish them."""

import json
import os
import shutil
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock

from skasd._parameters import check_integer, check_number, check_option
from skasd.datasets._dcase import load_dcase
from skasd.datasets._dcase_archives import PARTS_OF_SUBSET, Archive, list_archives
from skasd.datasets._dcase_names import check_year
from skasd.datasets._dcase_truth import shortened
from skasd.datasets._download import Patience, download, part_of, size_of
from skasd.datasets._unpack import SCRATCH, check_free_space, unpack

_HOME = "SKASD_DATA"  # environment variable
_NOTES = ".fetch"  # hidden, so that load_dcase does not search it
_NOTE = "fetched.json"
_HASHES = "hashes.json"  # SHA-256 of the first download of each URL
_HEAD = 512  # bytes that tell a web page


def fetch_dcase(
    *,
    year: int,
    subset: str = "dev",
    machine_types: str | Sequence[str] | None = None,
    data_home: str | os.PathLike[str] | None = None,
    download_if_missing: bool = True,
    keep_archives: bool = False,
    archives: str | os.PathLike[str] | None = None,
    n_retries: int = 5,
    retry_wait: float = 2.0,
    supplemental: bool = False,
    test_attributes: bool = False,
    verbose: int = 0,
    return_X_y: bool = False,
) -> Any:
    """Download the missing parts of a DCASE Task 2 data set, and load it.

    One machine type of a development set takes one to three gigabytes. Each file is downloaded only once, an interrupted
    download is resumed, and two processes that request the same data do not disturb each other.

    Parameters
    ----------
    year : int
        Year of the challenge, 2020 to 2026.
    subset : {"dev", "eval", "both"}, default="dev"
        Development set, evaluation set (with the additional training clips and the published labels), or both.
    machine_types : str, sequence of str or None, default=None
        Machine types to fetch; case matters. None fetches all of them.
    data_home : str, path-like or None, default=None
        Folder for all years; clips go into ``dcase<year>/dev_data/<machine type>`` and ``dcase<year>/eval_data/...``. None
        uses the environment variable ``SKASD_DATA`` or, if that is not set, ``skasd_data`` in the home folder.
    download_if_missing : bool, default=True
        Whether missing files are downloaded (True) or raise an error (False).
    keep_archives : bool, default=False
        Whether to keep the zip files below ``dcase<year>/.fetch`` after unpacking.
    archives : str, path-like or None, default=None
        A csv file with the locations of the archives, used instead of ``datasets/dcase_archives.csv`` of the package: for a
        mirror, or when the organisers have replaced a file. Its columns are ``year``, ``part`` (dev, eval_train, eval_test
        or ground_truth), ``machine_type``, ``url`` and ``hash`` (``md5:...`` or ``sha256:...``, empty if unknown).
    n_retries : int, default=5
        Number of retries while the server is busy, limits the rate or drops the connection.
    retry_wait : float, default=2.0
        Seconds before the first retry, unless the server asks for another wait. Each wait is twice as long as the one
        before.
    supplemental : bool, default=False
        Whether to include the supplemental clips, see :func:`load_dcase`.
    test_attributes : bool, default=False
        Whether to take the attributes of evaluation test clips from the published labels. The challenge does not allow
        their use.
    verbose : int, default=0
        Progress bars are shown if this is 1 or more.
    return_X_y : bool, default=False
        Whether to return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        Data set as returned by :func:`load_dcase`. Evaluation clips have the labels that were published later.

    Raises
    ------
    ValueError
        If the year, subset or machine type does not exist; or if a file does not match its hash, is not a complete zip file
        or would write outside its folder, in which case nothing of it is kept.
    ConnectionError
        If the server cannot be reached or keeps dropping the connection. The data received so far is kept for the next call.
    FileNotFoundError
        If the server does not have the file, or a file is missing and `download_if_missing` is False.
    OSError
        If there is too little disk space. This is checked before anything is downloaded, and again before each archive is
        unpacked.

    Warns
    -----
    UserWarning
        If no labels of the evaluation set have been published; or if files were downloaded whose hash is not known.

    See Also
    --------
    load_dcase : Load a data set that is already on disk.

    Notes
    -----
    The published MD5 is known for the recordings of 2020 and 2023, and for those of 2026 except for five machine types of
    the development set. For other files, the SHA-256 of the first complete download is stored in
    ``dcase<year>/.fetch/hashes.json`` and each later download is compared with it; delete its line to accept a replaced
    file. Labels since 2021 are kept in repositories that may be revised, so they are not compared with a hash.

    The labels of 2022 are those of the challenge's evaluator: the list in circulation is shuffled for ToyCar and ToyTrain.

    The recordings keep the licence of the record they were downloaded from, a Creative Commons licence that rules out
    commercial use in most years. Labels of evaluation sets have their own terms and must not be redistributed.
    """
    check_year(year)
    check_option("subset", subset, PARTS_OF_SUBSET)
    check_integer("n_retries", n_retries, low=0)
    check_number("retry_wait", retry_wait, low=0)
    types = [machine_types] if isinstance(machine_types, str) else machine_types
    wanted = list_archives(year, subset, types, archives)
    root = dcase_home(data_home) / f"dcase{year}"
    missing = [archive for archive in wanted if not _is_there(archive, root)]
    if missing and not download_if_missing:
        names = ", ".join(archive.name for archive in missing)
        raise FileNotFoundError(f"Not in {root}: {names}; download_if_missing=True fetches them.")
    patience, known = Patience(n_retries, float(retry_wait)), _read_hashes(root)
    if missing:
        _check_room(missing, root, patience)
    for archive in missing:
        _fetch(archive, root, patience, keep=keep_archives, verbose=verbose)
    _tell_unchecked([archive for archive in missing if not archive.known_hash], known, root)
    has_truth = any(archive.part == "ground_truth" for archive in wanted)
    if subset != "dev" and not has_truth:
        warnings.warn(f"No labels of the evaluation set of {year} have been published.", stacklevel=2)
    return load_dcase(
        root,
        year=year,
        subset=subset,
        machine_types=machine_types,
        supplemental=supplemental,
        ground_truth=root / "ground_truth" if has_truth else None,
        test_attributes=test_attributes and has_truth,
        return_X_y=return_X_y,
    )


def dcase_home(data_home: str | os.PathLike[str] | None) -> Path:
    """Folder of the data sets of all years."""
    return Path(data_home or os.environ.get(_HOME) or "~/skasd_data").expanduser().absolute()


def _is_there(archive: Archive, root: Path) -> bool:
    """Whether an archive of this name was unpacked, and none of its files has gone missing since."""
    note = _notes(archive, root) / _NOTE
    if not note.exists():
        return False
    known = json.loads(note.read_text(encoding="utf-8"))
    return known["name"] == archive.name and all(_count(root / folder) >= n for folder, n in known["n_files"].items())


def _notes(archive: Archive, root: Path) -> Path:
    """Folder for the record of an archive and its partial download."""
    return root / _NOTES / archive.part / (archive.machine_type or "all")


def _count(folder: Path) -> int:
    return sum(1 for entry in os.scandir(folder) if entry.is_file()) if folder.is_dir() else 0


def _check_room(missing: list[Archive], root: Path, patience: Patience) -> None:
    """Raise unless the disk has room for the size of all archives (a lower bound of their content) plus the largest."""
    sizes = [size_of(archive.url, patience) or 0 for archive in missing]
    parts = [part_of(_notes(archive, root) / archive.name) for archive in missing]
    has_come = sum(part.stat().st_size for part in parts if part.exists())
    check_free_space(root, sum(sizes) + max(sizes) - has_come, f"downloading {len(missing)} archives of {root.name}")


def _fetch(archive: Archive, root: Path, patience: Patience, *, keep: bool, verbose: int) -> None:
    notes = _notes(archive, root)
    notes.mkdir(parents=True, exist_ok=True)
    file = notes / archive.name
    with FileLock(notes / "lock"):
        if _is_there(archive, root):  # another process was faster
            return
        for left in notes.glob(f"{SCRATCH}*"):  # left by a process that was killed
            shutil.rmtree(left)
        known = archive.known_hash or _read_hashes(root).get(archive.url)
        sha256 = download(archive.url, file, known_hash=known, patience=patience, verbose=verbose)
        try:
            _refuse_web_page(file)
            files = _place(archive, file, root, verbose)
        except ValueError as error:
            file.unlink()
            raise ValueError(f"{archive.url}: {error}") from error
        if not archive.moves:
            _keep_hash(root, archive.url, sha256)
        n_files = Counter(str(path.parent.relative_to(root)) for path in files)
        _write(notes / _NOTE, {"name": archive.name, "url": archive.url, "sha256": sha256, "n_files": n_files})
        if not keep:
            file.unlink()


def _tell_unchecked(archives: list[Archive], known: dict[str, str], root: Path) -> None:
    """Warn of downloads that were compared with no hash: neither a published one, nor that of an earlier download."""
    names = [archive.name for archive in archives if not archive.moves and archive.url not in known]
    if names:
        warnings.warn(
            f"No hash is known for {len(names)} of the files just downloaded, so they were only checked to be whole: "
            f"{shortened(names)}. Their SHA-256 is now in {root / _NOTES / _HASHES}, and later downloads have to match it.",
            stacklevel=3,
        )


def _refuse_web_page(file: Path) -> None:
    """Raise for what a server sends in place of a file: a login, a quota or an error as a web page, with status 200."""
    with file.open("rb") as stream:
        start = stream.read(_HEAD).lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<!doctype html", b"<html", b"<?xml")):
        raise ValueError(
            "the server sent a web page in place of the file, which often is a login, a quota or an error; open the address "
            "in a browser, or pass another one in `archives`."
        )


def _place(archive: Archive, file: Path, root: Path, verbose: int) -> list[Path]:
    """Put the files of an archive where they belong, and return their paths."""
    folder = root / archive.folder
    if archive.part == "ground_truth" and file.suffix == ".csv":
        folder.mkdir(parents=True, exist_ok=True)
        return [Path(shutil.copyfile(file, folder / file.name))]

    def place(parts: tuple[str, ...]) -> tuple[str, ...]:
        if archive.part == "ground_truth":  # a repository that holds programs as well as labels
            start = next((i for i, name in enumerate(parts) if name.startswith("ground_truth")), len(parts))
            return parts[start:]
        return parts[parts.index(archive.machine_type) :] if archive.machine_type in parts else ()

    return unpack(file, folder, place=place, scratch=file.parent, verbose=verbose)


def _read_hashes(root: Path) -> dict[str, str]:
    file = root / _NOTES / _HASHES
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}


def _keep_hash(root: Path, url: str, sha256: str) -> None:
    with FileLock(root / _NOTES / "hashes.lock"):
        _write(root / _NOTES / _HASHES, {**_read_hashes(root), url: f"sha256:{sha256}"})


def _write(path: Path, content: dict[str, Any]) -> None:
    """Replace a JSON file in one step, so that it is never incomplete."""
    part = path.with_suffix(".tmp")
    part.write_text(json.dumps(content, indent=1), encoding="utf-8")
    part.replace(path)
