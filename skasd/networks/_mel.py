"""Log-mel spectrogram as a network layer: the definition in `skasd._mel`, implemented in torch for any device.

Axes: B clips, F bands, T frames.
"""

import numpy as np
import torch
from torch import Tensor, nn

from skasd._mel import MelDefinition
from skasd._typing import Float


class LogMelNet(nn.Module):
    """Differentiable log-mel spectrogram of waveforms.

    Parameters
    ----------
    definition : MelDefinition
        Window, filterbank, framing and logarithm.
    dtype : torch.dtype, default=torch.float32
        Data type of window and filterbank; waveforms are converted to it.

    Notes
    -----
    The result equals that of the CPU path of :class:`skasd.features.LogMelTransformer` within 1e-9 dB in float64. In float32
    rounding errors of the loud bands of a frame are added to its quiet ones: on real recordings the two differ by up to 1e-3
    dB, by up to 4e-4 dB in bands at most 60 dB below the loudest band of their frame, and by 3e-6 dB in the mean. `top_db`
    refers to the maximum of each clip, never of the batch, so a clip's result does not depend on the other clips of the
    batch.
    """

    window: Tensor
    filterbank: Tensor

    def __init__(self, definition: MelDefinition, *, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.definition = definition
        self.register_buffer("window", torch.from_numpy(definition.window()).to(dtype), persistent=False)
        self.register_buffer("filterbank", torch.from_numpy(definition.filterbank()).to(dtype), persistent=False)

    def forward(self, waveform: Float[Tensor, "clips timepoints"]) -> Float[Tensor, "clips bands frames"]:
        """Log-mel spectrograms of waveforms."""
        definition = self.definition
        waveform = self._padded(waveform.to(self.window.dtype))
        frames = waveform.unfold(-1, definition.n_fft, definition.hop_length)  # (B, T, n_fft)
        spectrum = torch.fft.rfft(frames * self.window)
        squared = spectrum.real.square() + spectrum.imag.square()
        magnitude = squared if definition.power == 2 else squared.pow(definition.power / 2)
        return self._logarithm((magnitude @ self.filterbank.T).mT)

    def _padded(self, waveform: Float[Tensor, "clips timepoints"]) -> Float[Tensor, "clips padded"]:
        # Index of the source of each padded time point, counted from 1; 0 stands for a zero. torch's own padding cannot
        # reflect by more than the length of a clip.
        source = self.definition.padded(np.arange(1, waveform.shape[-1] + 1))
        with_zero = nn.functional.pad(waveform, (1, 0))
        return with_zero[..., torch.from_numpy(source).to(waveform.device)]

    def _logarithm(self, mel: Float[Tensor, "clips bands frames"]) -> Float[Tensor, "clips bands frames"]:
        value = mel.clamp(min=self.definition.amin).log() * self.definition.log_scale
        if self.definition.top_db is None:
            return value
        return value.maximum(value.amax(dim=(-2, -1), keepdim=True) - self.definition.top_db)
