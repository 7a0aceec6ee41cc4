"""Fingerprint of an encoder or a front end: a digest that changes whenever what it computes may change."""

import hashlib
from collections.abc import Iterable, Iterator
from enum import Enum
from functools import partial
from pathlib import Path, PurePath
from types import BuiltinFunctionType, CodeType, FunctionType
from typing import Any

import numpy as np
import torch
from torch import nn

_OF_EVERY_MODULE = frozenset(vars(nn.Module()))
_HOOKS = ("_forward_hooks", "_forward_pre_hooks")
_PLAIN = (type(None), bool, int, float, complex, str, bytes, Enum, PurePath, torch.dtype, torch.device, np.dtype)
_LIBRARIES = ("skasd", "torch", "torchaudio", "transformers", "numpy", "math", "builtins")
_BLOCK = 2**24  # bytes of a file at a time


def fingerprint(name: str, value: Any) -> str:
    """Digest of an object and of everything in it: numbers, weights, and the code of modules.

    Parameters
    ----------
    name : str
        Name of the parameter that holds the object, for messages.
    value : object
        A torch module, another object made of numbers and text, or any object with a text ``fingerprint``, which is used
        in place of its content.

    Returns
    -------
    digest : str
        Hexadecimal digest.

    Raises
    ------
    ValueError
        If the object contains a function, or another object whose content cannot be seen.
    """
    digest = hashlib.sha256()
    _Feed(digest).feed(value, name)
    return digest.hexdigest()


def file_digest(paths: Iterable[Path]) -> str:
    """Digest of the names and contents of files."""
    digest = hashlib.sha256()
    for path in sorted(paths):
        digest.update(path.name.encode())
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
    return digest.hexdigest()


class _Feed:
    """Feeds objects to a digest, each with its type."""

    def __init__(self, digest: Any) -> None:
        self._digest = digest
        self._open: list[int] = []  # objects that contain the present one, in case they refer to themselves

    def feed(self, value: Any, where: str) -> None:
        """Feed one object; `where` it was found is for the message of an error."""
        if id(value) in self._open:
            self._text("itself")
            return
        self._open.append(id(value))
        self._text(f"{type(value).__module__}.{type(value).__qualname__}")
        self._content(value, where)
        self._open.pop()

    def _content(self, value: Any, where: str) -> None:
        own = getattr(value, "fingerprint", None)
        if isinstance(own, str):
            self._text(own)
        elif isinstance(value, _PLAIN):
            self._text(repr(value))
        elif isinstance(value, torch.Tensor | np.ndarray | np.generic):
            self._array(value, where)
        elif isinstance(value, dict | list | tuple | set | frozenset):
            self._container(value, where)
        elif isinstance(value, nn.Module):
            self._module(value, where)
        elif isinstance(value, partial):
            self.feed((value.func, value.args, value.keywords), where)
        elif isinstance(value, type | BuiltinFunctionType | FunctionType):
            self._named(value, where)
        else:
            self._object(value, where)

    def _container(self, value: Any, where: str) -> None:
        if isinstance(value, dict):
            for key in sorted(value, key=repr):
                self._text(repr(key))
                self.feed(value[key], f"{where}[{key!r}]")
            return
        for number, item in enumerate(sorted(value, key=repr) if isinstance(value, set | frozenset) else value):
            self.feed(item, f"{where}[{number}]")

    def _module(self, module: nn.Module, where: str) -> None:
        for name, part in module._modules.items():
            self._text(name)
            if part is not None:
                self.feed(part, f"{where}.{name}")
        self.feed({**module._parameters, **module._buffers}, where)
        for key, value in sorted(vars(module).items()):
            if key not in _OF_EVERY_MODULE:
                self._text(key)
                self.feed(value, f"{where}.{key}")
        for name in _HOOKS:
            for hook in getattr(module, name).values():
                if not _is_of_library(
                    hook
                ):  # those of libraries follow from the classes, and some come with the first call
                    self.feed(hook, f"{where}.{name}")
        self._code_of(type(module))

    def _object(self, value: Any, where: str) -> None:
        if not hasattr(value, "__dict__") or not vars(value):
            raise _unknown(value, where)
        self._code_of(type(value))
        self.feed(dict(vars(value)), where)

    def _named(self, value: Any, where: str) -> None:
        """Classes, and functions of libraries; the content of any other function depends on what it refers to."""
        module = value.__module__ or "builtins"
        if not isinstance(value, type) and not _is_of_library(value):
            raise _unknown(value, where)
        self._text(f"{module}.{value.__qualname__}")

    def _code_of(self, kind: type) -> None:
        for ancestor in kind.__mro__:
            if ancestor.__module__.split(".")[0] not in _LIBRARIES:
                for name, function in sorted(vars(ancestor).items()):
                    if isinstance(function, FunctionType):
                        self._text(name)
                        for text in _code_texts(function.__code__):
                            self._text(text)

    def _array(self, array: Any, where: str) -> None:
        self._text(f"{array.dtype}{tuple(array.shape)}")
        if isinstance(array, torch.Tensor):
            array = array.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
        elif array.dtype == object:
            raise _unknown(array, where)
        self._digest.update(np.ascontiguousarray(array).data)

    def _text(self, text: str) -> None:
        self._digest.update(f"{len(text)}:{text};".encode())


def _code_texts(code: CodeType) -> Iterator[str]:
    """What the code of a function does, without the names of files and the numbers of lines."""
    yield code.co_code.hex()
    yield repr(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _code_texts(constant)
        elif not isinstance(constant, frozenset):  # whose order differs from process to process
            yield repr(constant)


def _is_of_library(value: Any) -> bool:
    """Whether a function, or the class of another object, is part of a library whose code does not change."""
    named = value if isinstance(value, FunctionType | BuiltinFunctionType) else type(value)
    return (named.__module__ or "builtins").split(".")[0] in _LIBRARIES


def _unknown(value: Any, where: str) -> ValueError:
    return ValueError(
        f"{where} is a {type(value).__name__} whose content cannot be seen, so cached embeddings could be those of another "
        "encoder. Leave cache=None; or give the object an attribute `fingerprint`, a text that you change whenever its "
        "output changes; or use a torch.nn.Module or a file."
    )
