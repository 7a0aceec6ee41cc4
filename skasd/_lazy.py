"""Public names that are imported when they are first used, so that what needs no torch does not load it."""

import importlib
from collections.abc import Callable, Mapping
from typing import Any


def imported_when_used(package: str, modules: Mapping[str, str]) -> Callable[[str], Any]:
    """Make the function `__getattr__` of a package.

    Parameters
    ----------
    package : str
        Name of the package.
    modules : mapping of str to str
        Module of the package that defines each public name.

    Returns
    -------
    function : callable
        Imports the module of a name, and returns what the name stands for.
    """

    def imported(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(f"{package}.{modules[name]}"), name)

    return imported
