"""Log-mels that tasks share: computed once, stored in files, and read through a memory map."""

import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
from filelock import FileLock

from skasd.benchmark._data import SuiteData
from skasd.benchmark._estimators import essence
from skasd.features import LogMelTransformer

_BLOCK = 256  # clips


class FeatureStore:
    """Folder of log-mels with one file for each data set and front end.

    Parameters
    ----------
    folder : Path
        Several processes may use it at the same time: the first one computes a file, the others wait for it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def with_log_mels(self, data: SuiteData, frontend: LogMelTransformer) -> pd.DataFrame:
        """The clip table with log-mels in place of waveforms and paths; unchanged if it already has log-mels."""
        if "log_mel" in data.table.columns:
            return data.table
        text = f"{data.clips} {essence(frontend)}"
        file = self.folder / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.mel"
        if not file.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            with FileLock(file.with_suffix(".lock")):
                if not file.exists():
                    _compute(data.table, frontend, file)
        table = data.table.drop(columns=["path", "waveform"], errors="ignore")
        return table.assign(log_mel=pd.Series(_cells(file), index=table.index, dtype=object))


def _compute(table: pd.DataFrame, frontend: LogMelTransformer, file: Path) -> None:
    """Compute and write the log-mels in blocks of clips, so that they need not fit into memory."""
    part, shapes = file.with_name(f"{file.name}.{os.getpid()}.part"), []
    with part.open("wb") as stream:
        for start in range(0, len(table), _BLOCK):
            for cell in frontend.fit_transform(table.iloc[start : start + _BLOCK])["log_mel"]:
                shapes.append(cell.shape)
                stream.write(np.ascontiguousarray(cell).tobytes())
                dtype = cell.dtype
    description = {"dtype": str(dtype), "shapes": shapes}
    file.with_suffix(".json").write_text(json.dumps(description), encoding="utf-8")
    part.replace(file)


def _cells(file: Path) -> list[np.ndarray]:
    """Memory-mapped log-mels (n_mels, n_frames), one per clip."""
    description = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
    values, shapes = np.memmap(file, description["dtype"], mode="r"), np.array(description["shapes"])
    ends = np.cumsum(shapes.prod(axis=1))
    return [
        values[end - bands * frames : end].reshape(bands, frames)
        for end, (bands, frames) in zip(ends, shapes, strict=True)
    ]
