"""Embedder: clips are read and cut in threads, encoded in batches of windows of one shape, and pooled over time.

Axes: N windows, T frames of the encoder, D values of a frame.
"""

import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from skasd._device import torch_device
from skasd._torch_state import own_torch_state
from skasd.clips import ClipReader, Clips
from skasd.features._embedding_cache import EmbeddingCache
from skasd.features._encoders import Encoder
from skasd.features._time_pooling import TimePooling

_LEAST_AHEAD = 64  # clips that are read at a time
_TOLERANCE = 1e-3  # of the largest value; rounding of float32 is far below, and batch statistics far above


@dataclass(frozen=True)
class Cutter:
    """Cuts waveforms into windows of equal length, and computes their spectrograms if the encoder takes those.

    Parameters
    ----------
    window : int or None
        Length of a window, in time points; None keeps clips whole.
    hop : int
        Time points from one window to the next.
    short_clips : {"zero", "tile"}
        How clips shorter than a window are filled up.
    spectrogram : callable or None
        Front end of one window.
    """

    window: int | None
    hop: int
    short_clips: str
    spectrogram: Callable[[np.ndarray], np.ndarray] | None

    def __call__(self, waveform: np.ndarray) -> np.ndarray:
        """Windows (N, n_timepoints) of a waveform (n_timepoints,), or their spectrograms (N, n_mels, n_frames)."""
        windows = self._windows(waveform)
        return windows if self.spectrogram is None else np.stack([self.spectrogram(window) for window in windows])

    def _windows(self, waveform: np.ndarray) -> np.ndarray:
        if self.window is None:
            return waveform[None]
        missing = self.window - len(waveform)
        if missing >= 0:
            filled = np.resize(waveform, self.window) if self.short_clips == "tile" else np.pad(waveform, (0, missing))
            return filled[None]
        starts = np.arange(0, -missing + self.hop, self.hop).clip(max=-missing)  # the last one ends with the clip
        return np.lib.stride_tricks.sliding_window_view(waveform, self.window)[starts]


@dataclass(frozen=True)
class _Prepared:
    """What is known of a clip before it is encoded: its windows, or its embedding from the cache."""

    windows: np.ndarray | None = None
    embedding: np.ndarray | None = None
    file: Path | None = None
    damage: str | None = None  # why the file of the cache cannot be read


@dataclass(frozen=True)
class _Preparation:
    """From a waveform to what is encoded, in a thread."""

    cutter: Cutter
    cache: EmbeddingCache | None

    def __call__(self, waveform: np.ndarray) -> _Prepared:
        with np.errstate(over="ignore"):
            waveform = waveform.astype(np.float32, copy=False)
        if not np.isfinite(waveform).all():
            raise ValueError("is so loud that its samples are out of the range of float32; scale it to -1 to 1")
        if self.cache is None:
            return _Prepared(self.cutter(waveform))
        file = self.cache.file(waveform)
        embedding, damage = self.cache.read(file)
        return _Prepared(self.cutter(waveform) if embedding is None else None, embedding, file, damage)


