"""ObjectiveOptions: what an objective reads from the parameters of a detector."""

from dataclasses import fields
from typing import Any, Self


class ObjectiveOptions:
    """A frozen dataclass of the parameters of a detector that its network and its losses depend on.

    The fields have the names and the defaults of the parameters; the docstring of the detector says what they mean.
    """

    @classmethod
    def of(cls, estimator: Any) -> Self:
        """Options from the parameters of an estimator, checked; groups of parameters that are None have their defaults."""
        groups = estimator._parameter_groups
        names = [field.name for field in fields(cls)]  # type: ignore[arg-type]
        values = {name: estimator._group(name) if name in groups else getattr(estimator, name) for name in names}
        options = cls(**values)
        options.check()
        return options

    def check(self) -> None:
        """Raise if an option is out of range, or has no effect with the others."""
        raise NotImplementedError
