"""ObjectiveOptions: the parameters of a detector that its objective needs."""

from copy import copy
from dataclasses import fields
from typing import Any, Self


class ObjectiveOptions:
    """Base of frozen dataclasses with the parameters of a detector that determine its network and losses.

    The fields have the names and defaults of the parameters, which the docstring of the detector explains.
    """

    @classmethod
    def of(cls, estimator: Any) -> Self:
        """Checked options from the parameters of an estimator.

        Groups of parameters are copied, as scoring reads them too; a group that is None has its defaults.
        """
        groups = estimator._parameter_groups
        names = [field.name for field in fields(cls)]  # type: ignore[arg-type]
        values = {name: copy(estimator._group(name)) if name in groups else getattr(estimator, name) for name in names}
        options = cls(**values)
        options.check()
        return options

    def check(self) -> None:
        """Raise if an option is out of range, or has no effect given the others."""
        raise NotImplementedError
