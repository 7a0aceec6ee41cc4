"""Load any folder of recordings as a clip table; helpers that all loaders share."""

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from skasd._parameters import check_flag, check_option, check_path, naming
from skasd.datasets._dcase_truth import read_rows, shortened
from skasd.datasets._folder_files import audio_names
from skasd.datasets._left_out import warn_of_unlabelled_folders

COLUMNS = ("path", "machine_type", "section", "domain", "attributes", "split")

_ALLOWED = {"domain": {"source", "target"}, "split": {"train", "test", "supplemental"}}
_SPLIT_WORDS = {"train": "train", "training": "train", "test": "test", "testing": "test"}
_FILLERS = {*_SPLIT_WORDS, "audio", "clips", "data", "recordings", "sounds", "wav"}
_STATES = {
    **dict.fromkeys(("normal", "normals", "ok", "good", "healthy", "nominal"), 1),
    **dict.fromkeys(("abnormal", "anomaly", "anomalies", "anomalous", "fault", "faults", "faulty"), -1),
    **dict.fromkeys(("defect", "defects", "defective", "bad", "broken", "damaged", "unhealthy"), -1),
    **dict.fromkeys(("not_ok", "nok", "ng", "not_normal"), -1),
}


def load_clip_folder(
    folder: str | os.PathLike[str],
    *,
    labels: str | os.PathLike[str] | Callable[[Path], int | str | None] | None = "auto",
    extensions: str | Sequence[str] | None = None,
    machines: str | None = "folders",
    return_X_y: bool = False,
) -> Any:
    """List the recordings in a folder and all its subfolders.

    The audio itself is not read. Hidden files and folders are skipped.

    Parameters
    ----------
    folder : str or path-like
        Folder to search.
    labels : "auto", callable, path of a csv file or None, default="auto"
        Where the labels come from.

        - ``"auto"``: the names of the folders below ``folder``. ``normal``, ``ok``, ``good``, ``healthy``, ... mean
          normal; ``abnormal``, ``anomaly``, ``fault``, ``faulty``, ``defect``, ``bad``, ``not_ok``, ... mean anomaly;
          the innermost folder with such a name decides. Without one, clips in a ``train`` folder are normal, and all
          others are unknown. The whole name has to match, ignoring case, separate numbers, and words such as ``test``
          and ``data``: ``Fault_2`` and ``test-normal`` match, ``normal_speed`` does not.
        - A callable takes the :class:`pathlib.Path` of a file and returns +1 or ``"normal"``, -1 or ``"anomaly"``, and
          0 or None if the label is unknown.
        - A csv file has the columns ``path``, relative to ``folder``, and ``label``, with the values that a callable
          returns. Other columns of the clip table are read too, and any further columns are ignored. Every file needs
          a row.
        - None: no clip has a label.
    extensions : str, sequence of str or None, default=None
        Suffixes of the files to list; case does not matter. None lists every format that libsndfile reads: WAV, FLAC, OGG,
        Opus, MP3, AIFF, AU, CAF, W64, RF64, VOC and NIST. Recordings in another format, M4A or WMA for example, are left
        out with a warning that names them; convert them first.
    machines : "folders" or None, default="folders"
        Which machine a recording is of.

        - ``"folders"``: the folders between ``folder`` and the file are the ``machine_type``, joined with "/", so that
          detectors learn each machine by itself: ``normal/Pumpe 7/x.wav`` is of ``Pumpe 7``. Folders that name a state or
          a split (``normal``, ``faulty``, ``train``, ``test`` ...), and folders such as ``audio`` or ``data``, are no part
          of it. In the layout of MIMII, ``fan/id_00/normal/x.wav``, the machine type is ``fan`` and the section ``"00"``.
        - None: folders are not machines, for example because they are days; all clips are of one machine.
    return_X_y : bool, default=False
        Whether to return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        Dictionary-like object with the keys

        data : DataFrame
            Clip table, sorted by path, with the columns ``path``, ``machine_type``, ``section``, ``domain``,
            ``attributes`` and ``split``; unknown cells are None. ``split`` is known below ``train`` and ``test``
            folders.
        target : ndarray of shape (n_clips,)
            +1 normal, -1 anomaly, 0 unknown.
        DESCR : str
            Description of the folder, its number of clips, and the files that were passed over.

    Raises
    ------
    FileNotFoundError, NotADirectoryError
        If the folder does not exist or is not a folder.
    ValueError
        If the folder holds no such files, a label has any other value, or the csv file does not match the folder.

    See Also
    --------
    load_dcase : Load a DCASE Task 2 data set, whose file names give more metadata.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from skasd.datasets import load_clip_folder
    >>> with TemporaryDirectory() as folder:
    ...     for name in ["ok/a.wav", "ok/b.wav", "faulty/c.wav"]:
    ...         file = Path(folder, name)
    ...         file.parent.mkdir(exist_ok=True)
    ...         file.touch()
    ...     clips = load_clip_folder(folder)
    >>> [Path(path).name for path in clips.data["path"]], clips.target
    (['c.wav', 'a.wav', 'b.wav'], array([-1,  1,  1]))
    """
    check_option("machines", machines, ("folders", None))
    root = existing_folder(folder, "folder")
    names, passed_over = audio_names(root, extensions)
    rows = [_row(root, name, machines) for name in names]
    left_out: list[str] = []
    if callable(labels):
        for row in rows:
            with naming("labels"):
                row["target"] = _target(labels(Path(row["path"])), where=row["path"])
    elif isinstance(labels, str) and labels == "auto":
        for row, name in zip(rows, names, strict=True):
            row["target"] = _target_of_folders(PurePosixPath(name).parts[:-1])
        warn_of_unlabelled_folders(names, [row["target"] for row in rows], [row["split"] for row in rows])
    elif labels is not None:
        left_out = _join_label_file(labels, names, rows)
    heading = [f"Recordings in {root}."] + ([f"Columns left out: {', '.join(left_out)}."] if left_out else [])
    heading += [f"Files passed over: {passed_over}."] if passed_over else []
    return clip_bunch(rows, heading, return_X_y=return_X_y)


