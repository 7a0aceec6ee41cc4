"""Lists, dicts, sets and the like in model files."""

import math
from collections import OrderedDict
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from skasd.persistence._tree import Node, Reader, Writer


def written(value: Any, writer: "Writer", where: str) -> "Node":
    """Node of a container, a slice, a path or a float; None for other objects."""
    kind = type(value)
    if kind is float:
        return value if math.isfinite(value) else {"float": repr(value)}
    if kind in (list, tuple, set, frozenset):
        items = sorted(value, key=repr) if kind in (set, frozenset) else value
        return {kind.__name__: [writer.node(item, f"{where}[{number}]") for number, item in enumerate(items)]}
    if kind in (dict, OrderedDict):
        pairs = [
            [writer.node(key, f"a key of {where}"), writer.node(item, f"{where}[{key!r}]")]
            for key, item in value.items()
        ]
        return {"dict": pairs, "ordered": kind is OrderedDict}
    if kind is slice:
        return {"slice": [writer.node(part, where) for part in (value.start, value.stop, value.step)]}
    return {"path": str(value)} if isinstance(value, PurePath) else None


def _read_list(node: "Node", reader: "Reader") -> list:
    value: list = []
    reader.know(node, value)
    value.extend(reader.value(item) for item in node["list"])
    return value


def _read_dict(node: "Node", reader: "Reader") -> dict:
    value: dict = OrderedDict() if node["ordered"] else {}
    reader.know(node, value)
    for key, item in node["dict"]:
        value[reader.value(key)] = reader.value(item)
    return value


READERS = {
    "dict": _read_dict,
    "float": lambda node, _: {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}[node["float"]],
    "frozenset": lambda node, reader: frozenset(reader.value(item) for item in node["frozenset"]),
    "list": _read_list,
    "path": lambda node, _: Path(node["path"]),
    "set": lambda node, reader: {reader.value(item) for item in node["set"]},
    "slice": lambda node, reader: slice(*map(reader.value, node["slice"])),
    "tuple": lambda node, reader: tuple(reader.value(item) for item in node["tuple"]),
}