@dataclass(frozen=True)
class Embedder:
    """Computes embeddings of clips.

    Parameters
    ----------
    encoder : Encoder
        The encoder.
    cutter : Cutter
        Cuts clips into windows.
    pooling : TimePooling
        Pools the frames of all windows of a clip.
    reader : ClipReader
        Reads clips.
    n_values : int or None, default=None
        Size D of the frames of all layers together; None before the first call.
    """

    encoder: Encoder
    cutter: Cutter
    pooling: TimePooling
    reader: ClipReader
    n_values: int | None = None

    def probe(self, n_timepoints: int, batch_size: int) -> list[torch.Tensor]:
        """Frames of each layer, of a clip of noise; raises if they depend on the other clip of the batch, or on chance."""
        noise = np.random.default_rng(0).uniform(-0.1, 0.1, (2, n_timepoints)).astype(np.float32)
        try:
            first, second = (self.cutter(waveform)[:1] for waveform in noise)
            with _quiet_torch(torch.device("cpu")):
                alone = self.encoder(torch.from_numpy(first.copy()))
                batch = first if batch_size == 1 else np.concatenate([first, second])
                again = self.encoder(torch.from_numpy(batch.copy()))
        except (ImportError, FileNotFoundError):
            raise
        except Exception as error:  # of an encoder that we do not know
            raise ValueError(
                f"The encoder fails on noise of {n_timepoints} time points, {min(batch_size, 2)} at a time: "
                f"{_reason(error)}."
            ) from error
        for name, one, two in zip(self.encoder.layers.names, alone, again, strict=True):
            _refuse_wrong_batches(name, one, two, batch_size)
        return [frames[:1] for frames in alone]

    def map(
        self,
        clips: Clips,
        *,
        cache: EmbeddingCache | None,
        batch_size: int,
        device: str,
        n_jobs: int | None,
        verbose: int,
    ) -> Iterator[np.ndarray | None]:
        """Embedding of each clip in order; None for one that cannot be used, of which an error tells after the last."""
        ahead = max(_LEAST_AHEAD, batch_size)
        settings: dict[str, Any] = {"n_jobs": n_jobs, "verbose": verbose, "title": "embeddings", "ahead": ahead}
        prepared = clips.map(_Preparation(self.cutter, cache), self.reader, **settings)
        encoder: Encoder | None = None
        failures, damages = [], []
        position = 0
        for group in _groups(prepared, batch_size, ahead):
            names = [clips.name(number) for number in range(position, position + len(group))]
            if encoder is None and any(one is not None and one.windows is not None for one in group):
                encoder = self.encoder.to(torch_device(device))
            made = self._embedded(encoder, group, names, batch_size)
            for name, one in zip(names, group, strict=True):
                embedding = None if one is None else next(made) if one.embedding is None else one.embedding
                if embedding is not None and not np.isfinite(embedding).all():
                    failures.append(f"{name}: the encoder returns NaN or infinity")
                    embedding = None
                if one is not None and one.damage is not None:
                    damages.append(f"{one.file}: {one.damage}")
                if cache is not None and one is not None and one.embedding is None and embedding is not None:
                    cache.write(one.file, embedding)  # type: ignore[arg-type]
                yield embedding
            position += len(group)
        _tell(failures, damages, len(clips))

    def _embedded(
        self, encoder: Encoder | None, group: list[_Prepared | None], names: list[str], batch_size: int
    ) -> Iterator[np.ndarray]:
        """Embeddings of those clips of a group that have windows, all of one shape."""
        waiting = [
            (name, one.windows)
            for name, one in zip(names, group, strict=True)
            if one is not None and one.windows is not None
        ]
        if not waiting or encoder is None:
            return
        of_window = [name for name, windows in waiting for _ in windows]
        layers = _encoded(encoder, np.concatenate([windows for _, windows in waiting]), of_window, batch_size)
        start = 0
        for name, windows in waiting:
            parts = [frames[start : start + len(windows)] for frames in layers]
            start += len(windows)
            pooled = [self.pooling(part.reshape(-1, part.shape[2])) for part in parts]
            if len({one.shape[1:] for one in pooled}) > 1:
                raise ValueError(
                    f"{name}: layers={encoder.layers.names} have {', '.join(str(one.shape[1]) for one in pooled)} frames, "
                    "which cannot be stacked with time_pooling=None; name layers with equally many, or pool over time."
                )
            embedding = np.concatenate(pooled)
            if len(embedding) != self.n_values:
                raise ValueError(
                    f"{name}: the encoder gives {len(embedding)} values, but {self.n_values} in fit; the same number for "
                    "clips of any length is expected. Set window, or duration, to give it clips of one length."
                )
            yield embedding


