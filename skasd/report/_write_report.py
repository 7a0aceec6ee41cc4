"""write_report: score and explain clips, and write an HTML page about them."""

import os
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from skasd._parameters import check_integer, check_option, check_path
from skasd.clips import as_clips, unusable_clips
from skasd.clips._usable import skips
from skasd.persistence._description import description
from skasd.report._details import details
from skasd.report._explanations import taken
from skasd.report._groups import Group, machines_of, most_anomalous, scored
from skasd.report._page import Content, page

_AUDIO = ("auto", "flac", "ogg")
_MOST = 200  # clips with sound and pictures


def write_report(
    detector: Any,
    X: Any,
    path: str | os.PathLike[str],
    *,
    normal: Any = None,
    names: Sequence[str] | None = None,
    title: str = "Sound report",
    most: int = _MOST,
    audio: str = "auto",
    on_error: str = "raise",
    n_jobs: int | None = None,
    verbose: int = 0,
) -> Path:
    """Write an HTML page about clips: scores, decisions, what stands out in each, and a player to hear it.

    The page is one file that any browser opens, without a network. ``skasd explain`` writes the same for the recordings of a
    model file.

    Parameters
    ----------
    detector : estimator
        Fitted detector, or a pipeline that ends in one. If it is calibrated, the page shows p-values.
    X : array, list of paths or clip table
        Clips. A table with the columns `machine_type` and `section` has a histogram for each machine.
    path : str or path-like
        File to write, such as ``"report.html"``; one that exists is replaced, and folders that are missing are made.
    normal : array, list of paths or clip table, default=None
        Clips known to be normal, such as those of the fit. The nearest one of the same machine stands beside each clip, to
        compare them by ear.
    names : sequence of str, default=None
        Name of each clip on the page; None takes paths, without the folder that all share, or positions.
    title : str, default="Sound report"
        Heading of the page.
    most : int, default=200
        Number of clips, the most anomalous ones, that have an explanation, sound and pictures; the others have a row only.
    audio : {"auto", "flac", "ogg"}, default="auto"
        Format of the sound: FLAC; Ogg Vorbis, which is a fifth of the size and needs a browser of 2025 or later on Apple
        devices; or FLAC as long as it needs about 24 MiB at most ("auto").
    on_error : {"raise", "skip"}, default="raise"
        What happens to clips that cannot be read, or hold NaN or nothing: an error that lists them, or a list on the page.
    n_jobs : int or None, default=None
        Number of threads that read clips, as in joblib.
    verbose : int, default=0
        Shows progress bars if 1 or larger.

    Returns
    -------
    path : Path
        The file that was written.

    Raises
    ------
    TypeError, ValueError
        If a parameter or a clip cannot be used, or if `names` has another length than X.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skasd.datasets import make_machine_clips
    >>> from skasd.detectors import TWFRDetector
    >>> from skasd.report import write_report
    >>> clips = make_machine_clips("fan", n_train=20, n_test_normal=2, n_test_anomaly=2, duration=2.0, random_state=0)
    >>> table = clips.data.drop(columns=["section"])
    >>> normal, new = (table[table["split"] == split] for split in ("train", "test"))
    >>> folder = tempfile.TemporaryDirectory()
    >>> file = write_report(TWFRDetector().fit(normal), new, Path(folder.name, "fan.html"), normal=normal)
    >>> file.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    True
    >>> folder.cleanup()
    """
    check_options(most, audio)
    target = writable("path", path)
    unusable: list[tuple[str, str]] = []
    names = _names(X, names)
    if skips(on_error):
        bad = unusable_clips(X, detector, n_jobs=n_jobs)
        unusable = [(names[place], reason) for place, reason in zip(bad.index.tolist(), bad["reason"], strict=True)]
        usable = np.setdiff1d(np.arange(len(names)), bad.index.to_numpy())
        X, names = taken(X, usable), [names[place] for place in usable]
    group = _group(detector, X, names, normal)
    about = {**description(detector), "saved": None}
    return write_groups(
        [group] if len(names) else [],
        target,
        unusable=unusable,
        about=about,
        title=title,
        most=most,
        audio=audio,
        n_jobs=n_jobs,
        verbose=verbose,
    )


