"""What a model file says of itself: the estimator, its parameters, what it was fitted on, and the versions that wrote it."""

import os
import platform
import warnings
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from skasd._parameters import check_path
from skasd._version import __version__
from skasd.persistence._container import FORMAT, check_file, read_texts, refused

_LONGEST = 300  # characters of the value of a parameter
_LIBRARIES = ("numpy", "scikit-learn", "torch")


def describe(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Say what is in a model file, without loading the model.

    Parameters
    ----------
    path : str or path-like
        File that :func:`save` wrote.

    Returns
    -------
    description : dict
        ``"estimator"``, the name of its class; ``"parameters"``, their values as text; ``"threshold"``, on
        ``score_samples``; ``"training"``, a dict with `n_clips`, `fingerprint` (SHA-256 of samples of the training clips),
        `fitted` (date and time in UTC) and `machines` (number of clips of each); ``"calibration"``, of a calibrated
        detector, a dict with `alpha`, `method`, and by group `thresholds` on the anomaly score, `n_calibration` and
        `is_provisional`; ``"saved"``, date and time in UTC;
        ``"versions"`` of Python and the libraries; ``"format"`` of the file. Those that the estimator lacks are None. If the
        file holds a dict of estimators, ``"machines"`` has the first four for each.

    Raises
    ------
    ValueError
        If the file is no model file, was damaged or changed, or has a newer format.
    """
    check_path("path", path)
    check_file(Path(path))
    with refused(Path(path)):
        return read_texts(Path(path))["about"]


def description(estimator: Any) -> dict[str, Any]:
    """Description of a fitted estimator for its file.

    Parameters
    ----------
    estimator : estimator or dict of str to estimator
        What is saved.
    """
    parts = {name: _part(part) for name, part in estimator.items()} if isinstance(estimator, dict) else None
    return {
        "format": FORMAT,
        **(_part(estimator) if parts is None else {"machines": parts}),
        "saved": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {"python": platform.python_version(), "skasd": __version__, **_versions()},
    }


def _part(estimator: Any) -> dict[str, Any]:
    detector = detector_in(estimator)
    training = getattr(detector, "_training_data", None)
    offset = getattr(detector, "offset_", None)
    return {
        "estimator": type(estimator).__name__,
        "parameters": {
            name: _shortened(repr(value)) for name, value in sorted(estimator.get_params(deep=False).items())
        },
        "threshold": None if offset is None else float(np.asarray(offset).item()),
        "training": None if training is None else dict(vars(training)),
        "calibration": _calibration(detector),
    }


def _calibration(detector: Any) -> dict[str, Any] | None:
    """How a detector is calibrated; None if it is not."""
    if not hasattr(detector, "n_calibration_"):
        return None
    return {
        "alpha": detector.alpha_,
        "method": detector.method_,
        "thresholds": {name: -offset for name, offset in detector.offsets_.items()},
        "n_calibration": detector.n_calibration_,
        "is_provisional": detector.is_provisional_,
    }


def warn_of_versions(about: dict[str, Any], path: Path) -> None:
    """Warn if a file was written with another minor version of scikit-learn, whose estimators may compute differently.

    Parameters
    ----------
    about : dict
        Description of the file.
    path : Path
        The file.
    """
    written, installed = about["versions"].get("scikit-learn"), _versions()["scikit-learn"]
    if str(written).split(".")[:2] != str(installed).split(".")[:2]:
        warnings.warn(
            f"{path} was written with scikit-learn {written}, and {installed} is installed. Scores can differ; compare some "
            "with those of the version that wrote it, or fit again.",
            stacklevel=3,
        )


def detector_in(estimator: Any) -> Any:
    """The estimator, or the last step of a pipeline.

    Parameters
    ----------
    estimator : estimator
        What is in a model file.
    """
    while hasattr(estimator, "steps"):
        estimator = estimator.steps[-1][1]
    return estimator


def _versions() -> dict[str, str | None]:
    return {library: _version(library) for library in _LIBRARIES}


def _version(library: str) -> str | None:
    try:
        return version(library)
    except PackageNotFoundError:
        return None


def _shortened(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST else text[:_LONGEST] + " ..."
