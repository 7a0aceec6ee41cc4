"""Which outputs of an encoder are used, and where their axis of time is.

Axes: N windows, T frames of the encoder, D values of a frame.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

LAST = "last"
TIME_AXES = (1, 2, -1)
_MAIN = "last_hidden_state"
_HIDDEN = "hidden_states"
_MOST_NAMES = 12  # that a message lists


def layer_names(layers: Any) -> tuple[str | int, ...]:
    """Layers of a parameter as a tuple, each of them checked.

    Parameters
    ----------
    layers : str, int, or sequence of str and int
        Value of the parameter.

    Returns
    -------
    names : tuple of str or int
        The layers.

    Raises
    ------
    TypeError, ValueError
        If `layers` is something else, empty, or names a layer twice.
    """
    names = tuple(layers) if isinstance(layers, list | tuple | np.ndarray) else (layers,)
    for name in names:
        if isinstance(name, bool) or not isinstance(name, str | int | np.integer):
            raise TypeError(
                f"layers={layers!r} contains {name!r}, a {type(name).__name__}; 'last', the number or name of a layer, or a "
                "sequence of them is expected."
            )
    if not names:
        raise ValueError("layers is empty; name one or more layers, or use 'last'.")
    if len(set(names)) < len(names):
        raise ValueError(f"layers={layers!r} contains a layer twice; name each once.")
    return tuple(name if isinstance(name, str) else int(name) for name in names)


@dataclass(frozen=True)
class Layers:
    """Which outputs of an encoder are used.

    Parameters
    ----------
    names : tuple of str or int
        ``"last"``, numbers of hidden states, and names of outputs or submodules.
    time_axis : {1, 2, -1}
        Axis of time of each output.
    """

    names: tuple[str | int, ...]
    time_axis: int

    @property
    def has_numbers(self) -> bool:
        """Whether hidden states are asked for by their number."""
        return any(isinstance(name, int) for name in self.names)

    def frames(self, output: Any, caught: Mapping[str, Any], known: Sequence[str] = ()) -> list[torch.Tensor]:
        """Frames of each layer.

        Parameters
        ----------
        output : tensor, array, mapping or sequence
            What the encoder returned.
        caught : mapping of str to object
            Outputs of submodules, by name.
        known : sequence of str, default=()
            Names of the submodules that there are, for messages.

        Returns
        -------
        frames : list of Tensor of shape (N, D) or (N, T, D), float32, on the CPU
            One for each layer.

        Raises
        ------
        TypeError, ValueError
            If a layer is unknown, or no tensor of real numbers with two or three axes.
        """
        return [self._as_frames(_tensor(self._picked(output, caught, known, name), name), name) for name in self.names]

    def _picked(self, output: Any, caught: Mapping[str, Any], known: Sequence[str], name: str | int) -> Any:
        if name in caught:
            return caught[str(name)]
        if isinstance(output, Mapping):
            return _of_mapping(output, known, name)
        if isinstance(output, list | tuple) and not isinstance(name, str):
            return _numbered(output, name)
        if name != LAST:
            what = f"a sequence of {len(output)} outputs" if isinstance(output, list | tuple) else "a single output"
            raise ValueError(f"layers contains {name!r}, but the encoder returns {what}{_listed(known)}; use 'last'.")
        return output[-1] if isinstance(output, list | tuple) and output else output

    def _as_frames(self, values: torch.Tensor, name: str | int) -> torch.Tensor:
        n_axes = values.ndim
        if n_axes == 2:
            return values
        if n_axes != 3 and not (n_axes == 4 and self.time_axis != 1):
            raise ValueError(
                f"the encoder returns shape {tuple(values.shape)} for layers={name!r}; (n_windows, n_values) or (n_windows, "
                "n_frames, n_values) is expected, or, with time_axis=2 or -1, channels and bands beside time"
            )
        return values.movedim(self.time_axis, 1).flatten(start_dim=2)


def _of_mapping(output: Mapping[str, Any], known: Sequence[str], name: str | int) -> Any:
    """An output by its name, a hidden state by its number, or the only output."""
    given = {key: value for key, value in output.items() if value is not None}
    if isinstance(name, int):
        return _numbered(given[_HIDDEN] if _HIDDEN in given else list(given.values()), name)
    if name != LAST:
        if name not in given:
            raise ValueError(f"layers contains {name!r}, but the encoder returns {sorted(given)}{_listed(known)}.")
        return given[name]
    if _MAIN in given or len(given) == 1:
        return given[_MAIN] if _MAIN in given else next(iter(given.values()))
    raise ValueError(f"the encoder returns {sorted(given)}; set layers to one or more of them, since none is the last")


def _numbered(outputs: Sequence[Any], number: int) -> Any:
    if not -len(outputs) <= number < len(outputs):
        raise ValueError(
            f"layers contains {number}, but the encoder has {len(outputs)} outputs, 0 to {len(outputs) - 1} (or hidden "
            "states, with the input of the first layer as number 0)."
        )
    return outputs[number]


def _listed(known: Sequence[str]) -> str:
    if not known:
        return ""
    shown = ", ".join(map(repr, known[:_MOST_NAMES])) + (", ..." if len(known) > _MOST_NAMES else "")
    return f" and has the submodules {shown}"


def _tensor(values: Any, name: str | int) -> torch.Tensor:
    """An output as a float32 tensor on the CPU."""
    if isinstance(values, np.ndarray | np.generic):
        values = torch.from_numpy(np.array(values))
    if not isinstance(values, torch.Tensor):
        raise TypeError(
            f"the encoder returns a {type(values).__name__} for layers={name!r}; a tensor, or a sequence or dict of tensors "
            "of which layers picks some, is expected"
        )
    if values.is_complex() or values.dtype == torch.bool:
        raise ValueError(f"the encoder returns {values.dtype} values for layers={name!r}; real numbers are expected")
    return values.detach().to("cpu", torch.float32)
