"""NumPy arrays, data types and random generators in model files."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from skasd.persistence._tree import Node, Reader, Writer

_NUMBERS = "biuf"  # kinds of data type that the container holds
_UNICODE_SIZE, _LAST_CHARACTER = 4, 0x10FFFF
_MT19937_WORDS, _PHILOX_WORDS = 624, 4  # sizes of buffers, in which the state of a generator has a position
_BIT_GENERATORS = {"MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64"}


def written(value: Any, writer: "Writer", where: str) -> "Node":
    """Node of an array, a number of NumPy, a data type or a random generator; None for other objects."""
    if type(value) is np.ndarray:
        return _written_array(value, writer, where)
    if isinstance(value, np.generic) and value.dtype.kind in _NUMBERS + "cU":
        return {"scalar": _written_array(np.asarray(value), writer, where)}
    if isinstance(value, np.dtype) and value.kind in _NUMBERS + "cUO":
        return {"dtype": value.str}
    if isinstance(value, (np.random.RandomState, np.random.Generator)):
        bits = value._bit_generator if isinstance(value, np.random.RandomState) else value.bit_generator
        state = value.get_state(legacy=False) if isinstance(value, np.random.RandomState) else bits.state
        return {"generator": type(value).__name__, "bits": type(bits).__name__, "state": writer.node(state, where)}
    return None


def _written_array(value: np.ndarray, writer: "Writer", where: str) -> "Node":
    value = value.astype(value.dtype.newbyteorder("="), copy=False)
    if value.dtype.kind == "O":
        items = [writer.node(item, f"{where}[{number}]") for number, item in enumerate(value.ravel())]
        return {"objects": items, "shape": list(value.shape)}
    axes = memory_order(value.strides)
    numbers = np.ascontiguousarray(value.transpose(axes)).reshape([value.shape[axis] for axis in axes])
    if value.dtype.kind == "U":
        numbers = numbers.reshape(-1).view(np.uint32).reshape(*numbers.shape, value.dtype.itemsize // _UNICODE_SIZE)
    elif value.dtype.kind == "c":
        numbers = numbers.reshape(-1).view(value.real.dtype).reshape(*numbers.shape, 2)
    elif value.dtype.kind not in _NUMBERS or value.dtype.itemsize > 8:
        raise TypeError(f"{where} is an array of {value.dtype}, which a model file cannot keep.")
    return {"array": writer.keep(numbers), "axes": axes, "kind": value.dtype.kind}


def memory_order(strides: tuple[int, ...]) -> list[int]:
    """Axes of an array from the slowest to the fastest in memory, as sums may depend on this order.

    Parameters
    ----------
    strides : tuple of int
        Strides of the array.
    """
    return sorted(range(len(strides)), key=lambda axis: (-strides[axis], axis))


def _read_array(node: "Node", reader: "Reader") -> np.ndarray:
    numbers, axes = reader.array(node["array"]), [int(axis) for axis in node["axes"]]
    if node["kind"] == "U":
        if numbers.dtype != np.uint32 or (numbers.size and numbers.max() > _LAST_CHARACTER):
            raise ValueError("it has texts that are none")
        numbers = numbers.reshape(-1).view(f"<U{numbers.shape[-1]}").reshape(numbers.shape[:-1])
    elif node["kind"] == "c":
        numbers = numbers.reshape(-1).view(np.result_type(numbers.dtype, np.complex64)).reshape(numbers.shape[:-1])
    if sorted(axes) != list(range(numbers.ndim)):
        raise ValueError("it has an array whose axes do not fit")
    return numbers.transpose(np.argsort(axes)) if axes else numbers


def _read_objects(node: "Node", reader: "Reader") -> np.ndarray:
    items, shape = node["objects"], [int(length) for length in node["shape"]]
    if math.prod(shape) != len(items):
        raise ValueError(f"it has {len(items)} objects where {math.prod(shape)} are expected")
    value = np.empty(len(items), dtype=object)
    for position, item in enumerate(items):
        value[position] = reader.value(item)
    return value.reshape(shape)


def _read_scalar(node: "Node", reader: "Reader") -> Any:
    value = _read_array(node["scalar"], reader)
    if value.ndim:
        raise ValueError("it has an array in place of a number")
    return value[()]


def _read_generator(node: "Node", reader: "Reader") -> Any:
    if node["bits"] not in _BIT_GENERATORS or node["generator"] not in ("RandomState", "Generator"):
        raise ValueError(f"it names the random generator {node['bits']!r}, which is unknown")
    bits = getattr(np.random, node["bits"])()
    state = reader.value(node["state"])
    positions = (state["state"].get("pos", 0), state.get("buffer_pos", 0))
    if not (0 <= positions[0] <= _MT19937_WORDS and 0 <= positions[1] <= _PHILOX_WORDS):
        raise ValueError("it has a random generator in an impossible state")
    if node["generator"] == "RandomState":
        value: Any = np.random.RandomState(bits)
        value.set_state(state)
        return value
    bits.state = state
    return np.random.Generator(bits)


def _read_dtype(node: "Node", _: "Reader") -> np.dtype:
    dtype = np.dtype(str(node["dtype"]))
    if dtype.kind not in _NUMBERS + "cUO":
        raise ValueError(f"it has the data type {dtype}")
    return dtype


READERS = {
    "array": _read_array,
    "dtype": _read_dtype,
    "generator": _read_generator,
    "objects": _read_objects,
    "scalar": _read_scalar,
}
