"""Data sets of a suite: loads the clips of a description and makes a fingerprint of them."""

import hashlib
import numbers
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from skasd.benchmark._protocol import Protocol, split_options
from skasd.clips._machine_names import machine_names
from skasd.datasets import fetch_dcase, load_clip_folder, load_dcase, make_machine_clips

_LABELS = {"normal": 1, "anomaly": -1, "unknown": 0}
_YEAR_WITHOUT_DOMAINS, _YEAR_THAT_TELLS_DOMAINS = 2020, 2021
_PIECE = 1 << 14  # bytes read at the beginning, middle and end of a file
_SEED = "seed"  # in place of a random_state
Loaded = tuple[pd.DataFrame, np.ndarray, int, str | None]


@dataclass(frozen=True, slots=True)
class SuiteData:
    """Clips of one data set.

    Attributes
    ----------
    table : DataFrame
        Clip table with a column ``split``.
    target : ndarray of shape (n_clips,)
        +1 normal, -1 anomaly, 0 unknown.
    year : int
        Year of the challenge whose official score is computed.
    subset : str or None
        ``"dev"`` or ``"eval"`` of the challenge of that year. None for other clips, which have no published figures.
    clips : str
        Fingerprint of the clips and their metadata: the same clips have the same one. It covers the content of clips in
        memory, and the name, the size, and the beginning, middle and end of files.
    fingerprint : str
        Fingerprint of the clips and of how they are used.
    family : str
        The same for data sets that differ only in the seed.
    protocol : Protocol
        How the clips are used.
    seed : int
        Seed of the task.
    """

    table: pd.DataFrame = field(repr=False)
    target: np.ndarray = field(repr=False)
    year: int
    subset: str | None
    clips: str
    fingerprint: str
    family: str
    protocol: Protocol = field(default_factory=Protocol)
    seed: int = 0

    def split(self) -> tuple[pd.DataFrame, pd.DataFrame, np.ndarray]:
        """Normal training clips; test clips of known label in sections with training clips; labels of the test clips."""
        side = self.table["split"].to_numpy()
        train = self.table[(side == "train") & (self.target == 1)]
        machine = machine_names(self.table)
        is_test, is_known = (side == "test") & (self.target != 0), machine.isin(set(machine[train.index])).to_numpy()
        if untrained := sorted(set(machine[is_test & ~is_known])):
            warnings.warn(f"Left out, without normal training clips: {', '.join(untrained)}.", stacklevel=2)
        is_test &= is_known
        return train, self.table[is_test], self.target[is_test]

    def as_tested(self, test: pd.DataFrame) -> pd.DataFrame:
        """Test clips without what the challenge does not tell: attributes, and the domain except in 2021."""
        hidden = ("attributes",) if self.year == _YEAR_THAT_TELLS_DOMAINS else ("attributes", "domain")
        return self.protocol.hide(test.assign(**{name: None for name in hidden if name in test.columns}))


def load_data(description: Any, seed: int = 0) -> SuiteData:
    """Load the clips of a data set; they stay in memory for the next task of this process.

    Parameters
    ----------
    description : mapping or Bunch
        Either a Bunch with ``data`` and ``target``, and with ``year`` if the clips have domains; or a mapping whose ``kind``
        is one of

        - ``"synthetic"``: options of :func:`skasd.datasets.make_machine_clips`, with 0 as the default of ``random_state``;
          ``random_state="seed"`` makes other clips for each seed;
        - ``"dcase"``: options of :func:`skasd.datasets.load_dcase`, or, without ``root``, of
          :func:`skasd.datasets.fetch_dcase`;
        - ``"folder"``: options of :func:`skasd.datasets.load_clip_folder`; only folders called train and test are used;
        - ``"table"``: ``clips``, a CSV file with the columns ``split``, ``label`` (normal or anomaly) and ``path``, relative
          to the file. ``log_mel`` names a ``.npy`` file beside it, of shape (n_clips, n_mels, n_frames), instead of paths.
          ``where`` selects the rows whose columns have these values.

        ``year`` chooses the official score. Environment variables are filled in. Options of :class:`Protocol` may be added.
    seed : int, default=0
        Seed of the task, for clips that depend on it.

    Returns
    -------
    data : SuiteData
    """
    if not isinstance(description, Mapping):
        raise TypeError(f"data is a {type(description).__name__}; a mapping or Bunch is expected.")
    description, protocol = split_options(description)
    if "data" in description:
        data = _checked(description["data"], description["target"], description.get("year", _YEAR_WITHOUT_DOMAINS))
    elif _follows_seed(description):
        fingerprint, family = _of_description(description, seed)
        data = replace(_load(_frozen({**description, "random_state": seed})), fingerprint=fingerprint, family=family)
    else:
        data = _load(_frozen(description))
    return _used(data, protocol, seed)


