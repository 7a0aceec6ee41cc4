"""Suite: which detectors, on which data, with which seeds."""

import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from sklearn.base import clone

from skasd._parameters import check_integer
from skasd.benchmark._estimators import build
from skasd.benchmark._published import published_results
from skasd.features import LogMelTransformer

_SHIPPED = ("quick",)


@dataclass(frozen=True)
class Entry:
    """A detector of a suite.

    Parameters
    ----------
    detector : estimator
        A detector, or a pipeline that ends in one; a copy is fitted.
    features : LogMelTransformer or None, default=None
        Front end whose log-mels the detector gets in place of waveforms; they are computed once for all tasks that ask for
        the same. A detector with ``frontend=None`` is told of it. None gives it the clips as they are.
    data : sequence of str or None, default=None
        Names of the data sets that it is run on; None takes all.
    published : sequence of str, default=()
        Systems of the published figures that a report sets beside its own, see :func:`published_results`.
    """

    detector: Any
    features: LogMelTransformer | None = None
    data: Sequence[str] | None = None
    published: Sequence[str] = ()

    def __post_init__(self) -> None:
        if not hasattr(self.detector, "score_samples"):
            raise TypeError(
                f"{self.detector!r} has no score_samples; a detector, or a pipeline that ends in one, is expected."
            )
        if self.features is not None and not isinstance(self.features, LogMelTransformer):
            raise TypeError(f"features={self.features!r}; a LogMelTransformer or None is expected.")
        if strange := set(self.published) - set(published_results()["system"]):
            raise ValueError(f"published: {', '.join(sorted(strange))} is no system of published_results().")

    def prepared(self) -> Any:
        """The detector, told of the front end."""
        detector = clone(self.detector)
        if self.features is not None and detector.get_params(deep=False).get("frontend", 0) is None:
            detector.set_params(frontend=clone(self.features))
        return detector


@dataclass(frozen=True)
class Suite:
    """Detectors x data sets x seeds.

    Parameters
    ----------
    name : str
        Goes into each result.
    data : mapping of str to mapping
        Data sets by name: a Bunch of clips, or a description, see the guide.
    detectors : mapping of str to Entry or estimator
        Detectors by name.
    seeds : sequence of int, default=(0, 1, 2)
        Each detector is fitted once with each as its ``random_state``.

    Raises
    ------
    TypeError, ValueError
        If something of it is missing or of another kind.

    See Also
    --------
    run_suite : Runs it.
    read_suite : Reads it from a file.

    Examples
    --------
    >>> from skasd.benchmark import Suite
    >>> from skasd.detectors import TWFRDetector
    >>> suite = Suite("mine", {"fans": {"kind": "synthetic", "machine_types": "fan"}}, {"TWFR": TWFRDetector()})
    >>> suite.seeds
    (0, 1, 2)
    """

    name: str
    data: Mapping[str, Any]
    detectors: Mapping[str, Any]
    seeds: Sequence[int] = (0, 1, 2)
    entries: Mapping[str, Entry] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        for name in ("data", "detectors", "seeds"):
            if not len(getattr(self, name)):
                raise ValueError(f"The suite {self.name!r} has no {name}.")
        for seed in self.seeds:
            check_integer("seeds", seed, low=0)
        entries = {name: value if isinstance(value, Entry) else Entry(value) for name, value in self.detectors.items()}
        object.__setattr__(self, "entries", entries)
        for name, entry in entries.items():
            if strange := set(entry.data or ()) - set(self.data):
                raise ValueError(
                    f"The detector {name!r} is to run on {', '.join(sorted(strange))}; the suite has {', '.join(self.data)}."
                )


def read_suite(source: str | os.PathLike[str]) -> Suite:
    """Read a suite from a TOML file, or one that ships with skasd by its name.

    Parameters
    ----------
    source : str or path-like
        File, or ``"quick"``.

    Returns
    -------
    suite : Suite

    Raises
    ------
    FileNotFoundError
        If there is neither such a file nor such a name.
    ValueError
        If it is no TOML, or says what no suite, detector or data set takes.

    Examples
    --------
    >>> from skasd.benchmark import read_suite
    >>> sorted(read_suite("quick").data)
    ['synthetic']
    """
    shipped = str(source) in _SHIPPED
    file = files("skasd.benchmark") / f"{source}.toml" if shipped else Path(source).expanduser()
    if not file.is_file():
        raise FileNotFoundError(
            f"There is no suite file {source}, and no suite of that name; those are {', '.join(_SHIPPED)}."
        )
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
        return _suite(content, Path(str(source)).stem)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, TypeError, KeyError, ValueError) as error:
        raise ValueError(f"{source}: {error}") from error


def _suite(content: dict[str, Any], name: str) -> Suite:
    known = ("name", "seeds", "data", "detectors")
    if strange := set(content) - set(known):
        raise ValueError(f"{', '.join(sorted(strange))} is unknown; a suite has {', '.join(known)}.")
    for table in ("data", "detectors"):
        if not isinstance(content.get(table), dict):
            raise ValueError(f"there are no tables [{table}.NAME].")
    detectors = {key: _entry(key, value) for key, value in content["detectors"].items()}
    return Suite(content.get("name", name), content["data"], detectors, tuple(content.get("seeds", (0, 1, 2))))


def _entry(name: str, content: dict[str, Any]) -> Entry:
    content = dict(content)
    features, data, published = (content.pop(key, None) for key in ("features", "data", "published"))
    if "class" not in content:
        raise ValueError(f"[detectors.{name}] has no class.")
    return Entry(build(content), build(features), data, tuple(published or ()))
