"""Compiled parts of scikit-learn: search trees, which are built anew, and decision trees, whose nodes are checked."""

from typing import TYPE_CHECKING, Any

import numpy as np

from skasd.persistence._checks import check_shapes
from skasd.persistence._classes import class_named, name_of
from skasd.persistence._objects import read_state, written_state

if TYPE_CHECKING:
    from skasd.persistence._tree import Node, Reader, Writer

_OWNERS = ("KernelDensity", "LocalOutlierFactor", "NearestNeighbors")
_ATTRIBUTES = ("_tree", "tree_")
_LEAF = -1
_NODE_FIELDS = (
    ("left_child", "<i8"),
    ("right_child", "<i8"),
    ("feature", "<i8"),
    ("threshold", "<f8"),
    ("impurity", "<f8"),
    ("n_node_samples", "<i8"),
    ("weighted_n_node_samples", "<f8"),
    ("missing_go_to_left", "u1"),
)


def written(value: Any, writer: "Writer", where: str) -> "Node":
    """Node of an estimator with a search tree, or of a decision tree; None for other objects."""
    kind = type(value)
    if kind.__module__ == "sklearn.tree._tree" and kind.__name__ == "Tree":
        return _written_decision_tree(value, writer, where)
    name = name_of(kind) if kind.__module__.startswith("sklearn.neighbors.") else None
    attribute = (
        next((attribute for attribute in _ATTRIBUTES if vars(value).get(attribute) is not None), None) if name else None
    )
    if name is None or attribute is None:
        return None
    state, tree = dict(vars(value)), vars(value)[attribute]
    del state[attribute]
    weight = None if tree.sample_weight is None else np.asarray(tree.sample_weight)
    parts = {
        "kind": type(tree).__name__,
        "data": writer.node(np.asarray(tree.data), where),
        "weight": writer.node(weight, where),
    }
    return {"neighbors": name, "state": written_state(state, writer, where), "attribute": attribute, "tree": parts}


def _read_neighbors(node: "Node", reader: "Reader") -> Any:
    cls = class_named(node["neighbors"])
    if cls.__name__ not in _OWNERS or node["attribute"] not in _ATTRIBUTES:
        raise ValueError(f"it has a search tree in {node['neighbors']}")
    value = cls.__new__(cls)
    reader.know(node, value)
    vars(value).update(read_state(node, reader, cls))
    check_shapes(value)
    setattr(value, node["attribute"], _search_tree(value, node["tree"], reader))
    return value


def _search_tree(owner: Any, parts: "Node", reader: "Reader") -> Any:
    """Search tree as its owner builds it when it is fitted."""
    from sklearn import neighbors

    if parts["kind"].removesuffix("32") not in ("BallTree", "KDTree"):
        raise ValueError(f"it has a search tree of the kind {parts['kind']!r}")
    build = getattr(neighbors, parts["kind"], None) or getattr(
        neighbors._kd_tree if parts["kind"].startswith("KD") else neighbors._ball_tree, parts["kind"]
    )
    metric = getattr(owner, "effective_metric_", owner.metric)
    options = getattr(owner, "effective_metric_params_", owner.metric_params) or {}
    data, weight = reader.value(parts["data"]), reader.value(parts["weight"])
    return build(
        data,
        metric=metric,
        leaf_size=owner.leaf_size,
        **({} if weight is None else {"sample_weight": weight}),
        **options,
    )


def _written_decision_tree(tree: Any, writer: "Writer", where: str) -> "Node":
    _, (n_features, n_classes, n_outputs), state = tree.__reduce__()
    nodes = state["nodes"]
    if nodes.dtype.names != tuple(name for name, _ in _NODE_FIELDS):
        raise TypeError(
            f"{where} is a decision tree of a version of scikit-learn that is not known: {nodes.dtype.names}."
        )
    return {
        "decision_tree": [int(n_features), int(n_outputs)],
        "n_classes": writer.node(np.asarray(n_classes), where),
        "nodes": {name: writer.node(np.ascontiguousarray(nodes[name]), where) for name in nodes.dtype.names},
        "values": writer.node(state["values"], where),
    }


def _read_decision_tree(node: "Node", reader: "Reader") -> Any:
    from sklearn.tree._tree import NODE_DTYPE, Tree

    n_features, n_outputs = map(int, node["decision_tree"][:2])
    columns = {name: np.asarray(reader.value(node["nodes"][name]), dtype=dtype) for name, dtype in _NODE_FIELDS}
    nodes = np.zeros(len(columns["feature"]), dtype=NODE_DTYPE)
    for name, column in columns.items():
        nodes[name] = column
    _check_decision_tree(nodes, n_features)
    tree = Tree(n_features, np.asarray(reader.value(node["n_classes"]), dtype=np.intp), n_outputs)
    values = np.ascontiguousarray(reader.value(node["values"]), dtype=np.float64)
    tree.__setstate__({"max_depth": _depth(nodes), "node_count": len(nodes), "nodes": nodes, "values": values})
    return tree


def _depth(nodes: np.ndarray) -> int:
    """Depth of a decision tree, on which the size of a buffer depends."""
    depth = np.zeros(len(nodes), dtype=np.int64)
    for number in np.flatnonzero(nodes["left_child"] != _LEAF):  # children come after their parents
        depth[[nodes["left_child"][number], nodes["right_child"][number]]] = depth[number] + 1
    return int(depth.max())


def _check_decision_tree(nodes: np.ndarray, n_features: int) -> None:
    """Raise unless each child is a later node and each feature exists: compiled code follows them without a look."""
    left, right = nodes["left_child"], nodes["right_child"]
    is_leaf, number = left == _LEAF, np.arange(len(nodes))
    inner = ~is_leaf
    goes_on = (left > number) & (left < len(nodes)) & (right > number) & (right < len(nodes))
    has_feature = (nodes["feature"] >= 0) & (nodes["feature"] < n_features)
    if not len(nodes) or not (goes_on & has_feature)[inner].all():
        raise ValueError("it has a decision tree whose nodes do not fit together")


READERS = {"decision_tree": _read_decision_tree, "neighbors": _read_neighbors}