def fingerprints(description: Any, seed: int) -> tuple[str, str]:
    """Fingerprint and family of a data set, without making synthetic clips that follow the seed."""
    if isinstance(description, Mapping) and _follows_seed(description):
        description, protocol = split_options(description)
        return _of_protocol(*_of_description(description, seed), protocol, seed)
    data = load_data(description, seed)
    return data.fingerprint, data.family


def _follows_seed(description: Mapping[str, Any]) -> bool:
    return description.get("kind") == "synthetic" and description.get("random_state") == _SEED


def _of_description(description: Mapping[str, Any], seed: int) -> tuple[str, str]:
    """Fingerprint and family of clips that are a function of their description."""
    family = _short_hash(repr(_frozen(description)))
    return _short_hash(f"{family} {seed}"), family


def _of_protocol(fingerprint: str, family: str, protocol: Protocol, seed: int) -> tuple[str, str]:
    text = protocol.text()
    if not text:
        return fingerprint, family
    of_seed = f" {seed}" if protocol.draw else ""
    return _short_hash(f"{fingerprint} {text}{of_seed}"), _short_hash(f"{family} {text}")


def _used(data: SuiteData, protocol: Protocol, seed: int) -> SuiteData:
    """The clips as the protocol uses them."""
    fingerprint, family = _of_protocol(data.fingerprint, data.family, protocol, seed)
    table = protocol.drawn(data.table, data.target, seed) if protocol.draw else data.table
    return replace(data, table=table, fingerprint=fingerprint, family=family, protocol=protocol, seed=seed)


def forget_data() -> None:
    """Read the data again the next time: files may have changed."""
    _load.cache_clear()


@lru_cache(maxsize=4)
def _load(frozen: tuple) -> SuiteData:
    options = _thawed(frozen)
    kind = options.pop("kind", None)
    if kind not in _KINDS:
        raise ValueError(f"kind = {kind!r} is unknown; expected one of {', '.join(_KINDS)}.")
    _refuse_unknown_options(kind, options)
    try:
        return _checked(*_KINDS[kind](options))
    except (TypeError, KeyError) as error:
        raise ValueError(f"a data set of kind {kind!r} cannot be loaded: {error}.") from error


def _synthetic(options: dict[str, Any]) -> Loaded:
    year = options.pop("year", _YEAR_WITHOUT_DOMAINS)
    random_state = options.setdefault("random_state", 0)
    if isinstance(random_state, bool) or not isinstance(random_state, numbers.Integral):
        raise ValueError(
            f"random_state={random_state!r} makes clips that no other process can make again; an integer, or {_SEED!r} for "
            "other clips with each seed, is expected."
        )
    clips = make_machine_clips(**options)
    return clips.data, clips.target, year, None


def _dcase(options: dict[str, Any]) -> Loaded:
    clips = load_dcase(**options) if "root" in options else fetch_dcase(**options)
    return clips.data, clips.target, options["year"], options.get("subset", "dev")


def _folder(options: dict[str, Any]) -> Loaded:
    year = options.pop("year", _YEAR_WITHOUT_DOMAINS)
    clips = load_clip_folder(**options)
    return clips.data, clips.target, year, None


def _table(options: dict[str, Any]) -> Loaded:
    file = Path(options.pop("clips")).expanduser()
    year, log_mel, where = (
        options.pop(name, default)
        for name, default in (("year", _YEAR_WITHOUT_DOMAINS), ("log_mel", None), ("where", {}))
    )
    if options:
        raise ValueError(
            f"a data set of kind 'table' has no {', '.join(options)}; it has clips, log_mel, where and year."
        )
    table = pd.read_csv(file, dtype=str)
    if log_mel is not None:
        table = table.assign(log_mel=_log_mels(file, log_mel, len(table)))
    for column, value in where.items():
        table = table[table[column] == value]
    if "path" in table.columns:
        table = table.assign(path=[str(file.parent / path) for path in table["path"]])
    strange = set(table["label"].dropna()) - set(_LABELS)
    if strange:
        raise ValueError(
            f"{file} has the labels {', '.join(sorted(map(repr, strange)))}; {', '.join(_LABELS)} or nothing is expected."
        )
    label = table["label"].map(_LABELS).fillna(0).astype(int).to_numpy()
    return table.drop(columns="label"), label, year, None


