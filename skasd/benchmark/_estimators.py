"""Estimators as data, both ways: from tables of a suite file, and into what a result records."""

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
    "skasd.augmentations",
    "skasd.clustering",
    "skasd.objectives",
    "skasd.training",
)
_WITHOUT_EFFECT = ("verbose", "n_jobs", "device", "memory_budget")  # on the scores, but for rounding


def build(given: Any) -> Any:
    """An object of what a suite file says: tables with a key ``class`` become instances, ``"none"`` becomes None.

    Examples
    --------
    >>> from skasd.benchmark._estimators import build
    >>> build({"class": "KNNScorer", "n_neighbors": 2})
    KNNScorer(n_neighbors=2)
    """
    if isinstance(given, Mapping) and "class" in given:
        parameters = {name: build(value) for name, value in given.items() if name != "class"}
        return _class_of(given["class"])(**parameters)
    if isinstance(given, list):
        return tuple(build(value) for value in given)
    return None if given == "none" else given


def describe(estimator: Any) -> Any:
    """Class and all parameters of an estimator, as JSON can hold them."""
    if hasattr(estimator, "get_params"):
        parameters = estimator.get_params(deep=False)
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


def describe_changes(estimator: BaseEstimator) -> dict[str, Any]:
    """Parameters that differ from the defaults of the class."""
    described, defaults = describe(estimator), describe(type(estimator)()) if _has_defaults(estimator) else {}
    return {
        name: value for name, value in described.items() if name != "class" and value != defaults.get(name, _NOTHING)
    }


def essence(estimator: BaseEstimator) -> str:
    """Text that is the same for two estimators that give the same scores, seed aside."""
    return json.dumps(_without(describe(estimator)), sort_keys=True)


def seeded_clone(estimator: Any, seed: int, n_jobs: int) -> Any:
    """A copy with a seed and a number of threads wherever it has a parameter for them."""
    copy = clone(estimator)
    values = {"random_state": seed, "n_jobs": n_jobs}
    names = {name: name.rpartition("__")[2] for name in copy.get_params()}
    return copy.set_params(**{name: values[last] for name, last in names.items() if last in values})


_NOTHING = object()


def _class_of(name: str) -> type:
    for module in map(importlib.import_module, _MODULES):
        if name in module.__all__:
            return getattr(module, name)
    known = [known for module in _MODULES for known in importlib.import_module(module).__all__]
    raise ValueError(f"class = {name!r} is unknown; expected one of {', '.join(sorted(known))}.")


def _has_defaults(estimator: Any) -> bool:
    try:
        type(estimator)()
    except TypeError:
        return False
    return True


def _without(described: Any) -> Any:
    if isinstance(described, dict):
        return {name: _without(value) for name, value in described.items() if name not in _WITHOUT_EFFECT}
    return [_without(value) for value in described] if isinstance(described, list) else described
