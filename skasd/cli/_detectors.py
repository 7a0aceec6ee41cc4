"""Detectors by name, with the settings that the commands use and those that the user gives."""

import ast
import difflib
import re
from collections.abc import Sequence
from functools import partial
from typing import Any

import skasd.detectors
from skasd._parameters import check_n_jobs
from skasd.base import BaseDetector
from skasd.decisions import CalibratedDetector
from skasd.decisions._options import checked_hold_out

DEFAULT = "statistics"
_OF_CALIBRATION = ("method", "calibration_fraction", "n_folds", "learning_period")
USUAL_RATE, _USUAL_CHANNEL = 16000, 0
_ALONE = ("statistics", "twfr", "autoencoder", "ensemble")  # the others learn to tell machines apart, from all of them


def detector_names() -> list[str]:
    """Names of all detectors on the command line, such as ``stat-cluster``."""
    return sorted(_class_names())


def checked_name(name: str) -> str:
    """Name of a detector as the commands know it; also that of its class, and any case, will do.

    Parameters
    ----------
    name : str
        Name that the user gave.

    Raises
    ------
    ValueError
        If there is no such detector; the nearest names are given.
    """
    known = {_letters(known): known for known in detector_names()}
    asked = _letters(name).removesuffix("detector")
    if asked not in known:
        near = difflib.get_close_matches(asked, known, 2)
        hint = f" Did you mean {' or '.join(known[match] for match in near)}?" if near else ""
        raise ValueError(f"--detector={name} is unknown; expected one of {', '.join(known.values())}.{hint}")
    return known[asked]


def learns_alone(name: str) -> bool:
    """Whether a detector learns a machine without others to compare it with, so that each machine can have its own."""
    return name in _ALONE


def make_detector(
    name: str,
    *,
    settings: Sequence[str] = (),
    contamination: float | None = None,
    sample_rate: int = USUAL_RATE,
    channel: int | str = _USUAL_CHANNEL,
    n_jobs: int | None = None,
    verbose: int = 0,
) -> BaseDetector:
    """A new detector.

    Parameters
    ----------
    name : str
        Name of the detector.
    settings : sequence of str, default=()
        Parameters as ``key=value``; a value is a Python literal, or else a text.
    contamination : float or None, default=None
        Accepted false alarm rate; None keeps that of the detector.
    sample_rate : int, default=16000
        Sample rate in Hz.
    channel : int or str, default=0
        Channel of multichannel files.
    n_jobs : int or None, default=None
        Number of threads; None keeps those of the detector.
    verbose : int, default=0
        Shows progress bars if 1 or larger.
    """
    given = _given(settings, contamination)
    make = partial(_with_front_end, sample_rate=sample_rate, channel=channel, verbose=verbose)
    usual = (sample_rate, channel) == (USUAL_RATE, _USUAL_CHANNEL)
    is_plain = usual and name not in _ALONE and not any(key.startswith("frontend__") for key in given)
    if name == "ensemble":
        detector = _class(name)([(part, make(_class(part)())) for part in ("statistics", "twfr")])
    else:
        detector = _class(name)() if is_plain else make(_class(name)())
    chosen: dict[str, Any] = {"random_state": 0, "verbose": verbose}
    known = detector.get_params()
    detector.set_params(**{key: value for key, value in chosen.items() if key in known})
    if n_jobs is not None:
        set_jobs(detector, n_jobs)
    _set(detector, given, name)
    return detector


def make_calibrated(name: str, *, settings: Sequence[str] = (), alpha: float | None = None, **how: Any) -> BaseDetector:
    """A new detector inside a calibrated one.

    Parameters
    ----------
    name : str
        Name of the detector.
    settings : sequence of str, default=()
        Parameters of the detector, or of its calibration, as ``key=value``.
    alpha : float or None, default=None
        Accepted false alarm rate; None is the usual one.
    **how : parameters of :func:`make_detector`
        How recordings are read, and the like.
    """
    given = _given(settings, None)
    own = {key: given[key] for key in _OF_CALIBRATION if key in given}
    for key in ("contamination", "threshold", "alpha"):
        if key in given:
            raise ValueError(f"--set {key}: decisions are calibrated for a false alarm rate; use --alpha.")
    inside = make_detector(name, settings=[text for text in settings if _setting(text)[0] not in own], **how)
    detector = CalibratedDetector(inside, verbose=how.get("verbose", 0)).set_params(**own)
    if alpha is not None:
        detector.set_params(alpha=alpha)
    checked_hold_out(detector)  # a wrong setting is told of before anything is read
    return detector


def set_jobs(detector: Any, n_jobs: int) -> None:
    """Have a detector, its front end and the detectors inside it compute in `n_jobs` threads."""
    check_n_jobs(n_jobs)
    names = [name for name in detector.get_params() if name.rpartition("__")[2] == "n_jobs"]
    detector.set_params(**dict.fromkeys(names, n_jobs))


def _given(settings: Sequence[str], contamination: float | None) -> dict[str, Any]:
    """Parameters that the user set, each once."""
    given: dict[str, Any] = {} if contamination is None else {"contamination": contamination}
    for text in settings:
        key, value = _setting(text)
        if key in given:
            raise ValueError(f"{key} is given twice: once as --set {text}; give it once.")
        given[key] = value
    return given


def _class_names() -> dict[str, str]:
    """Names of the classes of the detectors by their names on the command line."""
    return {_dashed(name): name for name in skasd.detectors.__all__ if name.endswith("Detector")}


def _class(name: str) -> Any:
    return getattr(skasd.detectors, _class_names()[name])


def _with_front_end(detector: Any, **params: Any) -> Any:
    return detector.set_params(frontend=detector._default_frontend().set_params(**params))


def _set(detector: Any, given: dict[str, Any], name: str) -> None:
    known = list(detector.get_params())
    for key in given:
        if key not in known:
            near = difflib.get_close_matches(key, known, 3)
            hint = f"did you mean {' or '.join(near)}?" if near else f"its parameters are {', '.join(known)}."
            raise ValueError(f"--set {key}: the detector {name} has no such parameter; {hint}")
    detector.set_params(**given)


def _setting(text: str) -> tuple[str, Any]:
    key, separator, value = text.partition("=")
    if not separator or not key.strip():
        raise ValueError(f"--set {text}: key=value is expected, such as max_epochs=20.")
    try:
        return key.strip(), ast.literal_eval(value.strip())
    except (ValueError, SyntaxError):
        return key.strip(), value.strip()


def _dashed(name: str) -> str:
    """Name of a class in lower case with dashes: ``StatClusterDetector`` is ``stat-cluster``."""
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z][a-z]+", name.removesuffix("Detector"))
    return "-".join(words).lower()


def _letters(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
