"""Encoders that the user brings: torch modules, other callables, and files, behind one interface.

Axes: N windows, T frames of the encoder, D values of a frame.
"""

import copy
import glob
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch
from torch import nn

from skasd._device import dtype_on
from skasd.features._encoder_layers import LAST, Layers
from skasd.features._exported_encoder import load_exported
from skasd.features._fingerprint import file_digest, fingerprint
from skasd.features._onnx_encoder import load_onnx
from skasd.features._transformers_encoder import load_transformers

Function = Callable[[torch.Tensor], Any]
_PICKLED = (".pt", ".pth", ".bin", ".ckpt", ".pkl", ".pickle", ".joblib", ".th", ".tar")
_LOADERS: dict[str, Callable[[Path, torch.device], Function]] = {".pt2": load_exported, ".onnx": load_onnx}
_HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")
_KINDS = (
    "a torch.nn.Module or other callable, the path of a .pt2 file of torch.export or of an .onnx file, or that of a folder "
    "of a transformers model"
)

_caught: ContextVar[list[tuple[str, Any]] | None] = ContextVar("outputs of submodules", default=None)


class Encoder(ABC):
    """From a batch of waveforms or spectrograms to the frames of some layers.

    Parameters
    ----------
    layers : Layers
        Which outputs are used.
    sample_rate : float or None
        Sample rate of the waveforms that it expects, in Hz; None if it does not say.
    """

    def __init__(self, layers: Layers, sample_rate: float | None) -> None:
        self.layers = layers
        self.sample_rate = sample_rate
        self.device = torch.device("cpu")

    @abstractmethod
    def __call__(self, batch: torch.Tensor) -> list[torch.Tensor]:
        """Frames (N, D) or (N, T, D) of each layer, of a batch (N, n_timepoints) or (N, n_mels, n_frames)."""

    @abstractmethod
    def fingerprint(self) -> str:
        """Digest of all that the output depends on; a ValueError if that cannot be seen."""

    @abstractmethod
    def to(self, device: torch.device) -> Self:
        """The encoder on a device: itself, or a copy."""

    def _moved(self, batch: torch.Tensor, dtype: torch.dtype | None = None) -> torch.Tensor:
        """The batch on the device of the encoder, in a data type that the device has."""
        return batch.to(self.device, dtype_on(self.device, batch.dtype if dtype is None else dtype))


@dataclass(frozen=True)
class _Catch:
    """A forward hook that notes the output of a submodule for the present call of the encoder."""

    name: str

    def __call__(self, module: nn.Module, args: Any, output: Any) -> None:
        caught = _caught.get()
        if caught is not None:
            caught.append((self.name, output[0] if isinstance(output, list | tuple) and output else output))


class ModuleEncoder(Encoder):
    """A torch module in evaluation mode.

    Parameters
    ----------
    module : nn.Module
        The module, which belongs to this object.
    layers : Layers
        Which outputs are used.
    forward : callable or None, default=None
        Function of the module and a batch; None calls the module.
    sample_rate : float or None, default=None
        Sample rate of the waveforms that it expects, in Hz.
    """

    def __init__(
        self,
        module: nn.Module,
        layers: Layers,
        forward: Callable[[nn.Module, torch.Tensor], Any] | None = None,
        sample_rate: float | None = None,
    ) -> None:
        super().__init__(layers, sample_rate)
        self._module = module.eval()
        self._forward = forward
        self._parts = [name for name, _ in module.named_modules() if name and name != LAST]
        for name in set(layers.names) & set(self._parts):
            module.get_submodule(str(name)).register_forward_hook(_Catch(str(name)))

    def __call__(self, batch: torch.Tensor) -> list[torch.Tensor]:
        tensors = (*self._module.parameters(), *self._module.buffers())
        dtype = next((tensor.dtype for tensor in tensors if tensor.is_floating_point()), torch.float32)
        token = _caught.set([])
        try:
            inputs = self._moved(batch, dtype)
            output = self._module(inputs) if self._forward is None else self._forward(self._module, inputs)
            caught = _caught.get() or []
        finally:
            _caught.reset(token)
        self._refuse_not_once([name for name, _ in caught])
        return self.layers.frames(output, dict(caught), self._parts)

    def _refuse_not_once(self, ran: list[str]) -> None:
        """Raise unless each submodule of the layers ran once."""
        for name in self.layers.names:
            if name in self._parts and ran.count(str(name)) != 1:
                raise ValueError(
                    f"layers contains {name!r}, a submodule that the encoder ran {ran.count(str(name))} times; name one "
                    "that it runs once"
                )

    def fingerprint(self) -> str:
        """Digest of the weights, the settings and the code of the module."""
        return fingerprint("encoder", (self._module, self._forward))

    def to(self, device: torch.device) -> Self:
        """The encoder on a device: itself, or a copy."""
        if device == self.device:
            return self
        moved = copy.deepcopy(self)
        tensors = (*moved._module.parameters(), *moved._module.buffers())
        is_kept = all(dtype_on(device, tensor.dtype) == tensor.dtype for tensor in tensors)
        moved._module.to(device, None if is_kept else torch.float32)
        moved.device = device
        return moved


