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
        In dB, or natural logarithm; of the dtype of `waveform`.
    """
    window, filterbank = _constants(definition, waveform.dtype)
    frames = np.lib.stride_tricks.sliding_window_view(definition.padded(waveform), definition.n_fft)[
        :: definition.hop_length
    ]
    n_frames, step = len(frames), max(1, _BLOCK // definition.n_fft)
    spectrogram = np.empty((definition.n_mels, n_frames), waveform.dtype)
    buffer = np.empty((min(step, n_frames), definition.n_fft), waveform.dtype)
    for start in range(0, n_frames, step):
        block = frames[start : start + step]
        spectrum = scipy.fft.rfft(np.multiply(block, window, out=buffer[: len(block)]), axis=1)
        spectrogram[:, start : start + step] = filterbank @ _magnitude(spectrum, definition.power).T
    return _logarithm(spectrogram, definition)


def _magnitude(spectrum: np.ndarray, power: float) -> np.ndarray:
    """|spectrum| ** power, of shape (T, n_freqs)."""
    parts = spectrum.view(spectrum.real.dtype)  # real and imaginary parts in turn
    np.square(parts, out=parts)
    squared = parts[:, ::2] + parts[:, 1::2]
    return squared if power == 2 else squared ** (power / 2)


def _logarithm(spectrogram: np.ndarray, definition: MelDefinition) -> np.ndarray:
    """Floor, logarithm and dynamic range, in place."""
    np.maximum(spectrogram, definition.amin, out=spectrogram)
    np.log(spectrogram, out=spectrogram)
    spectrogram *= definition.log_scale
    if definition.top_db is not None:
        np.maximum(spectrogram, spectrogram.max() - definition.top_db, out=spectrogram)
    return spectrogram
