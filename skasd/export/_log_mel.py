"""Front ends: log-mel spectrograms of clips of any length, and spectral subtraction.

Axes: B clips, n time points, F bands, T frames.
"""

from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from skasd._mel import MelDefinition
from skasd.export._fourier import PowerSpectrum
from skasd.export._lengths import length_of
from skasd.export._reading import fitted_by
from skasd.export._refusal import refused
from skasd.export._sorting import quantile
from skasd.features._mel_cpu import log_mel
from skasd.features._noise_reduced import QUIET, QUIET_BANDS, _Reduction
from skasd.inputs._frontend import Frontend, _Composed


class FramedSpectrum(nn.Module):
    """Power spectra of windowed frames of waveforms of any length.

    Parameters
    ----------
    window : ndarray of shape (n_fft,)
        Window.
    hop_length : int
        Distance of frames in time points.
    """

    window: Tensor

    def __init__(self, window: np.ndarray, hop_length: int) -> None:
        super().__init__()
        self.hop_length = hop_length
        self.register_buffer("window", torch.from_numpy(window.astype(np.float32)))
        self.power = PowerSpectrum(len(window))

    def forward(self, waveform: Tensor) -> Tensor:
        """Power (B, T, n_values) of padded waveforms (B, n), in the order of ``power.frequency``."""
        n_fft, hop = len(self.window), self.hop_length
        n_frames = (waveform.shape[1] - n_fft) // hop + 1
        n_parts = -(-n_fft // hop)  # frames are cut from blocks of a hop, as slices cost less than a list of places
        if n_fft % hop:  # the last block goes beyond the last frame
            waveform = torch.cat([waveform, torch.zeros(waveform.shape[0], hop, dtype=waveform.dtype)], dim=1)
        blocks = waveform[:, : (n_frames + n_parts - 1) * hop].reshape(waveform.shape[0], -1, hop)
        parts = [blocks[:, part : part + n_frames] for part in range(n_parts)]
        frames = torch.cat(parts, dim=2)[:, :, :n_fft] * self.window
        return self.power(frames.reshape(-1, n_fft)).reshape(waveform.shape[0], n_frames, -1)


class LogMel(nn.Module):
    """Log-mel spectrograms, as `skasd._mel` defines them.

    Parameters
    ----------
    definition : MelDefinition
        Window, filters, framing and logarithm.
    """

    filters: Tensor

    def __init__(self, definition: MelDefinition) -> None:
        super().__init__()
        self.definition = definition
        self.spectrum = FramedSpectrum(definition.window(), definition.hop_length)
        frequency = self.spectrum.power.frequency
        count = np.bincount(frequency, minlength=definition.n_fft // 2 + 1)
        filters = (definition.filterbank() / count)[:, frequency].T  # those that are there twice count half
        self.register_buffer("filters", torch.from_numpy(np.ascontiguousarray(filters, dtype=np.float32)))

    def forward(self, waveform: Tensor) -> Tensor:
        """Spectrograms (B, F, T) of waveforms (B, n)."""
        definition = self.definition
        power = self.spectrum(padded(waveform, definition))
        if definition.power != 2:
            power = power.pow(definition.power / 2)
        level = (power @ self.filters).clamp(min=definition.amin).log() * definition.log_scale
        if definition.top_db is not None:
            level = level.maximum(level.amax(dim=(1, 2), keepdim=True) - definition.top_db)
        return level.transpose(1, 2)


def padded(waveform: Tensor, definition: MelDefinition) -> Tensor:
    """Waveforms (B, n) filled up with zeros to the shortest length, and padded at both ends."""
    missing = (definition.shortest - length_of(waveform)).clamp(min=0)
    waveform = torch.cat([waveform, torch.zeros(waveform.shape[0], missing, dtype=waveform.dtype)], dim=1)
    margin = definition.margin
    if not margin:
        return waveform
    ends = {
        "reflect": lambda: (waveform[:, 1 : margin + 1].flip(1), waveform[:, -margin - 1 : -1].flip(1)),
        "constant": lambda: 2 * (torch.zeros_like(waveform[:, :margin]),),
        "replicate": lambda: (waveform[:, :1].expand(-1, margin), waveform[:, -1:].expand(-1, margin)),
        "circular": lambda: (waveform[:, -margin:], waveform[:, :margin]),
    }
    before, after = ends[definition.pad_mode]()
    return torch.cat([before, waveform, after], dim=1)


class Subtraction(nn.Module):
    """Spectral subtraction of noise, as :class:`skasd.features.NoiseReducedLogMel` does it.

    Parameters
    ----------
    reduction : _Reduction
        What was learnt of the noise.
    """

    sounding: Tensor
    quiet: Tensor
    noise: Tensor

    def __init__(self, reduction: _Reduction) -> None:
        super().__init__()
        self.log_unit, self.floor = float(reduction.log_unit), float(reduction.floor)
        sounding = np.flatnonzero(reduction.quiet > 0)
        self.register_buffer("sounding", torch.from_numpy(sounding))
        self.register_buffer("quiet", torch.from_numpy(reduction.quiet[sounding].astype(np.float64)))
        self.register_buffer("noise", torch.from_numpy(reduction.noise.astype(np.float64)))

    def forward(self, levels: Tensor) -> Tensor:
        """Levels (B, F, T) without the noise."""
        exact = levels.double()
        power = torch.exp(quantile(exact[:, self.sounding].sort(dim=2).values, QUIET) * self.log_unit)  # (B, F)
        factor = quantile((power / self.quiet).sort(dim=1).values, QUIET_BANDS)  # (B,)
        share = (factor[:, None, None] * self.noise[:, None] * torch.exp(-self.log_unit * exact)).clamp(max=1.0)
        return levels + ((1.0 - share).clamp(min=self.floor).log() / self.log_unit).to(levels.dtype)


def frontend_module(frontend: Frontend, who: str) -> nn.Module:
    """Module from waveforms (B, n) to what a front end makes of them (B, F, T).

    Parameters
    ----------
    frontend : Frontend
        Front end of a fitted estimator.
    who : str
        Name of the estimator, for messages.

    Raises
    ------
    ValueError
        If the front end is neither a LogMelTransformer nor a NoiseReducedLogMel, or needs several channels.
    """
    check_channel(frontend, who)
    return nn.Sequential(fitted_by(frontend.reader), spectrogram_module(frontend, who))


def spectrogram_module(frontend: Frontend, who: str) -> nn.Module:
    """The same for waveforms that have the right length already."""
    parts: list[nn.Module] = []
    function: Any = frontend.spectrogram
    while isinstance(function, _Composed) and isinstance(function.second, _Reduction):
        parts.insert(0, Subtraction(function.second))
        function = function.first
    if not isinstance(function, partial) or function.func is not log_mel:
        raise refused(
            f"the parameter frontend of {who}, a module or function of your own",
            "fit with a LogMelTransformer or a NoiseReducedLogMel",
        )
    return nn.Sequential(LogMel(function.keywords["definition"]), *parts)


def check_channel(frontend: Frontend, who: str) -> None:
    """Raise if a front end computes with several channels, as the graph gets one."""
    channel = frontend.reader.channel
    if not isinstance(channel, int | np.integer):
        raise refused(
            f"the parameter channel={channel!r} of the front end of {who}, which needs several channels",
            "fit with the number of one channel, such as channel=0",
        )
