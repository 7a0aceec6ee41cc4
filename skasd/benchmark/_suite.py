"""Suites: detectors, data sets and seeds to combine in a benchmark, and how to read them from files."""

import os
import runpy
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from sklearn.base import clone

from skasd._parameters import check_integer, check_path, naming
from skasd.benchmark._estimators import build
from skasd.benchmark._protocol import split_options
from skasd.benchmark._published import published_results
from skasd.benchmark._ways import parameter_name
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
        Front end whose log-mels the detector gets in place of waveforms. They are computed once for all tasks with the same
        front end, which also becomes the `frontend` of a detector whose `frontend` is None. None passes the clips unchanged.
    data : sequence of str or None, default=None
        Names of the data sets to run on; None uses all.
    published : sequence of str, default=()
        Systems whose published results a report shows next to these, see :func:`published_results`.
    score_with : sequence of str, default=()
        Values of the detector's `score_with`. The detector is fitted once, and each value gives a separate result.
    back_ends : mapping of str to estimator, default={}
        Further scores by name: outlier detectors fitted to the embeddings of each machine type and section.
    tags : mapping, default={}
        Columns added to each result, for tables; they have no effect.
    """

    detector: Any
    features: LogMelTransformer | None = None
    data: Sequence[str] | None = None
    published: Sequence[str] = ()
    score_with: Sequence[str] = ()
    back_ends: Mapping[str, Any] = field(default_factory=dict)
    tags: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not hasattr(self.detector, "score_samples"):
            raise TypeError(
                f"{self.detector!r} has no score_samples; a detector, or a pipeline that ends in one, is expected."
            )
        if self.features is not None and not isinstance(self.features, LogMelTransformer):
            raise TypeError(f"features={self.features!r}; a LogMelTransformer or None is expected.")
        if strange := set(self.published) - set(published_results()["system"]):
            raise ValueError(f"published: {', '.join(sorted(strange))} is no system of published_results().")
        if isinstance(self.score_with, str):
            raise TypeError(f"score_with={self.score_with!r}; a sequence of ways to score is expected.")
        if self.score_with and parameter_name(self.detector, "score_with") not in self.detector.get_params():
            raise ValueError(f"{self.detector!r} has no parameter score_with, and so no ways to score.")
        if self.back_ends and not hasattr(self.detector, "transform"):
            raise ValueError(f"{self.detector!r} has no embeddings (transform) for back_ends.")

    def prepared(self) -> Any:
        """Copy the detector and set its front end.

        Returns
        -------
        detector : estimator
            Unfitted copy of the detector, with `features` as its front end if it has none of its own.
        """
        detector = clone(self.detector)
        if self.features is not None and detector.get_params(deep=False).get("frontend", 0) is None:
            detector.set_params(frontend=clone(self.features))
        return detector


@dataclass(frozen=True)
class Suite:
    """Detectors, data sets and seeds to combine.

    Parameters
    ----------
    name : str
        Name recorded in each result.
    data : mapping of str to mapping
        Data sets by name: a Bunch of clips, or a description, see the :ref:`guide <benchmark>`.
    detectors : mapping of str to Entry or estimator
        Detectors by name.
    seeds : sequence of int, default=(0, 1, 2)
        Values of ``random_state``; each detector is fitted once per seed.

    Raises
    ------
    TypeError, ValueError
        If a part is missing or of the wrong kind.

    See Also
    --------
    run_suite : Runs a suite.
    read_suite : Reads a suite from a file.

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
        for name, kind in (("data", Mapping), ("detectors", Mapping), ("seeds", Sequence)):
            value = getattr(self, name)
            if not isinstance(value, kind) or isinstance(value, str):
                expected = "a mapping of names" if kind is Mapping else "a sequence of integers"
                raise TypeError(f"{name}={value!r} is a {type(value).__name__}; {expected} is expected.")
            if not value:
                raise ValueError(f"The suite {self.name!r} has no {name}.")
        for data in self.data:
            for seed in self.seeds_of(data):
                check_integer("seeds", seed, low=0)
        with naming("detectors"):
            entries = {
                name: value if isinstance(value, Entry) else Entry(value) for name, value in self.detectors.items()
            }
        object.__setattr__(self, "entries", entries)
        for name, entry in entries.items():
            if strange := set(entry.data or ()) - set(self.data):
                raise ValueError(
                    f"The detector {name!r} is to run on {', '.join(sorted(strange))}; the suite has {', '.join(self.data)}."
                )

    def seeds_of(self, data: str) -> Sequence[int]:
        """Seeds of the tasks on a data set.

        Parameters
        ----------
        data : str
            Name of the data set.

        Returns
        -------
        seeds : sequence of int
            Seeds in the description of the data set, or else those of the suite.
        """
        description = self.data[data]
        own = split_options(description)[1].seeds if isinstance(description, Mapping) else None
        return self.seeds if own is None else own

    def with_seeds(self, seeds: Sequence[int]) -> "Suite":
        """The same suite with other seeds, for data sets with seeds of their own too.

        Parameters
        ----------
        seeds : sequence of int
            Seeds of all tasks.

        Returns
        -------
        suite : Suite
            A copy.
        """
        data = {
            name: {**described, "seeds": tuple(seeds)}
            if isinstance(described, Mapping) and "seeds" in described
            else described
            for name, described in self.data.items()
        }
        return replace(self, data=data, seeds=tuple(seeds))


