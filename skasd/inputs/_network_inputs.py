"""Inputs of networks with several branches: log-mels and waveforms, cut or filled to one length.

Axes: F mel bands, T frames.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import tee
from typing import Any

import numpy as np

from skasd._parameters import check_option
from skasd.clips import Clips, as_clips
from skasd.clips._windows import median_length
from skasd.inputs._frontend import Frontend
from skasd.networks._osscl import BRANCH_INPUTS


@dataclass(frozen=True)
class NetworkInputs:
    """The inputs of a network and their sizes, which are determined from the training clips.

    Parameters
    ----------
    frontend : Frontend
        Front end that computes log-mels of waveforms.
    names : tuple of {"log_mel", "waveform"}
        Inputs of the network.
    n_timepoints : int or None
        Length of the waveforms, in time points; None if there are only features.
    size : tuple of int
        Number of mel bands and of frames.
    dtype : dtype
        float64 if the clips are float64 and the precision is ``"auto"``, else float32.
    """

    frontend: Frontend
    names: tuple[str, ...]
    n_timepoints: int | None
    size: tuple[int, int]
    dtype: np.dtype

    @classmethod
    def learn(cls, clips: Clips, names: tuple[str, ...], frontend: Frontend, precision: str) -> "NetworkInputs":
        """Determine the sizes: the median length of the training clips, or the `duration` of the front end if it has one."""
        n_timepoints = None
        if clips.kind == "feature":
            size = _feature_size(clips)
        if clips.kind == "waveform" or "waveform" in names:
            n_timepoints = _n_timepoints(waveforms_of(clips), frontend)
        if clips.kind == "waveform":
            size = frontend.size(n_timepoints or 1)
        return cls(frontend, names, n_timepoints, size, network_dtype(clips, precision))

    @property
    def hop_length(self) -> int:
        """Number of time points from one frame to the next."""
        return self.frontend.hop(self.n_timepoints or 1)

    def of(self, clips: Clips, *, n_jobs: int | None, verbose: int, title: str) -> Iterator[dict[str, np.ndarray]]:
        """Yield the inputs of each clip in order; a clip that cannot be read yields None, and an error after the last."""
        settings: dict[str, Any] = {"n_jobs": n_jobs, "verbose": verbose, "title": title}
        if clips.kind == "waveform":
            yield from self._of_waveforms(clips, settings)
            return
        features = clips.map(self._from_feature, self._reader(), **settings)
        if "waveform" not in self.names:
            yield from features
            return
        waveforms = waveforms_of(clips).map(partial(_as, dtype=self.dtype), self._reader(), n_jobs=n_jobs)
        for feature, waveform in zip(features, waveforms, strict=True):
            both = feature is not None and waveform is not None
            yield {**feature, "waveform": waveform} if both else None  # type: ignore[misc]

    def _of_waveforms(self, clips: Clips, settings: dict[str, Any]) -> Iterator[Any]:
        if self.frontend.on_device is None or "log_mel" not in self.names:
            yield from clips.map(self._from_waveform, self._reader(), **settings)
            return
        waveforms, again = tee(clips.map(partial(_as, dtype=self.dtype), self._reader(), **settings))
        for waveform, spectrogram in zip(again, self.frontend.on_device(waveforms), strict=True):
            yield None if waveform is None else self._named(waveform, spectrogram)

    def _reader(self) -> Any:
        reader = self.frontend.reader
        if self.n_timepoints is None:
            return reader
        return replace(reader, duration=self.n_timepoints / reader.sample_rate)

    def _from_waveform(self, waveform: np.ndarray) -> dict[str, np.ndarray]:
        waveform = _as(waveform, self.dtype)
        return self._named(waveform, self.frontend.spectrogram(waveform) if "log_mel" in self.names else None)

    def _named(self, waveform: np.ndarray, spectrogram: np.ndarray | None) -> dict[str, np.ndarray]:
        inputs = {"waveform": waveform, "log_mel": spectrogram}
        return {name: inputs[name] for name in self.names}  # type: ignore[misc]

    def _from_feature(self, feature: np.ndarray) -> dict[str, np.ndarray]:
        n_mels, n_frames = self.size
        if len(feature) != n_mels:
            raise ValueError(f"has {len(feature)} bands where {n_mels} are expected")
        if "log_mel" not in self.names:
            return {}
        return {"log_mel": _as(np.take(feature, range(n_frames), axis=1, mode="wrap"), self.dtype)}


def usable_branches(branches: Sequence[str], clips: Clips) -> tuple[str, ...]:
    """Branches for which the clips have inputs: without waveforms, those computed from the log-mel."""
    if not isinstance(branches, list | tuple) or not branches:
        raise TypeError(f"branches={branches!r}; a tuple of names from {tuple(BRANCH_INPUTS)} is expected.")
    for branch in branches:
        check_option("branches", branch, BRANCH_INPUTS)
    if len(set(branches)) < len(branches):
        raise ValueError(f"branches={branches!r} contains a branch twice; give each branch only once.")
    if has_waveforms(clips):
        return tuple(branches)
    usable = tuple(branch for branch in branches if BRANCH_INPUTS[branch] == "log_mel")
    if not usable:
        raise ValueError(
            f"branches={branches!r} all need waveforms, but X contains only features; give waveforms, paths, or a clip "
            "table with a 'waveform' or 'path' column in addition to the features."
        )
    return usable


def branch_inputs(branches: Iterable[str]) -> tuple[str, ...]:
    """Inputs of these branches, each listed once."""
    return tuple(dict.fromkeys(BRANCH_INPUTS[branch] for branch in branches))


def has_waveforms(clips: Clips) -> bool:
    """Whether the clips are waveforms, or features in a table that also has waveforms or paths."""
    in_table = clips.table is not None and not {"path", "waveform"}.isdisjoint(clips.table.columns)
    return clips.kind == "waveform" or in_table


def waveforms_of(clips: Clips) -> Clips:
    """The clips as waveforms; features are replaced by the waveforms or paths in their table."""
    return clips if clips.kind == "waveform" else as_clips(clips.table, feature=None)


def network_dtype(clips: Clips, precision: str) -> np.dtype:
    """Precision of a network for these clips: float64 if the clips are float64 and ``precision="auto"``, else float32."""
    first = clips.items[0]
    is_double = isinstance(first, np.ndarray) and first.dtype.kind in "fiu" and first.dtype.itemsize == 8
    return np.dtype(np.float64 if is_double and precision == "auto" else np.float32)


def _feature_size(clips: Clips) -> tuple[int, int]:
    n_bands = next((np.shape(item)[0] for item in clips.items if np.ndim(item) == 2), 1)
    return n_bands, median_length(clips.lengths(1)) or 1  # none is a feature: reading them raises an error


def _n_timepoints(waveforms: Clips, frontend: Frontend) -> int:
    reader = frontend.reader
    if reader.duration is not None:
        return max(1, round(reader.duration * reader.sample_rate))
    return median_length(waveforms.lengths(reader.sample_rate)) or 1  # none can be read: that raises an error


def _as(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    return values.astype(dtype, copy=False)
