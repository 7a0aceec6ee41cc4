"""Estimators and other objects of the classes in the closed list."""

import functools
from typing import TYPE_CHECKING, Any

from skasd.persistence._checks import check_shapes
from skasd.persistence._classes import class_named, function_named, name_of

if TYPE_CHECKING:
    from skasd.persistence._tree import Node, Reader, Writer


def written(value: Any, writer: "Writer", where: str) -> "Node":
    """Node of an object, a class or a function that is in the list; None for others."""
    if type(value) is functools.partial:
        parts = {"args": list(value.args), "keywords": value.keywords}
        return {
            "partial": writer.node(value.func, where),
            **{key: writer.node(part, where) for key, part in parts.items()},
        }
    name = name_of(value) if callable(value) and hasattr(value, "__qualname__") else None
    if name is not None:
        return {"class" if isinstance(value, type) else "function": name}
    name = name_of(type(value))
    if name is None:
        return None
    _check_kept(value)
    return {"object": name, "state": written_state(_state(value), writer, where)}


def written_state(state: dict[str, Any], writer: "Writer", where: str) -> dict[str, "Node"]:
    """Nodes of the attributes of an object."""
    return {name: writer.node(part, f"{where}.{name}") for name, part in state.items()}


def read_state(node: "Node", reader: "Reader", cls: type) -> dict[str, Any]:
    """Attributes of an object of a class."""
    for name in node["state"]:
        if not name.isidentifier() or name.startswith("__") or callable(getattr(cls, name, None)):
            raise ValueError(f"it has an attribute {name!r}, which {cls.__name__} does not have")
    return {name: reader.value(part) for name, part in node["state"].items()}


def _check_kept(value: Any) -> None:
    """Have an object say whether it may be in a model file, where its class alone does not."""
    if hasattr(type(value), "check_kept"):
        type(value).check_kept(value)  # and not an attribute of that name


def _state(value: Any) -> dict[str, Any]:
    if "__getstate__" in vars(type(value)) and type(value).__module__.startswith("skasd."):
        return value.__getstate__()
    return vars(value)


def _read_object(node: "Node", reader: "Reader") -> Any:
    cls = class_named(node["object"])
    value = cls.__new__(cls)
    reader.know(node, value)
    vars(value).update(read_state(node, reader, cls))
    _check_kept(value)
    check_shapes(value)
    return value


def _read_partial(node: "Node", reader: "Reader") -> Any:
    function = reader.value(node["partial"])
    if function is not function_named(name_of(function)):
        raise ValueError("it has something in place of a function")
    return functools.partial(function, *reader.value(node["args"]), **reader.value(node["keywords"]))


READERS = {
    "class": lambda node, _: class_named(node["class"]),
    "function": lambda node, _: function_named(node["function"]),
    "object": _read_object,
    "partial": _read_partial,
}
