"""Formats of the files of a fit, and a warning of clips in a file format that a detector was not fitted on."""

import os
import warnings
from collections.abc import Iterable

import numpy as np

from skasd.clips._clips import Clips

_LOSSY = {".aac", ".m4a", ".mp2", ".mp3", ".mp4", ".oga", ".ogg", ".opus", ".wma"}


def file_formats(clips: Clips) -> frozenset[str]:
    """Suffixes of the files among these clips, such as ".wav", in lower case; none for clips that are not files.

    Parameters
    ----------
    clips : Clips
        Clips.
    """
    items: Iterable = () if isinstance(clips.items, np.ndarray) else clips.items
    paths = (os.fspath(item) for item in items if isinstance(item, str | os.PathLike))
    suffixes = {os.path.splitext(path)[1] for path in paths if isinstance(path, str)}  # noqa: PTH122 (pathlib takes 10 times as long)
    return frozenset(suffix.lower() for suffix in suffixes)


def warn_of_other_formats(clips: Clips, trained: frozenset[str]) -> None:
    """Warn of files in a format that the detector was not fitted on, if one of the two loses part of the sound.

    Parameters
    ----------
    clips : Clips
        Clips to score.
    trained : frozenset of str
        File formats of the training clips, see :func:`file_formats`.
    """
    other = file_formats(clips) - trained
    strange = other if trained and trained <= _LOSSY else other & _LOSSY
    if not strange or not trained:
        return
    position = next(
        number for number, item in enumerate(clips.items) if os.fspath(item).lower().endswith(tuple(strange))
    )
    warnings.warn(
        f"{clips.name(position)} is a {min(strange)} file, but the clips given to fit are {_listed(trained)} files. Lossy "
        "compression removes parts of the spectrum, so that normal clips can get the scores of anomalies; record and fit in "
        "the same format.",
        stacklevel=3,
    )


def _listed(formats: Iterable[str]) -> str:
    return " and ".join(sorted(formats))
