"""TFgramNet: a deep convolutional network that turns the waveform into a third time-frequency image.

S. Huang et al., "Noise supervised contrastive learning and feature-perturbed for anomalous sound detection" (OS-SCL),
ICASSP 2025, arXiv:2509.13853, based on the Wavegram of Q. Kong et al., "PANNs", 2020, arXiv:1912.10211.

Axes: B clips, F bands, T frames, L timepoints.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from skasd._typing import Float
from skasd.networks._cpu_layers import NormActivation

_STEM_CHANNELS = 64
_STEM_STRIDE = 5
_POOL = 4
_SHORTEST = _STEM_STRIDE * _POOL


class TFgramNet(nn.Module):
    """Waveforms to an image of the size of a log-mel spectrogram.

    Parameters
    ----------
    size : tuple of int
        Number of bands and frames of the image.

    Notes
    -----
    The output channels take the place of mel bands; their order has no meaning. One-dimensional layers are implemented as
    two-dimensional layers of height 1, which can run channels-last. Departure from the reference code: its class also
    contains the rest of a PANNs network, about 79.8 million parameters that receive no gradient. They are left out here.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__()
        n_mels, n_frames = size
        self.stem = _layer(1, _STEM_CHANNELS, 11, stride=_STEM_STRIDE, padding=5)
        self.block1 = nn.Sequential(*_pair(_STEM_CHANNELS, _STEM_CHANNELS), nn.MaxPool2d((1, _POOL)))
        self.block2 = nn.Sequential(*_pair(_STEM_CHANNELS, n_mels), nn.AdaptiveMaxPool2d((1, 2 * n_frames)))
        self.block3 = nn.Sequential(*_pair(n_mels, n_mels), nn.AdaptiveMaxPool2d((1, n_frames)))
        self.apply(_initialise)

    def forward(self, waveform: Float[Tensor, "clips timepoints"]) -> Float[Tensor, "clips bands frames"]:
        """Nonnegative image of waveforms."""
        if waveform.shape[-1] < _SHORTEST:
            waveform = functional.pad(waveform, (0, _SHORTEST - waveform.shape[-1]))
        x = self.stem(waveform[:, None, None])  # (B, 64, 1, L / 5)
        x = self.block1(x)  # (B, 64, 1, L / 20)
        x = self.block2(x)  # (B, F, 1, 2 T)
        return self.block3(x).squeeze(2)


def _layer(n_in: int, n_out: int, width: int, *, stride: int = 1, dilation: int = 1, padding: int) -> nn.Sequential:
    convolution = nn.Conv2d(n_in, n_out, (1, width), (1, stride), (0, padding), dilation=(1, dilation), bias=False)
    return nn.Sequential(convolution, NormActivation(n_out, "relu"))


def _pair(n_in: int, n_out: int) -> tuple[nn.Module, nn.Module]:
    return _layer(n_in, n_out, 3, padding=1), _layer(n_out, n_out, 3, dilation=2, padding=2)


def _initialise(layer: nn.Module) -> None:
    if isinstance(layer, nn.Conv2d):
        torch.nn.init.xavier_uniform_(layer.weight)
