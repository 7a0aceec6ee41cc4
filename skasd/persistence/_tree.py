"""Objects as a tree that JSON can hold, and back.

Each kind of object has a function that writes it as a node, a dict whose first key names the kind, and one that reads it.
Numbers, texts and None stand for themselves. Lists, dicts, arrays and objects have a number, so that what is shared between
two places, or refers to itself, is written once.
"""

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

Node = Any  # None, bool, int, float, str, or dict of nodes
_PLAIN = (type(None), bool, int, str)
_KINDS = {
    "_containers": ("dict", "float", "frozenset", "list", "path", "set", "slice", "tuple"),
    "_arrays": ("array", "dtype", "generator", "objects", "scalar"),
    "_sklearn_parts": ("decision_tree", "neighbors"),
    "_tensors": ("module", "tensor", "torch"),
    "_objects": ("class", "function", "object", "partial"),
}
_MODULE_OF_KIND = {kind: module for module, kinds in _KINDS.items() for kind in kinds}
_UNNUMBERED = (tuple, frozenset, float, np.generic, np.dtype)  # they cannot change, so copies of them are as good


class Writer:
    """Writes objects as nodes.

    Attributes
    ----------
    arrays : dict of str to ndarray
        Arrays of numbers that were met, by the names that the nodes refer to.
    """

    def __init__(self) -> None:
        self.arrays: dict[str, np.ndarray] = {}
        self._numbers: dict[int, int] = {}
        self._alive: list[Any] = []  # an object that is gone would leave its id to another

    def node(self, value: Any, where: str) -> Node:
        """Node of an object.

        Parameters
        ----------
        value : Any
            The object.
        where : str
            Where it was found, for messages.
        """
        if type(value) in _PLAIN:
            return value
        if isinstance(value, _UNNUMBERED):
            return self._written(value, where)
        if id(value) in self._numbers:
            return {"same": self._numbers[id(value)]}
        number = self._numbers[id(value)] = len(self._alive)
        self._alive.append(value)
        return {**self._written(value, where), "id": number}

    def _written(self, value: Any, where: str) -> Node:
        for module in _KINDS:
            node = _module(module).written(value, self, where)
            if node is not None:
                return node
        raise TypeError(
            f"{where} is {_described(value)}, which a model file cannot keep: it holds what skasd and scikit-learn define, "
            "arrays and plain values, and no code of others. Leave it out, or use pickle or joblib."
        )

    def keep(self, array: np.ndarray) -> str:
        """Keep an array of numbers for the file.

        Parameters
        ----------
        array : ndarray
            An array.

        Returns
        -------
        name : str
            Its name in the file.
        """
        name = str(len(self.arrays))
        self.arrays[name] = np.ascontiguousarray(array).reshape(array.shape)
        return name


class Reader:
    """Makes objects of nodes.

    Parameters
    ----------
    get_array : callable
        Function from the name of an array to the array.
    """

    def __init__(self, get_array: Callable[[str], np.ndarray]) -> None:
        self._get_array = get_array
        self._known: dict[int, Any] = {}
        self._used: set[str] = set()

    def value(self, node: Node) -> Any:
        """Object of a node; raises ValueError if there is none.

        Parameters
        ----------
        node : Any
            A node.
        """
        if type(node) is not dict:
            if type(node) in (*_PLAIN, float):
                return node
            raise ValueError(f"it has a {type(node).__name__} in place of a value")
        kind = next(iter(node), "")
        if kind == "same":
            return self._known[node["same"]]
        if kind not in _MODULE_OF_KIND:
            raise ValueError(f"it has a value of the unknown kind {kind!r}")
        value = _module(_MODULE_OF_KIND[kind]).READERS[kind](node, self)
        self.know(node, value)
        return value

    def know(self, node: Node, value: Any) -> None:
        """Remember the object of a node; called before its parts are read if these may refer to it.

        Parameters
        ----------
        node : dict
            The node.
        value : Any
            The object, be it still empty.
        """
        if "id" in node:
            if isinstance(value, _UNNUMBERED):
                raise ValueError(f"it has a number for a {type(value).__name__}, which needs none")
            self._known[node["id"]] = value

    def array(self, name: Any) -> np.ndarray:
        """Copy of an array of the file.

        Parameters
        ----------
        name : str
            Its name.
        """
        if name in self._used:
            raise ValueError(f"it names the array {name!r} twice")
        self._used.add(name)
        return np.array(self._get_array(str(name)))


def _module(name: str) -> Any:
    return import_module(f"skasd.persistence.{name}")


def _described(value: Any) -> str:
    if isinstance(value, type):
        return f"the class {value.__module__}.{value.__qualname__}"
    if callable(value) and hasattr(value, "__qualname__"):
        return f"the function {value.__module__}.{value.__qualname__}"
    return f"of the class {type(value).__module__}.{type(value).__qualname__}"