class CallableEncoder(Encoder):
    """A function of a batch that is no torch module.

    Parameters
    ----------
    function : callable
        The function.
    layers : Layers
        Which outputs are used.
    """

    def __init__(self, function: Function, layers: Layers) -> None:
        super().__init__(layers, getattr(function, "sample_rate", None))
        self._function = function

    def __call__(self, batch: torch.Tensor) -> list[torch.Tensor]:
        return self.layers.frames(self._function(self._moved(batch)), {})

    def fingerprint(self) -> str:
        """Digest of the text ``fingerprint`` of the function, or of its content if that can be seen."""
        return fingerprint("encoder", self._function)

    def to(self, device: torch.device) -> Self:
        """The encoder with batches on a device."""
        other = copy.copy(self)
        other.device = device
        return other


class FileEncoder(Encoder):
    """A file that holds an encoder; it is read again after unpickling.

    Parameters
    ----------
    path : Path
        The file.
    layers : Layers
        Which outputs are used.
    """

    def __init__(self, path: Path, layers: Layers) -> None:
        super().__init__(layers, None)
        self._path = path.resolve()
        self._digest = self._read_digest()
        self._function: Function | None = _LOADERS[path.suffix.lower()](self._path, self.device)

    def __call__(self, batch: torch.Tensor) -> list[torch.Tensor]:
        function = self.to(self.device)._function
        return self.layers.frames(function(self._moved(batch)), {})  # type: ignore[misc]

    def fingerprint(self) -> str:
        """Digest of the file."""
        return self._digest

    def to(self, device: torch.device) -> Self:
        """The encoder on a device: itself, or another that reads the file again."""
        other = self if device == self.device else copy.copy(self)
        if other is not self or self._function is None:
            self._refuse_changed()
            other.device, other._function = device, _LOADERS[self._path.suffix.lower()](self._path, device)
        return other

    def _read_digest(self) -> str:
        """Digest of the file, and of files beside it that hold its weights, such as ``model.onnx.data``."""
        return file_digest(
            path for path in self._path.parent.glob(f"{glob.escape(self._path.name)}*") if path.is_file()
        )

    def _refuse_changed(self) -> None:
        if not self._path.is_file():
            raise FileNotFoundError(f"encoder={str(self._path)!r} is gone; put the file back, or fit with another one.")
        if self._read_digest() != self._digest:
            raise ValueError(f"encoder={str(self._path)!r} has changed since fit; fit again to use the new file.")

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_function": None}  # sessions cannot be pickled


