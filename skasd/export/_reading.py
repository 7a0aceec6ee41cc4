"""What a reader of clips does to their length, and windows of long clips.

Axes: B clips, n time points or frames, L length of a window, k windows of a clip.
"""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from skasd._extremes import FAR, TAIL
from skasd.clips import ClipReader
from skasd.clips._windows import LONGER
from skasd.export._lengths import length_of

_SMALL = 1e-3  # below it, four terms of a series have the precision of a double


class Fitted(nn.Module):
    """Waveforms of one length: longer ones are cut at the end, shorter ones filled with zeros, or repeated.

    Parameters
    ----------
    n_timepoints : int
        Length of the output.
    short_clips : {"zero", "tile"}
        How short clips are filled.
    """

    def __init__(self, n_timepoints: int, short_clips: str) -> None:
        super().__init__()
        self.n_timepoints, self.repeats = n_timepoints, short_clips == "tile"

    def forward(self, waveform: Tensor) -> Tensor:
        """Waveforms (B, n_timepoints) of waveforms (B, n)."""
        if self.repeats:
            return waveform[:, torch.arange(self.n_timepoints) % waveform.shape[1]]
        rest = torch.zeros(waveform.shape[0], self.n_timepoints, dtype=waveform.dtype)
        return torch.cat([waveform, rest], dim=1)[:, : self.n_timepoints]


def fitted_by(reader: ClipReader) -> nn.Module:
    """Module that gives waveforms the length that a reader gives them."""
    if reader.duration is None:
        return nn.Identity()
    return Fitted(max(1, round(reader.duration * reader.sample_rate)), reader.short_clips)


def _windows(x: Tensor, length: int, longest: float) -> Tensor:
    """Windows (B, k, F, L) of x (B, F, n); x itself as the only window if it is no longer than `longest`."""
    n = x.size(2)
    if float(n) <= longest:
        result = x.unsqueeze(1)
    else:
        count = (n + length - 1) // length
        start = torch.round(torch.arange(count).double() * (n - length) / (count - 1)).long()
        place = start.unsqueeze(1) + torch.arange(length)
        result = x.index_select(2, place.flatten()).reshape(x.size(0), x.size(1), count, length).transpose(1, 2)
    return result


def _scripted(function: Callable) -> Any:
    """The function with its condition, which a trace would lose."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch calls it old, but the exporter that keeps conditions needs it
        return torch.jit.script(function)


class InWindows(nn.Module):
    """Score of clips of any length: that of their windows of the training length, as on the scale of one window.

    Parameters
    ----------
    score : nn.Module
        Anomaly score (B,) of clips (B, ..., n).
    length : int
        Median length of the training clips.
    normal : ndarray of shape (n_normal,) or None
        Anomaly scores of normal clips of one window, ascending; None leaves the largest score as it is.
    """

    def __init__(self, score: nn.Module, length: int, normal: np.ndarray | None) -> None:
        super().__init__()
        self.score, self.length = score, length
        self.windows = _scripted(_windows)
        self.as_of_one = nn.Identity() if normal is None else one_window(normal)

    def forward(self, clip: Tensor) -> Tensor:
        """Anomaly score (B,) of clips (B, ..., n)."""
        is_waveform = clip.ndim == 2
        windows = self.windows(clip[:, None] if is_waveform else clip, self.length, LONGER * self.length)
        together = windows.flatten(0, 2) if is_waveform else windows.flatten(0, 1)
        score = self.score(together).reshape(windows.shape[0], windows.shape[1]).amax(dim=1)
        if isinstance(self.as_of_one, nn.Identity):
            return score
        n = length_of(clip).double()
        share = torch.where(n > LONGER * self.length, n / self.length, torch.ones_like(n))
        return self.as_of_one(score, share)


def one_window(normal: np.ndarray) -> nn.Module:
    """Module that turns the largest score of several windows into that of one; nothing to do if the scores have no scale."""
    excess = normal[normal > np.quantile(normal, TAIL)]
    return OneWindow(normal) if len(excess) else nn.Identity()


class OneWindow(nn.Module):
    """The score of one window that is as improbable as the largest of several, as `skasd._extremes` defines it.

    Parameters
    ----------
    normal : ndarray of shape (n_normal,)
        Anomaly scores of normal clips of one window, ascending; not all of them equal.
    """

    def __init__(self, normal: np.ndarray) -> None:
        super().__init__()
        self.threshold = float(np.quantile(normal, TAIL))
        self.scale = float((normal[normal > self.threshold] - self.threshold).mean())
        self.least = float(normal[0])
        self.level_of = Interpolated(normal, np.linspace(0, 1, len(normal)))
        self.score_of = Interpolated(np.linspace(0, 1, len(normal)), normal)

    def forward(self, score: Tensor, share: Tensor) -> Tensor:
        """Scores (B,) of largest scores (B,) of clips that are `share` windows long."""
        distance = (score - self.threshold).clamp(min=0) / self.scale
        tail = (1 - TAIL) * torch.exp(-distance)
        log_level = torch.where(score > self.threshold, _log1p(-tail), self.level_of(score).log())
        above = -_expm1(share * log_level)
        ratio = torch.where(distance < FAR, above / tail, share)
        in_tail = score.clamp(min=self.threshold) - self.scale * ratio.log()
        changed = torch.where(above < 1 - TAIL, in_tail, self.score_of(1 - above))
        return torch.where((share > 1) & (score > self.least), changed, score)


def _log1p(x: Tensor) -> Tensor:
    """Logarithm of 1 + x, accurate for small x too, which the one of ONNX is not."""
    series = x * (1 - x * (1 / 2 - x * (1 / 3 - x / 4)))
    return torch.where(x.abs() < _SMALL, series, (1 + x).log())


def _expm1(x: Tensor) -> Tensor:
    """Exponential of x minus 1, accurate for small x too."""
    series = x * (1 + x / 2 * (1 + x / 3 * (1 + x / 4)))
    return torch.where(x.abs() < _SMALL, series, x.exp() - 1)


class Interpolated(nn.Module):
    """Linear interpolation, as ``numpy.interp`` does it.

    Parameters
    ----------
    places, values : ndarray of shape (n_places,)
        Known places, ascending, and the values there.
    """

    places: Tensor
    values: Tensor

    def __init__(self, places: np.ndarray, values: np.ndarray) -> None:
        super().__init__()
        self.register_buffer("places", torch.from_numpy(np.asarray(places, dtype=np.float64)))
        self.register_buffer("values", torch.from_numpy(np.asarray(values, dtype=np.float64)))

    def forward(self, x: Tensor) -> Tensor:
        """Values (B,) at x (B,)."""
        last = len(self.places) - 1
        below = ((x[:, None] >= self.places).sum(dim=1) - 1).clamp(min=0, max=last)
        above = (below + 1).clamp(max=last)
        width = self.places[above] - self.places[below]
        share = (x - self.places[below]).clamp(min=0) / torch.where(width > 0, width, torch.ones_like(width))
        share = torch.where(width > 0, share, torch.zeros_like(share))
        return self.values[below] + share * (self.values[above] - self.values[below])
