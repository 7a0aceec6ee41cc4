"""Log-mels that many tasks share: computed once, kept in files, and read through a memory map."""

import hashlib
import os
from pathlib import Path

import numpy as np
import pandas as pd
from filelock import FileLock

from skasd.benchmark._data import SuiteData
from skasd.benchmark._estimators import essence
from skasd.features import LogMelTransformer


class FeatureStore:
    """A folder of log-mels, one file for each data set and front end.

    Parameters
    ----------
    folder : Path
        Several processes may use it at once; the first computes, the others wait.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def with_log_mels(self, data: SuiteData, frontend: LogMelTransformer) -> pd.DataFrame:
        """The clip table with log-mels in place of waveforms and paths; as it is if it came with log-mels."""
        if "log_mel" in data.table.columns:
            return data.table
        text = f"{data.fingerprint} {essence(frontend)}"
        file = self.folder / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.npy"
        if not file.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            with FileLock(file.with_suffix(".lock")):
                if not file.exists():
                    _compute(data.table, frontend, file)
        table = data.table.drop(columns=["path", "waveform"], errors="ignore")
        return table.assign(log_mel=pd.Series(_cells(file), index=table.index, dtype=object))


def _compute(table: pd.DataFrame, frontend: LogMelTransformer, file: Path) -> None:
    cells = list(frontend.fit_transform(table)["log_mel"])
    _save(np.array([cell.shape for cell in cells]), file.with_suffix(".shapes.npy"))
    _save(np.concatenate([np.ravel(cell) for cell in cells]), file)


def _save(array: np.ndarray, file: Path) -> None:
    """Write a file that is there as a whole or not at all."""
    part = file.with_name(f"{file.name}.{os.getpid()}.part")
    with part.open("wb") as stream:
        np.save(stream, array)
    part.replace(file)


def _cells(file: Path) -> list[np.ndarray]:
    """Views (n_mels, n_frames) of each clip."""
    values, shapes = np.load(file, mmap_mode="r"), np.load(file.with_suffix(".shapes.npy"))
    ends = np.cumsum(shapes.prod(axis=1))
    return [
        values[end - bands * frames : end].reshape(bands, frames)
        for end, (bands, frames) in zip(ends, shapes, strict=True)
    ]
