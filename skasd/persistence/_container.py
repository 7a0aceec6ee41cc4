"""The container of a model file: arrays in a safetensors file, whose metadata hold a description and the tree of objects.

Safetensors checks that the arrays lie one behind the other, within the file, and are as large as their shapes say. What it
lacks is a digest: ours covers every byte of the file, with the digest itself taken as zeros.
"""

import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as safetensors_bytes

FORMAT = 1
_EMPTY = "0" * 64  # digest of a file that has none yet
_DIGEST = re.compile(rb'"sha256":"([0-9a-f]{64})"')
_LONGEST_HEADER = 8 * 2**20  # bytes
_MOST_NODES = 500_000  # lists and dicts in the header, which take much memory
_BLOCK = 2**20  # bytes that are read at once
_SIZE = 8  # bytes at the start of the file, the length of its header


def check_file(path: Path) -> None:
    """Raise unless there is such a file.

    Parameters
    ----------
    path : Path
        Model file.
    """
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; a model file that skasd.save or skasd fit wrote is expected.")
    if not path.exists():
        raise FileNotFoundError(f"There is no model file {path}.")


@contextmanager
def refused(path: Path) -> Iterator[None]:
    """Name the file in whatever is found wrong with it, as a ValueError.

    Parameters
    ----------
    path : Path
        Model file that the ``with`` block reads.
    """
    try:
        yield
    except OSError:
        raise
    except Exception as error:  # what a damaged file leads to has no list
        what = str(error) if isinstance(error, ValueError) else f"its content does not fit together ({error!r})"
        raise ValueError(f"{path} cannot be used as a model file: {what}.") from error


def write_file(path: Path, about: dict[str, Any], tree: Any, arrays: dict[str, np.ndarray]) -> None:
    """Write a model file under another name and rename it, so that the old file or none is left if this is interrupted.

    Parameters
    ----------
    path : Path
        File to write; one that exists is replaced.
    about : dict
        Description, of what JSON can hold.
    tree : Any
        Objects, of what JSON can hold.
    arrays : dict of str to ndarray
        Arrays of numbers that the tree refers to.
    """
    texts = {"about": _json(about), "tree": _json(tree), "format": str(FORMAT), "sha256": _EMPTY}
    content = safetensors_bytes(arrays, metadata=texts)
    header = bytearray(content[: _SIZE + int.from_bytes(content[:_SIZE], "little")])
    if len(header) > _LONGEST_HEADER or _n_nodes(header) > _MOST_NODES:
        raise ValueError(
            f"The model has {_n_nodes(header)} parts with {len(header) / 2**20:.1f} MiB of names and texts; a model file "
            f"holds up to {_MOST_NODES} with {_LONGEST_HEADER // 2**20} MiB. Use a smaller model, or pickle or joblib."
        )
    body = memoryview(content)[len(header) :]
    (found,) = _DIGEST.finditer(header)
    digest = hashlib.sha256(header)
    digest.update(body)
    header[slice(*found.span(1))] = digest.hexdigest().encode()
    path = Path(os.path.realpath(path))  # a link stays one
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with part.open("xb") as stream:
            stream.write(header)
            stream.write(body)
            stream.flush()
            os.fsync(stream.fileno())
        if path.exists():
            shutil.copymode(path, part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def read_texts(path: Path) -> dict[str, Any]:
    """Description and tree of a model file, after a look at its every byte.

    Parameters
    ----------
    path : Path
        Model file.

    Returns
    -------
    texts : dict
        ``"about"``, ``"tree"``, and ``"stamp"``, by which :func:`opened_arrays` knows the file again.

    Raises
    ------
    ValueError
        If it is not a model file, was damaged, or has a newer format.
    """
    with path.open("rb") as stream:
        header = _header(stream, os.fstat(stream.fileno()).st_size)
        _check_digest(header, stream)
        stamp = _stamp(os.fstat(stream.fileno()))
    texts = json.loads(header[_SIZE:])["__metadata__"]
    about, tree = json.loads(texts["about"]), json.loads(texts["tree"])
    if not isinstance(about, dict) or not isinstance(about.get("versions"), dict):
        raise ValueError("its description is incomplete")
    return {"about": about, "tree": tree, "stamp": stamp}


@contextmanager
def opened_arrays(path: Path, stamp: tuple[int, ...]) -> Iterator[Any]:
    """Open the arrays of a model file, of which ``get_tensor`` reads one.

    Parameters
    ----------
    path : Path
        Model file.
    stamp : tuple of int
        What :func:`read_texts` says of the file, so that another one that took its place meanwhile is noticed.
    """
    try:
        with safe_open(path, framework="np") as arrays:
            yield arrays
        if _stamp(path.stat()) != stamp:
            raise ValueError("it was replaced while it was read; load it again")
    except SafetensorError as error:
        raise ValueError(f"its arrays do not fit together ({error})") from error


def _n_nodes(header: bytes | bytearray) -> int:
    return header.count(b"[") + header.count(b"{")


def _stamp(status: os.stat_result) -> tuple[int, ...]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _header(stream: BinaryIO, size: int) -> bytes:
    """Header of a file of `size` bytes, with its length before it."""
    length = stream.read(_SIZE)
    n_bytes = int.from_bytes(length, "little")
    if len(length) < _SIZE or not 2 <= n_bytes <= min(size - _SIZE, _LONGEST_HEADER):
        raise ValueError("it was not written by skasd.save, or it is not complete")
    header = length + stream.read(n_bytes)
    if header[_SIZE : _SIZE + 1] != b"{" or _n_nodes(header) > _MOST_NODES:
        raise ValueError("it was not written by skasd.save")
    return header


def _check_digest(header: bytes, stream: BinaryIO) -> None:
    """Raise unless the file is as it was written, in a format that is known."""
    found = list(_DIGEST.finditer(header))
    if len(found) != 1:
        raise ValueError("it was not written by skasd.save")
    digest = hashlib.sha256(header[: found[0].start(1)] + _EMPTY.encode() + header[found[0].end(1) :])
    while block := stream.read(_BLOCK):
        digest.update(block)
    if digest.hexdigest().encode() != found[0].group(1):
        raise ValueError("it was changed or cut after it was written, since its checksum is another")
    written = json.loads(header[_SIZE:])["__metadata__"]["format"]
    if not written.isdigit() or int(written) > FORMAT:
        raise ValueError(
            f"it has format {written} where this version of skasd knows up to {FORMAT}; install a newer version of skasd"
        )


def _json(value: Any) -> str:
    return json.dumps(value, allow_nan=False, separators=(",", ":"))
