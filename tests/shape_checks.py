"""How the test run checks annotated types and shapes."""

import functools
from collections.abc import Callable
from typing import Any

import torch
from beartype import BeartypeConf, beartype

_CHECK = beartype(conf=BeartypeConf(is_pep484_tower=True))  # an int is accepted where a float is expected


def checked(function: Callable[..., Any]) -> Callable[..., Any]:
    """Check a function's types when it is called, except while torch compiles it: its tracer gets the checks wrong."""
    with_check = _CHECK(function)

    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        return (function if torch.compiler.is_compiling() else with_check)(*args, **kwargs)

    return wrapped