def read_suite(source: str | os.PathLike[str]) -> Suite:
    """Read a suite from a file, or one that ships with skasd by its name.

    Parameters
    ----------
    source : str or path-like
        A TOML file; a Python file that assigns a :class:`Suite` to the name ``suite``, which is run; or ``"quick"``.

    Returns
    -------
    suite : Suite
        The suite.

    Raises
    ------
    FileNotFoundError
        If there is neither such a file nor a suite of that name.
    TypeError
        If `source` is neither a str nor a path-like object.
    ValueError
        If the file is not valid TOML, has an option that is unknown, or makes no suite.

    Examples
    --------
    >>> from skasd.benchmark import read_suite
    >>> sorted(read_suite("quick").data)
    ['synthetic']
    """
    check_path("source", source)
    shipped = str(source) in _SHIPPED
    file = files("skasd.benchmark") / f"{source}.toml" if shipped else Path(source).expanduser()
    if not file.is_file():
        raise FileNotFoundError(
            f"There is no suite file {source}, and no suite of that name; "
            f"source is a file or the name of one that ships: {', '.join(_SHIPPED)}."
        )
    if isinstance(file, Path) and file.suffix == ".py":
        return _suite_of_python(file)
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
        return _suite(content, Path(str(source)).stem)
    except RecursionError as error:
        raise ValueError(f"{source}: its tables or lists are nested too deeply to be a suite.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, TypeError, KeyError, ValueError) as error:
        raise ValueError(f"{source}: {error}") from error


def _suite_of_python(file: Path) -> Suite:
    suite = runpy.run_path(str(file)).get("suite")
    if not isinstance(suite, Suite):
        raise ValueError(f"{file} assigns no Suite to the name suite.")
    return suite


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
    """Entry of a suite from a TOML table, whose remaining keys are parameters of the detector."""
    content = dict(content)
    if "class" not in content:
        raise ValueError(f"[detectors.{name}] has no class.")
    options: dict[str, Any] = {key: content.pop(key) for key in ("data", "published", "tags") if key in content}
    options |= {key: build(content.pop(key)) for key in ("features", "back_ends") if key in content}
    if isinstance(content.get("score_with"), list):  # a text is a parameter of the detector
        options["score_with"] = tuple(content.pop("score_with"))
    if "published" in options:
        options["published"] = tuple(options["published"])
    return Entry(build(content), **options)
