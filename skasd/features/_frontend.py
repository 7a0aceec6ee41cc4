"""The `frontend` of an estimator: a LogMelTransformer, a torch module, or any function from a waveform to a spectrogram."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from skasd._parameters import check_integer
from skasd.clips import ClipReader
from skasd.features._log_mel import LogMelTransformer
from skasd.inputs._frontend import Frontend

_SAMPLE_RATE = 16000


def osscl_frontend() -> LogMelTransformer:
    """Front end of OS-SCL: 128 Slaney bands, 2048 / 512 samples, padded with zeros, short clips repeated."""
    return LogMelTransformer(n_fft=2048, hop_length=512, n_mels=128, pad_mode="constant", short_clips="tile")


def twfr_frontend() -> LogMelTransformer:
    """Front end of TWFR: 128 HTK bands without norm, 1024 / 512 samples."""
    return LogMelTransformer(norm=None, mel_scale="htk")


def frontend_of(frontend: Any, default: LogMelTransformer) -> Frontend:
    """Front end of a detector or transformer, which computes its spectrograms.

    Parameters
    ----------
    frontend : LogMelTransformer, torch.nn.Module, callable or None
        None uses the default. A module maps a tensor of shape (1, n_timepoints) to (1, n_bands, n_frames); it is copied, put
        into evaluation mode and not trained. Any other callable maps an array (n_timepoints,) to (n_bands, n_frames). Its
        attributes ``sample_rate`` (16000 if missing), ``hop_length`` and ``frequencies`` (the centres of the bands, in Hz)
        are used if they exist.
    default : LogMelTransformer
        Front end of the publication.

    Raises
    ------
    TypeError
        If `frontend` is none of these.
    ValueError
        If a parameter of the front end is out of range.
    """
    if frontend is None:
        frontend = default
    if isinstance(frontend, LogMelTransformer):
        return frontend._as_frontend()
    if isinstance(frontend, type) or not callable(frontend):
        what = f"the class {frontend.__name__}" if isinstance(frontend, type) else f"a {type(frontend).__name__}"
        raise TypeError(
            f"frontend={frontend!r} is {what}; a LogMelTransformer, a torch module or other callable that maps waveforms to "
            "spectrograms, or None is expected."
        )
    sample_rate = getattr(frontend, "sample_rate", _SAMPLE_RATE)
    check_integer("frontend.sample_rate", sample_rate, low=1)
    known = getattr(frontend, "frequencies", None)
    return Frontend(
        ClipReader(int(sample_rate)),
        _Checked(_module_function(frontend) if _is_module(frontend) else frontend),
        frequencies=None if known is None else _Known(np.asarray(known, dtype=float)),
        hop_length=getattr(frontend, "hop_length", None),
    )


def _is_module(frontend: Any) -> bool:
    """Whether the front end is a torch module, recognised by its methods to avoid importing torch."""
    return hasattr(frontend, "state_dict") and hasattr(frontend, "eval")


def _module_function(module: Any) -> "_ModuleFunction":
    return _ModuleFunction(copy.deepcopy(module).cpu().eval())


@dataclass(frozen=True)
class _ModuleFunction:
    """A torch module as a function of a waveform (n_timepoints,), computed in the precision of the module."""

    module: Any

    def __call__(self, waveform: np.ndarray) -> np.ndarray:
        import torch  # imported here so that other front ends do not load it

        first = next(self.module.parameters(), None)
        dtype = torch.float32 if first is None else first.dtype
        with torch.inference_mode():
            output = self.module(torch.from_numpy(np.array(waveform))[None].to(dtype))
        return output.numpy()[0].astype(waveform.dtype)


@dataclass(frozen=True)
class _Checked:
    """A function of a waveform that raises unless its output is a spectrogram of finite numbers."""

    function: Callable[[np.ndarray], Any]

    def __call__(self, waveform: np.ndarray) -> np.ndarray:
        spectrogram = np.asarray(self.function(waveform))
        if spectrogram.ndim != 2 or 0 in spectrogram.shape:
            raise ValueError(
                f"the front end returns a spectrogram of shape {spectrogram.shape}; (n_bands, n_frames) is expected"
            )
        if not np.isfinite(spectrogram).all():
            raise ValueError("the front end returns NaN or infinity")
        return spectrogram.astype(waveform.dtype, copy=False)


@dataclass(frozen=True)
class _Known:
    """Known centres of the bands, which raises if another number of bands is asked for."""

    centers: np.ndarray

    def __call__(self, n_bands: int) -> np.ndarray:
        if self.centers.shape != (n_bands,):
            raise ValueError(
                f"frontend.frequencies has shape {self.centers.shape}; the centres of {n_bands} bands, in Hz, are expected."
            )
        return self.centers
