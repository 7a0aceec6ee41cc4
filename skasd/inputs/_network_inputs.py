"""What a network of several branches is given: a log-mel and a waveform of each clip, of one length.

Axes: F mel bands, T frames.
"""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from skasd._parameters import check_option
from skasd.clips import Clips, as_clips, clip_length
from skasd.features._log_mel import LogMelTransformer
from skasd.features._mel_cpu import log_mel
from skasd.networks._osscl import BRANCH_INPUTS


def default_frontend(frontend: LogMelTransformer | None) -> LogMelTransformer:
    """The front end of OS-SCL if there is none, else a checked copy of the one given."""
    if frontend is None:
        return LogMelTransformer(n_fft=2048, hop_length=512, n_mels=128, pad_mode="constant", short_clips="tile")
    if not isinstance(frontend, LogMelTransformer):
        raise TypeError(
            f"frontend={frontend!r} is a {type(frontend).__name__}; a LogMelTransformer or None is expected."
        )
    frontend._check_parameters()
    return copy.deepcopy(frontend)


@dataclass(frozen=True)
class NetworkInputs:
    """Which inputs a network takes, and how long they are: learnt from the training clips.

    Parameters
    ----------
    frontend : LogMelTransformer
        Makes log-mels of waveforms.
    names : tuple of {"log_mel", "waveform"}
        Inputs of the network.
    n_timepoints : int or None
        Length of the waveforms; None if there are only features.
    size : tuple of int
        Mel bands and frames.
    dtype : dtype
        float64 if the clips are and the precision is left to them, else float32.
    """

    frontend: LogMelTransformer
    names: tuple[str, ...]
    n_timepoints: int | None
    size: tuple[int, int]
    dtype: np.dtype

    @classmethod
    def learn(
        cls, clips: Clips, names: tuple[str, ...], frontend: LogMelTransformer, precision: str
    ) -> "NetworkInputs":
        """Sizes from training clips: the median length, unless the front end has a `duration`."""
        n_timepoints = None
        if clips.kind == "feature":
            size = _feature_size(clips)
        if clips.kind == "waveform" or "waveform" in names:
            n_timepoints = _n_timepoints(_waveforms(clips), frontend)
        if clips.kind == "waveform":
            size = (frontend.n_mels, frontend._definition().n_frames(n_timepoints or 1))
        return cls(
            frontend, names, n_timepoints, size, dtype_of(clips) if precision == "auto" else np.dtype(np.float32)
        )

    def of(self, clips: Clips, *, n_jobs: int | None, verbose: int, title: str) -> Iterator[dict[str, np.ndarray]]:
        """Inputs of each clip in order; a clip that cannot be read gives None, and an error after the last."""
        settings: dict[str, Any] = {"n_jobs": n_jobs, "verbose": verbose, "title": title}
        if clips.kind == "waveform":
            yield from clips.map(self._from_waveform, self._reader(), **settings)
            return
        features = clips.map(self._from_feature, self._reader(), **settings)
        if "waveform" not in self.names:
            yield from features
            return
        waveforms = _waveforms(clips).map(partial(_as, dtype=self.dtype), self._reader(), n_jobs=n_jobs)
        for feature, waveform in zip(features, waveforms, strict=True):
            both = feature is not None and waveform is not None
            yield {**feature, "waveform": waveform} if both else None  # type: ignore[misc]

    def _reader(self) -> Any:
        reader = self.frontend._reader()
        if self.n_timepoints is None:
            return reader
        return replace(reader, duration=self.n_timepoints / reader.sample_rate)

    def _from_waveform(self, waveform: np.ndarray) -> dict[str, np.ndarray]:
        waveform = _as(waveform, self.dtype)
        inputs = {"waveform": waveform}
        if "log_mel" in self.names:
            inputs["log_mel"] = log_mel(waveform, self.frontend._definition())
        return {name: inputs[name] for name in self.names}

    def _from_feature(self, feature: np.ndarray) -> dict[str, np.ndarray]:
        n_mels, n_frames = self.size
        if len(feature) != n_mels:
            raise ValueError(f"has {len(feature)} bands where {n_mels} are expected")
        if "log_mel" not in self.names:
            return {}
        return {"log_mel": _as(np.take(feature, range(n_frames), axis=1, mode="wrap"), self.dtype)}


def usable_branches(branches: Sequence[str], clips: Clips) -> tuple[str, ...]:
    """The branches that the clips have inputs for: without waveforms, those of the log-mel."""
    if not isinstance(branches, list | tuple) or not branches:
        raise TypeError(f"branches={branches!r}; a tuple of names out of {tuple(BRANCH_INPUTS)} is expected.")
    for branch in branches:
        check_option("branches", branch, BRANCH_INPUTS)
    if len(set(branches)) < len(branches):
        raise ValueError(f"branches={branches!r} names a branch twice; each can be there once.")
    table = clips.table
    with_waveforms = table is not None and not {"path", "waveform"}.isdisjoint(table.columns)
    if clips.kind == "waveform" or with_waveforms:
        return tuple(branches)
    usable = tuple(branch for branch in branches if BRANCH_INPUTS[branch] == "log_mel")
    if not usable:
        raise ValueError(
            f"branches={branches!r} all need waveforms, and X holds features alone; give waveforms, paths, or a clip table "
            "that has them beside the features."
        )
    return usable


def _waveforms(clips: Clips) -> Clips:
    return clips if clips.kind == "waveform" else as_clips(clips.table, feature=None)


def _feature_size(clips: Clips) -> tuple[int, int]:
    shapes = [shape for shape in map(np.shape, clips.items) if len(shape) == 2]
    return (shapes[0][0], _median([shape[1] for shape in shapes])) if shapes else (1, 1)  # if none can be read


def _n_timepoints(waveforms: Clips, frontend: LogMelTransformer) -> int:
    if frontend.duration is not None:
        return max(1, round(frontend.duration * frontend.sample_rate))
    lengths = [clip_length(item, frontend.sample_rate) for item in waveforms.items]
    known = [length for length in lengths if length]
    return _median(known) if known else 1  # without any, none can be read, and each says why


def _median(lengths: list[int]) -> int:
    return int(np.sort(lengths)[(len(lengths) - 1) // 2])


def dtype_of(clips: Clips) -> np.dtype:
    """Of a network for these clips: float64 where they are, else float32."""
    first = clips.items[0]
    is_double = isinstance(first, np.ndarray) and first.dtype.kind in "fiu" and first.dtype.itemsize == 8
    return np.dtype(np.float64 if is_double else np.float32)


def _as(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    return values.astype(dtype, copy=False)
