"""Frontend: the common interface to everything that computes spectrograms of clips.

Axes: F bands, T frames.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from skasd.clips import ClipReader, Clips

DECIBEL = np.log(10) / 10  # natural logarithm of the power ratio of one dB


@dataclass(frozen=True)
class Frontend:
    """Converts clips to spectrograms: a reader, a function of one waveform, and properties of the spectrogram.

    Parameters
    ----------
    reader : ClipReader
        Reads files and arrays as waveforms.
    spectrogram : callable
        Function from a waveform (n_timepoints,) to a spectrogram (F, T).
    shape : callable or None, default=None
        Function from a number of time points to (F, T). None computes a spectrogram to find out.
    frequencies : callable or None, default=None
        Function from a number of bands F to their centres (F,), in Hz; None if they are unknown.
    log_unit : float, default=ln(10) / 10
        Natural logarithm of the power ratio that corresponds to one unit of the spectrogram; the default is that of 1 dB.
    hop_length : int or None, default=None
        Number of time points from one frame to the next. None derives it from the number of frames.
    on_device : callable or None, default=None
        Function from an iterable of waveforms to their spectrograms in order, computed on an accelerator; it maps None to
        None. If it is None, spectrograms are computed on the CPU.
    """

    reader: ClipReader
    spectrogram: Callable[[np.ndarray], np.ndarray]
    shape: Callable[[int], tuple[int, int]] | None = None
    frequencies: Callable[[int], np.ndarray] | None = None
    log_unit: float = DECIBEL
    hop_length: int | None = None
    on_device: Callable[[Iterable[Any]], Iterator[Any]] | None = None

    def size(self, n_timepoints: int) -> tuple[int, int]:
        """F and T of a clip with `n_timepoints` time points."""
        if self.shape is not None:
            return self.shape(n_timepoints)
        noise = np.random.default_rng(0).uniform(-0.1, 0.1, n_timepoints)  # silence has no logarithm
        try:
            n_bands, n_frames = self.spectrogram(noise.astype(np.float32)).shape
        except ValueError as error:
            raise ValueError(f"Noise of {n_timepoints} time points: {error}.") from error
        return n_bands, n_frames

    def hop(self, n_timepoints: int) -> int:
        """Number of time points from one frame to the next in a clip with `n_timepoints` time points."""
        return self.hop_length or max(1, n_timepoints // max(1, self.size(n_timepoints)[1] - 1))

    def then(self, function: Callable[[np.ndarray], np.ndarray]) -> Self:
        """The same front end with `function` of the spectrogram (F, T) in its place, of the same shape."""
        on_device = None if self.on_device is None else _OnDevice(self.on_device, function)
        return replace(self, spectrogram=_Composed(self.spectrogram, function), on_device=on_device)

    def map(
        self, clips: Clips, function: Callable[[np.ndarray], Any], *, n_jobs: int | None, verbose: int
    ) -> Iterator[Any]:
        """Apply `function` to the spectrogram (F, T) of each clip, in order, with only a few spectrograms in memory.

        A clip that cannot be read yields None, and raises an error after the last clip. Features are used as they are.
        """
        progress: dict[str, Any] = {"n_jobs": n_jobs, "verbose": verbose}
        if clips.kind == "feature":
            first = clips.items[0]
            same_bands = _SameBands(function, len(first) if np.ndim(first) == 2 else None)
            return clips.map(same_bands, ClipReader(), title="features", **progress)
        if self.on_device is None:
            return clips.map(_Composed(self.spectrogram, function), self.reader, title="spectrograms", **progress)
        spectrograms = self.on_device(clips.map(np.asarray, self.reader, title="spectrograms", **progress))
        return (None if spectrogram is None else function(spectrogram) for spectrogram in spectrograms)


@dataclass(frozen=True)
class _Composed:
    """Composition of two functions: `first`, then `second`."""

    first: Callable
    second: Callable

    def __call__(self, values: np.ndarray) -> Any:
        return self.second(self.first(values))


@dataclass(frozen=True)
class _OnDevice:
    """Spectrograms from a device, and a function of each; None for None."""

    spectrograms: Callable[[Iterable[Any]], Iterator[Any]]
    function: Callable[[np.ndarray], np.ndarray]

    def __call__(self, waveforms: Iterable[Any]) -> Iterator[Any]:
        for spectrogram in self.spectrograms(waveforms):
            yield None if spectrogram is None else self.function(spectrogram)


@dataclass(frozen=True)
class _SameBands:
    """A function of features that raises if a feature has another number of bands."""

    function: Callable[[np.ndarray], Any]
    n_bands: int | None

    def __call__(self, feature: np.ndarray) -> Any:
        if self.n_bands is not None and len(feature) != self.n_bands:
            raise ValueError(f"has {len(feature)} bands where {self.n_bands} are expected")
        return self.function(feature)