def _groups(prepared: Iterable[_Prepared | None], batch_size: int, most: int) -> Iterator[list[_Prepared | None]]:
    """Neighbouring clips whose windows have one shape, up to the clip with which they fill a batch."""
    group: list[_Prepared | None] = []
    shape, n_windows = None, 0
    for one in prepared:
        windows = None if one is None else one.windows
        if windows is not None and shape not in (None, windows.shape[1:]):
            yield group
            group, shape, n_windows = [], None, 0
        group.append(one)
        if windows is not None:
            shape, n_windows = windows.shape[1:], n_windows + len(windows)
        if n_windows >= batch_size or len(group) >= most:
            yield group
            group, shape, n_windows = [], None, 0
    if group:
        yield group


def _encoded(encoder: Encoder, windows: np.ndarray, names: list[str], batch_size: int) -> list[np.ndarray]:
    """Frames (N, T, D) of each layer."""
    batches = np.array_split(np.arange(len(windows)), -(-len(windows) // batch_size))
    outputs = []
    for batch in batches:
        try:
            with _quiet_torch(encoder.device):
                frames = encoder(torch.from_numpy(windows[batch]))
        except Exception as error:  # of an encoder that we do not know
            others = len({names[number] for number in batch}) - 1
            and_others = f" (and {others} more clips of its batch)" if others else ""
            raise ValueError(
                f"{names[batch[0]]}{and_others}: the encoder fails on windows of shape {windows.shape[1:]}: "
                f"{_reason(error)}."
            ) from error
        if any(len(one) != len(batch) for one in frames):
            shapes = [tuple(one.shape) for one in frames]
            raise ValueError(f"{names[batch[0]]}: the encoder returns {shapes} for a batch of {len(batch)} windows.")
        outputs.append([(one[:, None] if one.ndim == 2 else one).cpu() for one in frames])
    return [torch.cat(of_layer).numpy() for of_layer in zip(*outputs, strict=True)]


@contextmanager
def _quiet_torch(device: torch.device) -> Iterator[None]:
    """Compute without gradients, and leave the generators of torch as they were."""
    devices = [] if device.type == "cpu" else [device]
    kind = "cuda" if device.type == "cpu" else device.type
    with own_torch_state(), torch.inference_mode(), torch.random.fork_rng(devices, device_type=kind):
        yield


def _refuse_wrong_batches(name: str | int, one: torch.Tensor, two: torch.Tensor, batch_size: int) -> None:
    """Raise if the first clip gets other frames in a batch of two, or in a second call."""
    if len(one) != 1 or len(two) != min(batch_size, 2) or one.shape[1:] != two.shape[1:]:
        raise ValueError(
            f"The encoder returns shape {tuple(one.shape)} for one clip of noise and {tuple(two.shape)} for "
            f"{min(batch_size, 2)} (layers={name!r}); one row for each clip is expected."
        )
    scale = one.abs().max()
    if torch.isfinite(scale) and not torch.allclose(one[0], two[0], rtol=0, atol=float(scale) * _TOLERANCE):
        what = "a second call" if batch_size == 1 else "a batch with another clip"
        raise ValueError(
            f"The encoder returns other values for a clip in {what} (layers={name!r}, largest difference "
            f"{float((one[0] - two[0]).abs().max()):.3g}): it uses statistics of the batch, or chance. Put it into "
            "evaluation mode before it is exported or wrapped in a function."
        )


def _reason(error: Exception) -> str:
    text = str(error).rstrip(".")
    is_own = isinstance(error, ValueError | TypeError) and text.startswith(("the encoder", "layers", "the front end"))
    return text if is_own else f"{type(error).__name__}: {text}"


def _tell(failures: list[str], damages: list[str], n_clips: int) -> None:
    """Warn of damaged files of the cache, and raise for clips whose embedding is not finite."""
    if damages:
        warnings.warn(
            f"{len(damages)} of {n_clips} files of the cache are damaged and were computed anew, such as {damages[0]}.",
            stacklevel=4,
        )
    if failures:
        listed = "\n  ".join(failures)
        raise ValueError(
            f"{len(failures)} of {n_clips} clips cannot be used:\n  {listed}\nLeave them out, or look at them."
        )
