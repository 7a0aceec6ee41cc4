"""Estimators as data: built from tables of a suite file, and described for results."""

import difflib
import importlib
import inspect
import json
from collections.abc import Mapping
from typing import Any

import joblib
import numpy as np
from sklearn.base import BaseEstimator, clone

_MODULES = (
    "skasd.detectors",
    "skasd.features",
    "skasd.scoring",
    "skasd.clustering",
    "skasd.augmentations",
    "skasd.training",
    "skasd.objectives",
)
_WITHOUT_EFFECT = ("verbose", "n_jobs", "device", "memory_budget")  # on the scores, except for rounding


def build(given: Any) -> Any:
    """Build an object from a suite file: tables with a key ``class`` become instances, ``"none"`` becomes None.

    Keys with two underscores reach into groups of parameters, as in ``set_params``.

    Examples
    --------
    >>> from skasd.benchmark._estimators import build
    >>> build({"class": "KNNScorer", "n_neighbors": 2})
    KNNScorer(n_neighbors=2)
    >>> build({"class": "OSSCLDetector", "training__ema_decay": "none"})
    OSSCLDetector(training=TrainingOptions(ema_decay=None))
    """
    if isinstance(given, Mapping) and "class" in given:
        parameters = {name: build(value) for name, value in given.items() if name != "class"}
        inside = {name: parameters.pop(name) for name in list(parameters) if "__" in name}
        made = _class_of(given["class"])(**parameters)
        return made.set_params(**inside) if inside else made
    if isinstance(given, Mapping):
        return {name: build(value) for name, value in given.items()}
    if isinstance(given, list):
        return tuple(build(value) for value in given)
    return None if given == "none" else given


def describe(estimator: Any) -> Any:
    """Class and all parameters of an estimator, in types that JSON has."""
    if hasattr(estimator, "get_params"):
        parameters = _parameters_of(estimator)
        return {"class": type(estimator).__name__} | {name: describe(parameters[name]) for name in sorted(parameters)}
    if isinstance(estimator, Mapping):
        return {str(name): describe(value) for name, value in estimator.items()}
    if isinstance(estimator, list | tuple | set):
        return [describe(value) for value in estimator]
    if isinstance(estimator, np.generic):
        return estimator.item()
    if estimator is None or isinstance(estimator, bool | int | float | str):
        return estimator
    if inspect.isroutine(estimator) or inspect.isclass(estimator):
        return f"{estimator.__module__}.{estimator.__qualname__}"
    return f"{type(estimator).__name__} {joblib.hash(estimator)}"


def _parameters_of(estimator: Any) -> dict[str, Any]:
    """Parameters of an estimator, with groups of parameters that are None as the groups of defaults that they stand for."""
    parameters = estimator.get_params(deep=False)
    groups = getattr(estimator, "_parameter_groups", {})
    return parameters | {name: kind() for name, kind in groups.items() if parameters[name] is None}


def describe_changes(value: Any) -> Any:
    """Class of an estimator and the parameters that differ from its defaults, as in a suite file; anything else as it is."""
    if isinstance(value, Mapping):
        return {str(name): describe_changes(part) for name, part in value.items()}
    if isinstance(value, list | tuple | set):
        return [describe_changes(part) for part in value]
    if not hasattr(value, "get_params"):
        return describe(value)
    parameters, defaults = _parameters_of(value), _defaults_of(type(value))
    changed = [name for name in sorted(parameters) if describe(parameters[name]) != defaults.get(name, _NOTHING)]
    return {"class": type(value).__name__} | {name: describe_changes(parameters[name]) for name in changed}


def essence(estimator: BaseEstimator) -> str:
    """Text that is the same for two estimators that give the same scores with the same seed."""
    return json.dumps(_without(describe(estimator)), sort_keys=True)


def seeded_clone(estimator: Any, seed: int, n_jobs: int) -> Any:
    """A copy with all parameters `random_state` and `n_jobs` set, also those of parts."""
    copy = clone(estimator)
    values = {"random_state": seed, "n_jobs": n_jobs}
    names = {name: name.rpartition("__")[2] for name in copy.get_params()}
    return copy.set_params(**{name: values[last] for name, last in names.items() if last in values})


_NOTHING = object()


def _class_of(name: Any) -> type:
    for module in map(importlib.import_module, _MODULES):  # one after the other, as some of them load torch
        if name in module.__all__ and isinstance(getattr(module, name), type):
            return getattr(module, name)
    modules = [(module, public) for module in map(importlib.import_module, _MODULES) for public in module.__all__]
    known = [public for module, public in modules if isinstance(getattr(module, public), type)]
    near = difflib.get_close_matches(str(name), known, n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    raise ValueError(f"class = {name!r} is unknown; expected one of {', '.join(sorted(known))}.{hint}")


def _defaults_of(kind: type) -> dict[str, Any]:
    try:
        return describe(kind())
    except TypeError:  # it has parameters without a default
        return {}


def _training_that_matters(detector: dict[str, Any]) -> Any:
    """Settings of the training, without `calibration_fraction` where it holds out nothing.

    Results from before it existed keep their keys.
    """
    training = detector["training"]
    if not isinstance(training, dict) or "calibration_fraction" not in training:
        return training
    validation = training["validation_fraction"]
    if validation == "auto":
        kind = getattr(importlib.import_module("skasd.detectors"), detector["class"], None)
        validation = getattr(kind, "_usual_training", {}).get("validation_fraction", 0)
    if training["calibration_fraction"] == "auto" and not validation:
        return training
    if training["calibration_fraction"] not in ("auto", 0):
        return training
    return {name: value for name, value in training.items() if name != "calibration_fraction"}


_SCORED_ALONE = {  # what described a network that is scored alone when it had no choice
    "ContrastiveSpectrumDetector": {"score_with": "embedding"},
    "SelfSupervisedDetector": {},
    "StatClusterDetector": {},
}


def _scored_alone(detector: dict[str, Any]) -> dict[str, Any]:
    """The described detector; a network without statistics beside it as it was described before it could have them.

    Results from that time keep their keys.
    """
    kind, training = detector.get("class"), detector.get("training")
    if kind not in _SCORED_ALONE or not isinstance(training, dict):
        return detector
    holds_out = training["calibration_fraction"] != 0 or training["validation_fraction"] not in (0, "auto")
    if detector["score_with"] != "embedding" and (detector["score_with"] != "auto" or holds_out):
        return detector
    return {name: value for name, value in detector.items() if name != "score_with"} | _SCORED_ALONE[kind]


def _as_published(group: dict[str, Any]) -> dict[str, Any]:
    """The described sizes of a MobileFaceNet, without the pooling if it is that from before there was a choice."""
    is_published = group.get("class") == "MobileFaceNetOptions" and group["pooling"] == "depthwise"
    return {name: value for name, value in group.items() if name != "pooling"} if is_published else group


def _without(described: Any) -> Any:
    if isinstance(described, dict):
        described = _as_published(_scored_alone(described))
        names = [name for name in described if name not in _WITHOUT_EFFECT]
        return {
            name: _without(_training_that_matters(described) if name == "training" else described[name])
            for name in names
        }
    return [_without(value) for value in described] if isinstance(described, list) else described
