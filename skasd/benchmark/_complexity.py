"""Size and cost of a fitted detector: parameters of its networks, and multiply-accumulate operations per clip."""

import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pandas as pd
from sklearn.base import BaseEstimator

from skasd.benchmark._ways import Score

_COPIES = ("_evaluator",)  # attributes that hold a faster copy of a network, with its batch normalisation folded
_OPAQUE = ("_Session", "CallableEncoder")  # encoders of pretrained features whose layers cannot be seen
_FLOPS_PER_MAC = 2  # a multiplication and an addition


def complexity(detector: Any, score: Score, clip: pd.DataFrame) -> dict[str, int | None]:
    """Count the parameters of a fitted detector, and the multiply-accumulate operations (MACs) of the score of a clip.

    Nothing is drawn at random and nothing is learnt, so scores before and after it are the same.

    Parameters
    ----------
    detector : estimator
        Fitted.
    score : callable
        Function from clips to ``score_samples``.
    clip : DataFrame of one row
        Clip to score.

    Returns
    -------
    counts : dict of str to int or None
        ``n_parameters`` and ``macs_per_clip``; both None for a detector without networks, or with an encoder whose layers
        torch does not see, such as an ONNX file.

    Notes
    -----
    MACs are half of the floating-point operations counted by :class:`torch.utils.flop_counter.FlopCounterMode`: those of
    matrix products, convolutions and attention. It does not count elementwise operations, such as activations and
    normalisation, recurrent layers, Fourier transforms, nor what is computed outside of torch, such as log-mels on a CPU,
    mixtures and distances to neighbours.
    """
    try:
        sizes = None if "torch" not in sys.modules else _sizes(detector)
        counts = (sum(sizes.values()), _macs(detector, score, clip)) if sizes else (None, None)
    except Exception:  # of an estimator from elsewhere, whose result is not to be lost
        counts = (None, None)
    return dict(zip(("n_parameters", "macs_per_clip"), counts, strict=True))


def _sizes(detector: Any) -> dict[int, int] | None:
    """Number of elements of each parameter by its identity; None if a part of the detector cannot be seen."""
    from torch import nn  # loaded by the detector if it has a network

    sizes: dict[int, int] = {}
    seen, left = set(), [detector]
    while left:
        part = left.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        if type(part).__name__ in _OPAQUE:
            return None
        if isinstance(part, nn.Module):
            sizes |= {id(parameter): parameter.numel() for parameter in part.parameters()}
        else:
            left += _parts(part)
    return sizes


def _parts(whole: Any) -> Iterator[Any]:
    """What an estimator, or an object of this package, keeps."""
    if isinstance(whole, Mapping):
        yield from whole.values()
    elif isinstance(whole, list | tuple):
        yield from whole
    elif isinstance(whole, BaseEstimator) or type(whole).__module__.partition(".")[0] == "skasd":
        names = {*getattr(whole, "__dict__", ()), *getattr(type(whole), "__slots__", ())} - {*_COPIES, *_given(whole)}
        yield from (getattr(whole, name, None) for name in names)


def _given(whole: Any) -> set[str]:
    """Names of parameters, of which a fit keeps copies; only a pipeline fits its own steps."""
    holds_fitted = hasattr(whole, "steps") or type(whole).__name__ == "FrozenEstimator"
    return set() if holds_fitted or not hasattr(whole, "get_params") else {*whole.get_params(deep=False)}


def _macs(detector: Any, score: Score, clip: pd.DataFrame) -> int | None:
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    attention_on_cpu = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu  # which torch leaves out
    counter = FlopCounterMode(display=False, custom_mapping={attention_on_cpu: _attention_flops})
    with warnings.catch_warnings(), _without_caches(detector):
        warnings.simplefilter("ignore")  # the same were given when all clips were scored
        try:
            with counter:
                score(clip)
        except Exception:  # of a detector that cannot score a clip alone, whose result is not to be lost
            return None
    return counter.get_total_flops() // _FLOPS_PER_MAC or None


def _attention_flops(query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
    """Operations of the attention of these shapes."""
    from torch.utils.flop_counter import sdpa_flop_count

    return int(sdpa_flop_count(query, key, value))


@contextmanager
def _without_caches(detector: Any) -> Iterator[None]:
    """Have embeddings computed that a cache may hold."""
    names = [name for name in detector.get_params() if name.rpartition("__")[2] == "cache"]
    caches = {name: detector.get_params()[name] for name in names}
    detector.set_params(**dict.fromkeys(caches))
    try:
        yield
    finally:
        detector.set_params(**caches)