def clip_bunch(
    rows: list[dict[str, Any]], heading: list[str], *, return_X_y: bool, more_columns: Sequence[str] = ()
) -> Any:
    """Turn rows with the columns of a clip table and ``target`` into the return value of a loader."""
    import pandas as pd
    from sklearn.utils import Bunch

    columns = [*COLUMNS, *more_columns]
    data = pd.DataFrame([[row[column] for column in columns] for row in rows], columns=columns, dtype=object)
    target = np.array([row["target"] for row in rows], dtype=int)
    check_flag("return_X_y", return_X_y)
    if return_X_y:
        return data, target
    return Bunch(data=data, target=target, DESCR="\n".join([*heading, "", *_counts(rows)]))


def existing_folder(folder: str | os.PathLike[str], name: str) -> Path:
    """Absolute path of a folder; raises if it does not exist or is a file, with the name of the parameter."""
    check_path(name, folder)
    path = Path(folder).expanduser()
    path = path.resolve() if ".." in path.parts else path.absolute()
    if not path.exists():
        raise FileNotFoundError(f"There is no folder {path}, which {name}={os.fspath(folder)!r} names.")
    if not path.is_dir():
        raise NotADirectoryError(f"{path} is a file; {name} takes a folder.")
    return path


def _counts(rows: list[dict[str, Any]]) -> list[str]:
    groups: dict[tuple[str, ...], Counter] = {}
    for row in rows:
        group = tuple(row[column] or "-" for column in ("machine_type", "section", "split"))
        groups.setdefault(group, Counter())[row["target"]] += 1
    header = ("machine_type", "section", "split", "clips", "normal", "anomaly", "unknown")
    lines = [header, *((*group, *map(str, (n.total(), n[1], n[-1], n[0]))) for group, n in groups.items())]
    widths = [max(len(line[i]) for line in lines) for i in range(7)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]


def _row(root: Path, name: str, machines: str | None) -> dict[str, Any]:
    folders = PurePosixPath(name).parts[:-1]
    row: dict[str, Any] = {**dict.fromkeys(COLUMNS), "path": str(root / name), "target": 0}
    for folder in folders:
        row["split"] = next((_SPLIT_WORDS[word] for word in _words(folder) if word in _SPLIT_WORDS), row["split"])
    if machines == "folders":
        row["machine_type"], row["section"] = _machine_of_folders(root.name, folders)
    return row