def write_groups(
    groups: Sequence[Group],
    path: Path,
    *,
    unusable: Sequence[tuple[str, str]],
    about: Mapping[str, Any],
    title: str,
    most: int,
    audio: str,
    n_jobs: int | None,
    verbose: int,
) -> Path:
    """Write the report of clips of several detectors.

    Parameters
    ----------
    groups : sequence of Group
        The clips by detector.
    path : Path
        File to write.
    unusable : sequence of tuple of str
        Names of clips without a score, and why.
    about : dict
        Description of the model.
    title, most, audio, n_jobs, verbose
        As in :func:`write_report`.
    """
    scores = [scored(group.detector, group.X) for group in groups]
    chosen = most_anomalous(scores, most) if groups else []
    shown = [
        details(group, each, places, n_jobs=n_jobs, verbose=verbose)
        for group, each, places in zip(groups, scores, chosen, strict=True)
    ]
    text = page(Content(title, groups, scores, shown, unusable, about, audio, n_jobs))
    return put_in_place(path, text)


def check_options(most: Any, audio: Any) -> None:
    """Raise unless `most` is a number of clips and `audio` a format.

    Parameters
    ----------
    most, audio
        As in :func:`write_report`.
    """
    check_integer("most", most, low=0)
    check_option("audio", audio, _AUDIO)


def writable(name: str, path: str | os.PathLike[str]) -> Path:
    """The path of a file that can be written, whose folder is made if it is missing.

    Parameters
    ----------
    name : str
        Name of the parameter, for messages.
    path : str or path-like
        File to write.

    Raises
    ------
    OSError
        If it is a folder, or if its folder cannot be made or written to.
    """
    check_path(name, path)
    target = Path(path)
    if target.is_dir() or str(path).endswith(os.sep):
        raise IsADirectoryError(f"{name}={path} is a folder; it must name a file, such as {target / 'report.html'}.")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(f"{name}={path} cannot be written: {error}") from error
    if not os.access(target.parent, os.W_OK):
        raise PermissionError(
            f"{name}={path} cannot be written: the folder {target.parent} may not be written to; choose another one."
        )
    return target


def _group(detector: Any, X: Any, names: Sequence[str], normal: Any) -> Group:
    if normal is None:
        return Group(detector, X, names, machines_of(X, len(names)))
    normal_names = _names(normal, None)
    return Group(
        detector,
        X,
        names,
        machines_of(X, len(names)),
        normal,
        normal_names,
        machines_of(normal, len(normal_names)),
    )


def _names(X: Any, names: Sequence[str] | None) -> list[str]:
    clips = as_clips(X)
    if names is None:
        is_path = [isinstance(item, str | os.PathLike) for item in clips.items]
        return _short([clips.name(place) if is_path[place] else f"clip {place}" for place in range(len(clips))])
    if len(names) != len(clips):
        raise ValueError(f"names has {len(names)} names for {len(clips)} clips; one name for each clip is expected.")
    return [str(name) for name in names]


def _short(names: list[str]) -> list[str]:
    """Paths without the folder that all of them share."""
    folders = {os.path.dirname(name) for name in names}  # noqa: PTH120 - a name may be no path
    if "" in folders or len({name[0] for name in names}) > 1:
        return names
    top = os.path.commonpath(folders)
    return [os.path.relpath(name, top) for name in names]


def put_in_place(path: Path, text: str) -> Path:
    """Write a file under another name and rename it, so that a reader never sees half of it.

    Parameters
    ----------
    path : Path
        File to write or replace.
    text : str
        Its content.
    """
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return path
