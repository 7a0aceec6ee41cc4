"""Log-mel spectrogram on the CPU: one clip at a time, a cache-sized block of frames at a time.

A block of frames is windowed, transformed, squared and pooled into mel bands while it is still in the cache; the clips
are spread over threads, since the FFT, the sparse product and the logarithm all release the interpreter lock.

Axes: F mel bands, T frames.
"""

from functools import lru_cache

import numpy as np
import scipy.fft
import scipy.sparse

from skasd._mel import MelDefinition

_BLOCK = 2**17  # samples of windowed frames at a time: 512 KiB of float32


@lru_cache(maxsize=16)
def _constants(definition: MelDefinition, dtype: np.dtype) -> tuple[np.ndarray, scipy.sparse.csr_matrix]:
    filterbank = scipy.sparse.csr_matrix(definition.filterbank().astype(dtype))
    return definition.window().astype(dtype), filterbank


def log_mel(waveform: np.ndarray, definition: MelDefinition) -> np.ndarray:
    """Log-mel spectrogram of one clip.

    Parameters
    ----------
    waveform : ndarray of shape (n_timepoints,), float32 or float64
        Clips shorter than `definition.shortest` are filled up with zeros.
    definition : MelDefinition
        Window, filters, framing and logarithm.

    Returns
    -------
    spectrogram : ndarray of shape (n_mels, n_frames)
        Levels in dB, or natural logarithms; of the dtype of `waveform`.

    Raises
    ------
    ValueError
        If energies overflow.
    """
    window, filterbank = _constants(definition, waveform.dtype)
    frames = np.lib.stride_tricks.sliding_window_view(definition.padded(waveform), definition.n_fft)
    frames = frames[:: definition.hop_length]
    n_frames = len(frames)
    step = min(n_frames, max(1, _BLOCK // definition.n_fft))
    spectrogram = np.empty((definition.n_mels, n_frames), waveform.dtype)
    windowed = np.empty((step, definition.n_fft), waveform.dtype)
    energy = np.empty(step * filterbank.shape[1], waveform.dtype)
    for start in range(0, n_frames, step):
        block = frames[start : start + step]
        spectrum = scipy.fft.rfft(np.multiply(block, window, out=windowed[: len(block)]), axis=1)
        of_block = energy[: spectrum.size].reshape(-1, len(block))
        _fill_energy(of_block, spectrum, definition.power)
        spectrogram[:, start : start + step] = filterbank @ of_block
    return _logarithm(spectrogram, definition)


def _fill_energy(energy: np.ndarray, spectrum: np.ndarray, power: float) -> None:
    """Set `energy` (n_freqs, T) to ``|spectrum| ** power`` of a spectrum (T, n_freqs), which is used up.

    Into memory of the caller, so that no block waits for the system to hand out pages.
    """
    parts = spectrum.view(spectrum.real.dtype)  # real and imaginary parts in turn
    np.square(parts, out=parts)
    np.add(parts[:, ::2].T, parts[:, 1::2].T, out=energy)
    if power != 2:
        with np.errstate(over="ignore"):  # the logarithm refuses what is out of range
            np.power(energy, power / 2, out=energy)


def _logarithm(spectrogram: np.ndarray, definition: MelDefinition) -> np.ndarray:
    """Floor, logarithm and dynamic range, in place."""
    np.maximum(spectrogram, definition.amin, out=spectrogram)
    np.log(spectrogram, out=spectrogram)
    spectrogram *= definition.log_scale
    if not np.isfinite(spectrogram.max()):
        raise ValueError(
            f"is so loud that its energies with power={definition.power} are out of the range of {spectrogram.dtype}; scale "
            "it to -1 to 1, or use power=2"
        )
    if definition.top_db is not None:
        np.maximum(spectrogram, spectrogram.max() - definition.top_db, out=spectrogram)
    return spectrogram
