"""The `frontend` of an estimator: a LogMelTransformer, a torch module, or any function from a waveform to a spectrogram."""

import copy
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from skasd._parameters import check_integer, check_number
from skasd.clips import ClipReader
from skasd.features._log_mel import LogMelTransformer
from skasd.features._noise_reduced import NoiseReducedLogMel
from skasd.inputs._frontend import DECIBEL, Frontend

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
    frontend : LogMelTransformer, NoiseReducedLogMel, torch.nn.Module, callable or None
        None uses the default. All are copied, so that later changes of the object have no effect. A module maps a tensor of
        shape (1, n_timepoints) to (1, n_bands, n_frames); it is put into evaluation mode and not trained. Any other callable
        maps an array (n_timepoints,) to (n_bands, n_frames). Its
        attributes ``sample_rate`` (16000 if missing), ``hop_length``, ``frequencies`` (the centres of the bands, in Hz) and
        ``log_unit`` (the natural logarithm of the power ratio of one unit; that of a dB if missing) are used if they exist.
        It is called from several threads.
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
    if isinstance(frontend, LogMelTransformer | NoiseReducedLogMel):
        return frontend._as_frontend()  # takes the values of the parameters, not the object
    if isinstance(frontend, type) or not callable(frontend):
        what = f"the class {frontend.__name__}" if isinstance(frontend, type) else f"a {type(frontend).__name__}"
        raise TypeError(
            f"frontend={frontend!r} is {what}; a LogMelTransformer, a torch module or other callable that maps waveforms to "
            "spectrograms, or None is expected."
        )
    sample_rate = getattr(frontend, "sample_rate", _SAMPLE_RATE)
    check_integer("frontend.sample_rate", sample_rate, low=1)
    hop_length, log_unit = getattr(frontend, "hop_length", None), getattr(frontend, "log_unit", DECIBEL)
    if hop_length is not None:
        check_integer("frontend.hop_length", hop_length, low=1)
    check_number("frontend.log_unit", log_unit, low=0, above=True)
    known = getattr(frontend, "frequencies", None)
    return Frontend(
        ClipReader(int(sample_rate)),
        _Checked(_module_function(frontend) if _is_module(frontend) else _copied(frontend)),
        frequencies=None if known is None else _Known(np.array(known, dtype=float)),
        log_unit=log_unit,
        hop_length=hop_length,
    )


def _copied(frontend: Any) -> Any:
    """Copy of a front end; the object itself, with a warning, if it cannot be copied."""
    try:
        return copy.deepcopy(frontend)
    except Exception as error:  # of a class that we do not know
        warnings.warn(
            f"frontend={frontend!r} cannot be copied ({type(error).__name__}: {error}), so the object itself is used: do "
            "not change it after fit, as scores would change with it. A method __deepcopy__ of its class makes it copyable.",
            stacklevel=2,
        )
        return frontend


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

        from skasd._torch_state import own_torch_state

        tensors = (*self.module.parameters(), *self.module.buffers())
        dtype = next((tensor.dtype for tensor in tensors if tensor.is_floating_point()), torch.float32)
        with own_torch_state(), torch.inference_mode():
            output = self.module(torch.from_numpy(np.array(waveform))[None].to(dtype))
        if output.is_floating_point():  # NumPy has no bfloat16
            output = output.to(torch.promote_types(output.dtype, torch.float32))
        return output.numpy()[0]


@dataclass(frozen=True)
class _Checked:
    """A function of a waveform that raises unless its outputs are spectrograms of finite numbers with equally many bands."""

    function: Callable[[np.ndarray], Any]
    _first: dict[str, tuple[int, int]] = field(default_factory=dict)  # bands and time points of the first spectrogram

    def __call__(self, waveform: np.ndarray) -> np.ndarray:
        try:
            spectrogram = np.asarray(self.function(waveform))
        except Exception as error:  # of a function that we do not know: its clip is named, its error is kept
            what = f"{type(error).__name__}: {error}"
            raise ValueError(f"the front end fails on {len(waveform)} time points ({what})") from error
        if spectrogram.dtype.kind not in "fiu":
            raise ValueError(f"the front end returns {spectrogram.dtype} values; real numbers are expected")
        if spectrogram.ndim != 2 or 0 in spectrogram.shape:
            raise ValueError(
                f"the front end returns a spectrogram of shape {spectrogram.shape}; (n_bands, n_frames) is expected"
            )
        if not np.isfinite(spectrogram).all():
            raise ValueError("the front end returns NaN or infinity")
        n_bands, n_timepoints = self._first.setdefault("first", (len(spectrogram), len(waveform)))
        if len(spectrogram) != n_bands:
            raise ValueError(
                f"the front end returns {len(spectrogram)} bands for {len(waveform)} time points, but {n_bands} for "
                f"{n_timepoints}; the same number of bands for every clip is expected"
            )
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