def _log_mels(file: Path, name: str, n_clips: int) -> pd.Series:
    spectrograms = np.load(file.parent / name).astype(np.float32)
    if len(spectrograms) != n_clips:
        raise ValueError(f"{name} has {len(spectrograms)} clips and {file} {n_clips}.")
    return pd.Series(list(spectrograms), dtype=object)


def _refuse_unknown_options(kind: str, options: dict[str, Any]) -> None:
    if kind == "table":  # it says so itself
        return
    loaders = {"synthetic": (make_machine_clips,), "dcase": (load_dcase, fetch_dcase), "folder": (load_clip_folder,)}[
        kind
    ]
    known = {name for loader in loaders for name in signature(loader).parameters} - {"return_X_y"} | {"year"}
    if strange := sorted(set(options) - known):
        raise ValueError(
            f"a data set of kind {kind!r} has no option {', '.join(strange)}; its options are {', '.join(sorted(known))}."
        )


_KINDS = {"synthetic": _synthetic, "dcase": _dcase, "folder": _folder, "table": _table}


def _checked(table: pd.DataFrame, target: np.ndarray, year: int, subset: str | None = None) -> SuiteData:
    table, target = table.reset_index(drop=True), np.asarray(target)
    if "split" not in table.columns or not {"train", "test"} <= set(table["split"]):
        raise ValueError("A data set of a suite needs a column 'split' that says 'train' and 'test'.")
    for column in ("machine_type", "section"):
        if column not in table.columns or table[column].isna().all():
            table = table.assign(**{column: "all" if column == "machine_type" else "00"})
    clips = _fingerprint(table, target, f"{year} {subset}")
    return SuiteData(table, target, year, subset, clips, fingerprint=clips, family=clips)


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _fingerprint(table: pd.DataFrame, target: np.ndarray, rules: str) -> str:
    digest = hashlib.sha256(np.asarray(target, dtype=np.int64).tobytes() + rules.encode())
    for column in sorted(table.columns):
        for cell in table[column]:
            digest.update(_bytes_of(column, cell))
    return digest.hexdigest()[:16]


def _bytes_of(column: str, cell: Any) -> bytes:
    if isinstance(cell, np.ndarray):
        return str(cell.shape).encode() + np.ascontiguousarray(cell).tobytes()
    if column == "path":
        return f"{Path(cell).name}:".encode() + _pieces(Path(cell))
    return f"{cell}\n".encode()


def _pieces(path: Path) -> bytes:
    """Size of a file, and its beginning, middle and end."""
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}.")
    size = path.stat().st_size
    with path.open("rb") as file:
        pieces = [str(size).encode()]
        for start in sorted({0, max(0, size // 2 - _PIECE // 2), max(0, size - _PIECE)}):
            file.seek(start)
            pieces.append(file.read(_PIECE))
    return b"".join(pieces)


def _frozen(description: Mapping[str, Any]) -> tuple:
    """A description as a hashable key, with environment variables filled in."""
    try:
        key = _key_of(description)
        hash(key)
    except RecursionError as error:
        raise ValueError("data is nested too deeply, or contains itself; plain options are expected.") from error
    except TypeError as error:
        raise TypeError(f"data holds an option that is no text, number, list or table: {error}.") from error
    return key


def _key_of(value: Any) -> Any:
    if isinstance(value, Mapping):
        return ("mapping", *((name, _key_of(value[name])) for name in value))
    if isinstance(value, list | tuple):
        return ("sequence", *map(_key_of, value))
    if isinstance(value, str) and "$" in value:
        filled = os.path.expandvars(value)
        if "$" in filled:
            raise ValueError(f"{value!r} names an environment variable that is not set.")
        return filled
    return value


def _thawed(frozen: Any) -> Any:
    if isinstance(frozen, tuple):
        kind, *rest = frozen
        return {name: _thawed(value) for name, value in rest} if kind == "mapping" else tuple(map(_thawed, rest))
    return frozen