def _machine_of_folders(root: str, folders: tuple[str, ...]) -> tuple[str | None, str | None]:
    """Machine type and section of a recording in these folders; umlauts, which systems store in two ways, are composed."""
    for above, folder in reversed([*zip((root, *folders), folders, strict=False)]):  # the layout of MIMII: fan/id_00
        if match := re.fullmatch(r"id_([0-9]{2})", folder):
            return unicodedata.normalize("NFC", above) or None, match[1]
    return unicodedata.normalize("NFC", "/".join(filter(names_a_machine, folders))) or None, None


@cache
def names_a_machine(folder: str) -> bool:
    """Whether the name of a folder may be that of a machine: it is no state, no split and no word such as audio."""
    words = _words(folder)
    is_filler = bool(words) and all(word in _FILLERS for word in words)
    return not is_filler and _state(folder) is None


def _words(folder: str) -> list[str]:
    return [word for word in re.split(r"[\W_]+", folder.casefold()) if word and not word.isdigit()]


def _target_of_folders(folders: tuple[str, ...]) -> int:
    known = [state for state in map(_state, folders) if state is not None]
    if known:
        return known[-1]
    return int(any(_words(folder) in (["train"], ["training"]) for folder in folders))


def _state(folder: str) -> int | None:
    """Label that the name of a folder says, or None."""
    return _STATES.get("_".join(word for word in _words(folder) if word not in _FILLERS))


def _target(label: Any, where: str) -> int:
    if label is None or (isinstance(label, str) and label.strip().casefold() in {"", "unknown"}):
        return 0
    if isinstance(label, str) and label.strip().casefold() in _STATES:
        return _STATES[label.strip().casefold()]
    try:
        number = None if isinstance(label, (bool, np.bool_)) else float(label)
    except (TypeError, ValueError):
        number = None
    if number not in (1, -1, 0):
        raise ValueError(f"Label {label!r} of {where}: expected +1 or 'normal', -1 or 'anomaly', 0 or None if unknown.")
    return int(number)


def _join_label_file(labels: Any, names: list[str], rows: list[dict[str, Any]]) -> list[str]:
    """Write the labels and metadata of a csv file into the rows, and return the columns that were not used."""
    if not isinstance(labels, (str, os.PathLike)) or not (path := Path(labels).expanduser()).is_file():
        raise ValueError(f"labels={labels!r} is neither 'auto', a callable, the path of a csv file nor None.")
    described = _read_label_file(path)
    found = set(names)
    if extra := [name for name in described if name not in found]:
        raise ValueError(f"{len(extra)} rows of {path} name no file of the folder: {shortened(extra)}.")
    if bare := [name for name in names if name not in described]:
        raise ValueError(f"{len(bare)} files have no row in {path}: {shortened(bare)}.")
    for name, row in zip(names, rows, strict=True):
        row["target"] = _target(described[name]["label"], where=f"{name} in {path}")
        row.update({column: value or None for column, value in described[name].items() if column in COLUMNS[1:]})
    if {cells["label"] for cells in described.values()} - {""} == {"0", "1"}:
        raise ValueError(
            f"The labels in {path} are 0 and 1, which half of the field reads the other way round: write +1 or "
            "'normal', -1 or 'anomaly', and leave the cell empty if the label is unknown."
        )
    columns = list(next(iter(described.values())))
    return [column for column in columns if column not in {*COLUMNS, "label"}]


def _read_label_file(path: Path) -> dict[str, dict[str, str]]:
    """Cells by column, for every ``path`` of a csv file."""
    rows = read_rows(path)
    header = rows[0][1] if rows else []
    if missing := {"path", "label"} - set(header):
        raise ValueError(f"{path} has no column {' or '.join(sorted(missing))}; its columns: {', '.join(header)}.")
    described: dict[str, dict[str, str]] = {}
    for line, cells in rows[1:]:
        if len(cells) != len(header):
            raise ValueError(f"{path}, line {line}: got {len(cells)} cells, but the header has {len(header)}.")
        row = dict(zip(header, cells, strict=True))
        name = PurePosixPath(row["path"].replace("\\", "/")).as_posix()
        if name in described:
            raise ValueError(f"{path}, line {line}: {name} has two rows.")
        if wrong := [c for c, allowed in _ALLOWED.items() if row.get(c) and row[c] not in allowed]:
            raise ValueError(
                f"{path}, line {line}: {wrong[0]} {row[wrong[0]]!r} is none of {sorted(_ALLOWED[wrong[0]])}."
            )
        if row.get("section", "").isdigit():
            row["section"] = row["section"].zfill(2)  # spreadsheets turn 00 into 0
        described[name] = row
    return described
