"""Arrays of other libraries as NumPy arrays, and samples of every type as floats."""

from typing import Any

import numpy as np

_LARGEST_SAMPLE = 1e10
_LARGEST_FEATURE = 1e16  # up to here, sums of squares stay finite in float32
_LEAST_PCM_PEAK = 128.0
_FEW_SAMPLES = 1000  # fewer may be integers by chance
_PCM = {np.dtype(name) for name in ("int8", "uint8", "int16", "int32")}


def as_numpy(X: Any) -> Any:
    """Torch tensors, Series and DataFrames as arrays, all else unchanged.

    Tensors are recognised without importing torch.
    """
    if type(X).__module__.partition(".")[0] == "torch" and hasattr(X, "detach"):
        return _tensor_values(X)
    import pandas as pd

    return X.to_numpy() if isinstance(X, pd.DataFrame | pd.Series | pd.Index) else X


def _tensor_values(tensor: Any) -> np.ndarray:
    if tensor.device.type == "meta":
        raise ValueError(
            f"X holds a tensor of shape {tuple(tensor.shape)} on the meta device, which has no values; make it on the CPU."
        )
    tensor = tensor.detach().cpu()
    try:
        return (tensor.float() if str(tensor.dtype) == "torch.bfloat16" else tensor).numpy()  # NumPy has no bfloat16
    except (TypeError, RuntimeError) as error:
        raise TypeError(
            f"X holds a tensor of dtype {tensor.dtype} and layout {tensor.layout}, which NumPy cannot hold ({error}); give "
            "a dense tensor of floats or integers."
        ) from error


def as_float(array: np.ndarray) -> np.ndarray:
    """Convert samples to floating point: integer PCM is scaled to [-1, 1), float32 and float64 stay unchanged.

    The types of PCM are int8, uint8 (128 is zero), int16 and int32, in any byte order. 64-bit and other unsigned integers
    are no types of PCM; their values are kept.
    """
    dtype = array.dtype.newbyteorder("=")
    if dtype in _PCM:
        offset, full_scale = 128 if dtype == np.uint8 else 0, 2.0 ** (8 * dtype.itemsize - 1)
        scaled = array.astype(np.float32)
        return (scaled - np.float32(offset) if offset else scaled) / np.float32(full_scale)
    if dtype in (np.float32, np.float64):
        return array.astype(dtype, copy=False)
    return array.astype(np.float32 if dtype == np.float16 else np.float64)


def checked_samples(waveform: np.ndarray) -> tuple[np.ndarray, float]:
    """The waveform and its largest magnitude; raises if it holds NaN, infinity or a sample that no sound has."""
    why = "a waveform holds samples from -1 to 1, so the clip is damaged"
    return waveform, _checked_peak(waveform, _LARGEST_SAMPLE, why)


def looks_unscaled(waveform: np.ndarray, peak: float) -> bool:
    """Whether samples look like integer PCM that was converted to float without scaling.

    They are beyond the full scale of 8 bits, or beyond 1 and all of them integers. The loudest calibrated recordings, in
    pascal, are neither.
    """
    if peak <= 1:
        return False
    return peak > _LEAST_PCM_PEAK or (len(waveform) >= _FEW_SAMPLES and bool(np.all(waveform == np.rint(waveform))))


def checked_feature(feature: np.ndarray) -> np.ndarray:
    """The feature itself; raises if it holds NaN, infinity or a value whose square is out of the range of float32."""
    _checked_peak(feature, _LARGEST_FEATURE, "its square is out of the range of float32; use levels in dB")
    return feature


def _checked_peak(values: np.ndarray, limit: float, why: str) -> float:
    peak = max(float(values.max()), -float(values.min()))
    if peak <= limit:  # false for NaN
        return peak
    if not np.isfinite(peak):
        raise ValueError(why_not_finite(values))
    position = np.unravel_index(int(np.argmax(np.abs(values))), values.shape)
    raise ValueError(f"holds a value of magnitude {peak:.3g} at {_place(position)}; {why}")


def why_not_finite(values: np.ndarray) -> str:
    """Say whether `values` holds NaN or infinity, how often, and where the first one is."""
    bad = ~np.isfinite(values)
    kind = "NaN" if np.isnan(values).any() else "infinity"
    where = _place(np.unravel_index(np.argmax(bad), values.shape))
    return f"holds {kind} ({int(bad.sum())} of {values.size} values, the first at {where})"


def _place(position: tuple) -> str:
    where = tuple(int(axis) for axis in position)
    return str(where[0] if len(where) == 1 else where)