class TransformersEncoder(Encoder):
    """A model of the transformers library; it is read again after unpickling, since its hooks cannot be pickled.

    Parameters
    ----------
    name : str
        Folder, or name on the hub.
    layers : Layers
        Which outputs are used.
    """

    def __init__(self, name: str, layers: Layers) -> None:
        self._name = str(Path(name).resolve()) if Path(name).is_dir() else name
        self._model: ModuleEncoder | None = _model_of(self._name, layers)
        super().__init__(layers, self._model.sample_rate)
        self._digest = self._model.fingerprint()

    def __call__(self, batch: torch.Tensor) -> list[torch.Tensor]:
        return self.to(self.device)._model(batch)  # type: ignore[misc]

    def fingerprint(self) -> str:
        """Digest of the weights and settings of the model, as they were read."""
        return self._digest

    def to(self, device: torch.device) -> Self:
        """The encoder on a device: itself, or another that reads the model again."""
        other = self if device == self.device else copy.copy(self)
        if other is not self or self._model is None:
            model = _model_of(self._name, self.layers)
            if model.fingerprint() != self._digest:
                raise ValueError(f"encoder={self._name!r} has changed since fit; fit again to use the new model.")
            other.device, other._model = device, model.to(device)
        return other

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_model": None}

    def check_kept(self) -> None:
        """Raise unless the model is in a folder: a model file must not lead to a download."""
        if not Path(self._name).is_dir():
            raise ValueError(
                f"the encoder {self._name!r} is no folder on this machine; save it in one, and fit with that"
            )


def _model_of(name: str, layers: Layers) -> ModuleEncoder:
    loaded = load_transformers(name, is_folder=Path(name).is_dir(), hidden_states=layers.has_numbers)
    return ModuleEncoder(loaded[0], layers, *loaded[1:])


def encoder_of(encoder: Any, layers: Layers, *, trust_hub: bool) -> Encoder:
    """Encoder of a parameter, ready to compute on the CPU.

    Parameters
    ----------
    encoder : torch.nn.Module, callable, path or str
        Value of the parameter. Modules and callables are copied.
    layers : Layers
        Which outputs are used.
    trust_hub : bool
        Whether a name may be looked up on the hub of Hugging Face.

    Raises
    ------
    TypeError, ValueError, FileNotFoundError
        If it is something else, a file that is not there, or one whose format can run code.
    """
    is_path = isinstance(encoder, str | os.PathLike)
    if trust_hub and not (is_path and not Path(encoder).exists()):
        raise ValueError(
            f"trust_hub=True has no effect with encoder={encoder!r}, which is no name of a model on the hub."
        )
    if is_path:
        return _from_path(Path(encoder).expanduser(), os.fspath(encoder), layers, trust_hub)
    if isinstance(encoder, type) or not callable(encoder):
        what = f"the class {encoder.__name__}" if isinstance(encoder, type) else f"a {type(encoder).__name__}"
        raise TypeError(f"encoder={encoder!r} is {what}; {_KINDS} is expected.")
    try:
        own = copy.deepcopy(encoder)
    except Exception as error:  # of a class that we do not know
        raise TypeError(
            f"encoder={encoder!r} cannot be copied ({type(error).__name__}: {error}); a method __deepcopy__ of its class, "
            "or saving it to a file, helps."
        ) from error
    if isinstance(own, nn.Module):
        return ModuleEncoder(own.cpu(), layers, sample_rate=getattr(own, "sample_rate", None))
    return CallableEncoder(own, layers)


def _from_path(path: Path, name: str, layers: Layers, trust_hub: bool) -> Encoder:
    if path.suffix.lower() in _PICKLED:
        raise ValueError(
            f"encoder={name!r} is a {path.suffix} file, which is a pickle: loading it can run any code that its author put "
            "into it. If you trust the author, load it yourself and give the module; or save it with torch.export or as "
            "ONNX."
        )
    if path.is_dir():
        if not (path / "config.json").is_file():
            raise ValueError(
                f"encoder={name!r} is a folder without config.json; that of a transformers model is expected."
            )
    elif path.is_file():
        if path.suffix.lower() not in _LOADERS:
            raise ValueError(f"encoder={name!r} is a file of an unknown format; {_KINDS} is expected.")
        return FileEncoder(path, layers)
    elif path.suffix.lower() in _LOADERS or not _HUB_NAME.fullmatch(name):
        raise FileNotFoundError(f"encoder={name!r} does not exist; {_KINDS} is expected.")
    elif not trust_hub:
        raise ValueError(
            f"encoder={name!r} is no file or folder here. If it is the name of a model on the hub of Hugging Face, set "
            "trust_hub=True to download and use it, or download it yourself and give the folder."
        )
    return TransformersEncoder(str(path) if path.is_dir() else name, layers)
