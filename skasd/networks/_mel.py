"""Log-mel spectrogram as a network layer: the definition of `skasd._mel` in torch, on any device.

Axes: B clips, F mel bands, T frames.
"""

import numpy as np
import torch
from torch import Tensor, nn

from skasd._mel import MelDefinition


class LogMelNet(nn.Module):
    """Waveforms to log-mel spectrograms, differentiable.

    Parameters
    ----------
    definition : MelDefinition
        Window, filters, framing and logarithm.
    dtype : torch.dtype, default=torch.float32
        Of window and filters; waveforms are brought to it.

    Notes
    -----
    Equal to the CPU path of :class:`skasd.features.LogMelTransformer`: within 1e-9 dB in float64; in float32 within 1e-4 dB
    for bands no more than 60 dB below the loudest of their frame, below which both are rounding. `top_db` refers to the
    maximum of each clip, never of the batch, so that a clip does not depend on its batch mates.
    """

    window: Tensor
    filterbank: Tensor

    def __init__(self, definition: MelDefinition, *, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.definition = definition
        self.register_buffer("window", torch.from_numpy(definition.window()).to(dtype), persistent=False)
        self.register_buffer("filterbank", torch.from_numpy(definition.filterbank()).to(dtype), persistent=False)

    def forward(self, waveform: Tensor) -> Tensor:
        """Log-mel spectrograms (B, F, T) of waveforms (B, n_timepoints)."""
        definition = self.definition
        waveform = self._padded(waveform.to(self.window.dtype))
        frames = waveform.unfold(-1, definition.n_fft, definition.hop_length)  # (B, T, n_fft)
        spectrum = torch.fft.rfft(frames * self.window)
        squared = spectrum.real.square() + spectrum.imag.square()
        magnitude = squared if definition.power == 2 else squared.pow(definition.power / 2)
        return self._logarithm((magnitude @ self.filterbank.T).mT)

    def _padded(self, waveform: Tensor) -> Tensor:
        # Where each padded time point comes from, counted from 1 so that 0 stands for the zeros that are filled in:
        # torch's own padding has no reflection beyond the length of a clip.
        source = self.definition.padded(np.arange(1, waveform.shape[-1] + 1))
        with_zero = nn.functional.pad(waveform, (1, 0))
        return with_zero[..., torch.from_numpy(source).to(waveform.device)]

    def _logarithm(self, mel: Tensor) -> Tensor:
        value = mel.clamp(min=self.definition.amin).log() * self.definition.log_scale
        if self.definition.top_db is None:
            return value
        return value.maximum(value.amax(dim=(-2, -1), keepdim=True) - self.definition.top_db)
