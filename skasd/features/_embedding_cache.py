"""EmbeddingCache: a folder with one file per clip, whose name is a digest of all that its embedding depends on."""

import hashlib
import os
import uuid
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

_FORMAT = 1  # changes with anything that changes embeddings without a parameter of its own


@dataclass(frozen=True)
class EmbeddingCache:
    """Embeddings on disk.

    Parameters
    ----------
    folder : Path
        Folder, made when the first file is written.
    settings : str
        All that embeddings depend on beside the waveform.
    """

    folder: Path
    settings: str

    def file(self, waveform: np.ndarray) -> Path:
        """File of the clip with this waveform (n_timepoints,), whether or not it exists."""
        digest = hashlib.sha256(f"{_FORMAT}|{self.settings}|{waveform.dtype}|{len(waveform)}|".encode())
        digest.update(np.ascontiguousarray(waveform).data)
        return self.folder / f"{digest.hexdigest()}.npz"

    def read(self, file: Path) -> tuple[np.ndarray | None, str | None]:
        """The embedding in a file, if it exists, and why it cannot be read, if it is damaged."""
        try:
            with np.load(file, allow_pickle=False) as parts:
                embedding = parts["embedding"]
        except FileNotFoundError:
            return None, None
        except (OSError, ValueError, KeyError, EOFError, TypeError, AttributeError, zipfile.BadZipFile) as error:
            return None, f"{type(error).__name__}: {error}"
        if embedding.dtype != np.float32 or embedding.ndim not in (1, 2) or not np.isfinite(embedding).all():
            return None, f"its values are {embedding.dtype} of shape {embedding.shape}, or not finite"
        return embedding, None

    def write(self, file: Path, embedding: np.ndarray) -> None:
        """Write an embedding under another name, then rename, so that readers never see half a file."""
        self.folder.mkdir(parents=True, exist_ok=True)
        draft = file.with_name(f"{file.stem}.{os.getpid()}.{uuid.uuid4().hex}.part")
        try:
            with draft.open("wb") as stream:
                np.savez(stream, embedding=embedding)
            draft.replace(file)
        finally:
            draft.unlink(missing_ok=True)
