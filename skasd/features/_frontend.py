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
    """What a detector or transformer makes spectrograms with.

    Parameters
    ----------
    frontend : LogMelTransformer, torch.nn.Module, callable or None
        None takes the default. A module gets a tensor of shape (1, n_timepoints) and gives (1, n_bands, n_frames); it is
        copied, put into evaluation mode and not trained. Another callable gets an array (n_timepoints,) and gives
        (n_bands, n_frames). Their attributes ``sample_rate`` (16000 without it), ``hop_length`` and ``frequencies`` (the
        centres of the bands, in Hz) are used if they have them.
    default : LogMelTransformer
        Front end of the publication.

    Raises
    ------
    TypeError
        It is none of these.
    ValueError
        A parameter of it is out of range.
    """
    if frontend is None:
        frontend = default
    if isinstance(frontend, LogMelTransformer):
        return frontend._as_frontend()
    if isinstance(frontend, type) or not callable(frontend):
        what = f"the class {frontend.__name__}" if isinstance(frontend, type) else f"a {type(frontend).__name__}"
        raise TypeError(
            f"frontend={frontend!r} is {what}; a LogMelTransformer, a torch module or another callable from waveforms to "
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
    """Whether it is a torch module, found by its methods so that torch is not needed to know."""
    return hasattr(frontend, "state_dict") and hasattr(frontend, "eval")


def _module_function(module: Any) -> "_ModuleFunction":
    return _ModuleFunction(copy.deepcopy(module).cpu().eval())


@dataclass(frozen=True)
class _ModuleFunction:
    """A torch module as a function of a waveform (n_timepoints,), in its own precision."""

    module: Any

    def __call__(self, waveform: np.ndarray) -> np.ndarray:
        import torch  # only here, so that other front ends start without it

        first = next(self.module.parameters(), None)
        dtype = torch.float32 if first is None else first.dtype
        with torch.inference_mode():
            output = self.module(torch.from_numpy(np.array(waveform))[None].to(dtype))
        return output.numpy()[0].astype(waveform.dtype)


@dataclass(frozen=True)
class _Checked:
    """A function of a waveform whose output is refused unless it is a spectrogram of finite numbers."""

    function: Callable[[np.ndarray], Any]

    def __call__(self, waveform: np.ndarray) -> np.ndarray:
        spectrogram = np.asarray(self.function(waveform))
        if spectrogram.ndim != 2 or 0 in spectrogram.shape:
            raise ValueError(
                f"gives a spectrogram of shape {spectrogram.shape} with the front end given; (n_bands, n_frames) is expected"
            )
        if not np.isfinite(spectrogram).all():
            raise ValueError("gives NaN or infinity with the front end given")
        return spectrogram.astype(waveform.dtype, copy=False)


@dataclass(frozen=True)
class _Known:
    """The centres of the bands, whatever their number is said to be."""

    centers: np.ndarray

    def __call__(self, n_bands: int) -> np.ndarray:
        if self.centers.shape != (n_bands,):
            raise ValueError(
                f"frontend.frequencies has shape {self.centers.shape}; the centres of {n_bands} bands, in Hz, are expected."
            )
        return self.centers
