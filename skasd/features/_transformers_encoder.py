"""Encoders in folders of the transformers library, which is imported nowhere else."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

_PREPROCESSOR = "preprocessor_config.json"


def load_transformers(
    name: str, *, is_folder: bool, hidden_states: bool
) -> tuple[nn.Module, Callable[[nn.Module, torch.Tensor], Any], float | None]:
    """Read a model of the transformers library: weights from safetensors only, and no code of the model's author.

    Parameters
    ----------
    name : str
        Folder with ``config.json``, or name of a model on the hub.
    is_folder : bool
        Whether it is a folder; nothing is looked up elsewhere then.
    hidden_states : bool
        Whether the model returns its hidden states.

    Returns
    -------
    module : nn.Module
        The model; only the encoder of an encoder and decoder.
    forward : callable
        Function of the module and a batch of waveforms.
    sample_rate : float or None
        Sample rate that the feature extractor of the model expects, in Hz.

    Raises
    ------
    ImportError
        If transformers is not installed.
    ValueError
        If the model cannot be read.
    """
    try:
        import transformers
    except ImportError as error:
        raise ImportError(
            f"encoder={name!r} needs the packages transformers and safetensors: pip install 'skasd[transformers]'."
        ) from error
    where = {"local_files_only": is_folder, "trust_remote_code": False}
    try:
        with _no_progress_bar(transformers.utils.logging):
            model = transformers.AutoModel.from_pretrained(name, use_safetensors=True, **where)
        has_extractor = not is_folder or (Path(name).expanduser() / _PREPROCESSOR).is_file()
        extractor = transformers.AutoFeatureExtractor.from_pretrained(name, **where) if has_extractor else None
    except Exception as error:  # of many kinds: no weights in safetensors, an unknown type, code of its author
        raise ValueError(
            f"encoder={name!r} cannot be read by transformers ({type(error).__name__}: {error}). The folder needs "
            "config.json and weights in model.safetensors; code of the model's author is not run."
        ) from error
    if model.config.is_encoder_decoder:
        model = model.get_encoder()
    sample_rate = getattr(extractor, "sampling_rate", None)
    return model, _Forward(extractor, sample_rate, hidden_states), sample_rate


@contextmanager
def _no_progress_bar(settings: Any) -> Iterator[None]:
    was_enabled = settings.is_progress_bar_enabled()
    settings.disable_progress_bar()
    try:
        yield
    finally:
        if was_enabled:
            settings.enable_progress_bar()


@dataclass(frozen=True)
class _Forward:
    """The feature extractor of a model, if any, then the model."""

    extractor: Any
    sample_rate: int | None
    hidden_states: bool

    def __call__(self, module: nn.Module, batch: torch.Tensor) -> Any:
        settings = {"output_hidden_states": self.hidden_states, "return_dict": True}
        if self.extractor is None:
            return module(batch, **settings)
        waveforms = list(batch.float().cpu().numpy())
        features = self.extractor(waveforms, sampling_rate=self.sample_rate, return_tensors="pt")
        inputs = {name: _like(values, batch) for name, values in features.items()}
        return module(**inputs, **settings)


def _like(values: torch.Tensor, batch: torch.Tensor) -> torch.Tensor:
    """Values on the device of the batch, and in its data type if they are no integers."""
    return values.to(batch.device, batch.dtype if values.is_floating_point() else None)
