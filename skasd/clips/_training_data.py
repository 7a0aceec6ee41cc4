"""What a detector was fitted on, in a few lines: number of clips, machines, date, and a fingerprint."""

import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Self

import numpy as np

from skasd.clips._arrays import as_numpy
from skasd.clips._clips import Clips
from skasd.clips._machine_names import MACHINE_COLUMNS, joined

_N_VALUES = 4096  # of each array
_N_BYTES = 65_536  # of each file, from its start and from its middle


@dataclass(frozen=True)
class TrainingData:
    """What a detector was fitted on.

    Parameters
    ----------
    n_clips : int
        Number of normal clips.
    fingerprint : str
        SHA-256 of the size and a sample of the content of each clip, in order. The same clips from the same kind of
        container have the same fingerprint, wherever they are.
    fitted : str
        Date and time of the fit in UTC, such as ``"2026-05-04T06:30:00+00:00"``.
    machines : dict of str to int
        Number of clips of each machine of a clip table, named by machine type and section, such as ``"fan/00"``.
    """

    n_clips: int
    fingerprint: str
    fitted: str
    machines: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, clips: Clips) -> Self:
        """Describe the clips of a fit.

        Parameters
        ----------
        clips : Clips
            Clips that were learnt from.
        """
        now = datetime.now(UTC).isoformat(timespec="seconds")
        return cls(len(clips), _fingerprint(clips.items), now, _machines(clips))


def _machines(clips: Clips) -> dict[str, int]:
    table = clips.table
    if table is None or not any(column in table for column in MACHINE_COLUMNS):
        return {}
    empty = np.full(len(clips), "", dtype=object)
    cells = [table[name].fillna("").to_numpy(dtype=object) if name in table else empty for name in MACHINE_COLUMNS]
    names = [name.removesuffix("/") for name in joined(cells, len(clips))]
    return dict(sorted(Counter(names).items()))


def _fingerprint(items: Sequence[Any] | np.ndarray) -> str:
    digest = hashlib.sha256()
    for item in items:
        digest.update(_of_file(item) if isinstance(item, (str, os.PathLike)) else _of_array(item))
    return digest.hexdigest()


def digests(clips: Clips) -> np.ndarray:
    """Number (n_clips,) that equal clips from the same kind of container have in common, and hardly any others.

    Parameters
    ----------
    clips : Clips
        Clips.
    """
    found = [_of_file(item) if isinstance(item, (str, os.PathLike)) else _of_array(item) for item in clips.items]
    return np.array([int.from_bytes(hashlib.sha256(one).digest()[:8], "little", signed=True) for one in found])


def _of_file(path: Any) -> bytes:
    with open(path, "rb") as stream:  # noqa: PTH123 - names that are not UTF-8
        size = os.fstat(stream.fileno()).st_size
        start = stream.read(_N_BYTES)
        stream.seek(size // 2)
        return f"{size};".encode() + start + stream.read(_N_BYTES)


def _of_array(item: Any) -> bytes:
    array = np.asarray(as_numpy(item))
    sample = array.reshape(-1)[:: max(1, array.size // _N_VALUES)]
    return f"{array.shape} {array.dtype.str};".encode() + np.ascontiguousarray(sample).tobytes()
