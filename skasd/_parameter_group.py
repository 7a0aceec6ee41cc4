"""Groups of related parameters, passed to an estimator as one object; scikit-learn's nested parameters reach into it."""

import inspect
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any, ClassVar, Self

import numpy as np

from skasd._parameters import check_option


class ParameterGroup:
    """Base of dataclasses that are one parameter of an estimator; grids use ``detector__training__weight_decay``."""

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Parameters by name.

        Parameters
        ----------
        deep : bool, default=True
            Not used, since the parameters contain no estimators. Present because scikit-learn passes it.

        Returns
        -------
        params : dict
            Values by parameter name.
        """
        return {field.name: getattr(self, field.name) for field in fields(self)}  # type: ignore[arg-type]

    def set_params(self, **params: Any) -> Self:
        """Change some parameters.

        Parameters
        ----------
        **params : dict
            Names and values of the parameters.

        Returns
        -------
        self : object
            This object.
        """
        known = self.get_params()
        for name, value in params.items():
            if name not in known:
                raise ValueError(f"{type(self).__name__} has no parameter {name!r}; it has {', '.join(known)}.")
            setattr(self, name, value)
        return self

    def check(self) -> None:
        """Raise if a parameter is out of range, or has no effect given the others."""

    def __repr__(self) -> str:
        changed = ", ".join(f"{name}={value!r}" for name, value in changed_parameters(self).items())
        return f"{type(self).__name__}({changed})"


class HasParameterGroups:
    """Mixin for estimators with groups of parameters; None means the group with its defaults.

    List it before ``BaseEstimator``. `_parameter_groups` maps the parameters to their classes.
    """

    _parameter_groups: ClassVar[Mapping[str, type[ParameterGroup]]] = {}

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Parameters by name; those of a group appear as ``group__parameter``, even if the group is None.

        Parameters
        ----------
        deep : bool, default=True
            Whether to include the parameters of groups and of nested estimators.

        Returns
        -------
        params : dict
            Values by parameter name.
        """
        params = super().get_params(deep=deep)  # type: ignore[misc]
        for name, kind in self._parameter_groups.items() if deep else ():
            if params[name] is None:
                params |= {f"{name}__{inner}": value for inner, value in kind().get_params().items()}
        return params

    def set_params(self, **params: Any) -> Self:
        """Set parameters; those of a group are named ``group__parameter``.

        Parameters
        ----------
        **params : dict
            Names and values of the parameters.

        Returns
        -------
        self : object
            This estimator.
        """
        for name, kind in self._parameter_groups.items():
            reaches_in = any(given.startswith(f"{name}__") for given in params)
            if reaches_in and params.get(name, getattr(self, name)) is None:
                params[name] = kind()
        return super().set_params(**params)  # type: ignore[misc]

    def _group(self, name: str) -> Any:
        """The checked group that this parameter holds; the group with its defaults if it is None."""
        value, kind = getattr(self, name), self._parameter_groups[name]
        if value is None:
            return kind()
        if not isinstance(value, kind):
            what = value.__name__ if isinstance(value, type) else type(value).__name__
            raise TypeError(f"{name}={value!r} is {what}; {kind.__name__}(...) or None is expected.")
        value.check()
        return value


def changed_parameters(owner: Any) -> dict[str, Any]:
    """Parameters of an estimator or a group that differ from the defaults of their constructor."""
    defaults = inspect.signature(type(owner)).parameters
    values = {name: getattr(owner, name) for name in defaults}
    return {name: value for name, value in values.items() if not _same(value, defaults[name].default)}


def _same(value: Any, default: Any) -> bool:
    if value is default:
        return True
    if isinstance(value, int | float | np.number) and isinstance(default, int | float):
        return bool(value == default) and isinstance(value, bool) == isinstance(default, bool)
    return type(value) is type(default) and isinstance(value, str | tuple) and value == default


def refuse_idle(owner: Any, names: Iterable[str], because: str) -> None:
    """Raise if one of the parameters `names` was changed from its default although it has no effect.

    Parameters
    ----------
    owner : estimator or ParameterGroup
        Object with the parameters.
    names : iterable of str
        Parameters that have no effect.
    because : str
        Setting that disables them, such as ``"contrastive_weight=0"``.
    """
    changed = changed_parameters(owner)
    for name in names:
        if name in changed:
            default = inspect.signature(type(owner)).parameters[name].default
            raise ValueError(
                f"{name}={changed[name]!r} has no effect with {because}; leave {name} at its default {default!r}, or change "
                f"{because.partition('=')[0]}."
            )


def check_flags(owner: Any, *names: str) -> None:
    """Raise unless these parameters are True or False."""
    for name in names:
        check_option(name, getattr(owner, name), (True, False))
