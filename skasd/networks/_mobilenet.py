"""MobileNetV2: inverted residual blocks, from an image to a map of features.

M. Sandler et al., "MobileNetV2: inverted residuals and linear bottlenecks", CVPR 2018, arXiv:1801.04381, Table 2.

Axes: B images, C channels, F mel bands, T frames.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from skasd.networks._cpu_layers import DepthwiseConv2d, NormActivation

# (expansion, channels, blocks, stride of the first block)
_STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
_STEM_CHANNELS = 32
_DIVISOR = 8  # of numbers of channels
LAST_CHANNELS = 1280


class MobileNetV2(nn.Sequential):
    """Images (B, C, F, T) to maps of features (B, 1280, F / 32, T / 32), rounded up.

    Parameters
    ----------
    n_channels : int, default=1
        Of the images.
    width : float, default=1.0
        Factor of all numbers of channels, rounded to multiples of eight; of the last only if it is above 1.
    """

    def __init__(self, n_channels: int = 1, width: float = 1.0) -> None:
        n_in = rounded(_STEM_CHANNELS * width)
        layers: list[nn.Module] = [convolution(n_channels, n_in, 3, 2, "relu6")]
        for expansion, n_out, n_blocks, stride in _STAGES:
            for index in range(n_blocks):
                n_block_out = rounded(n_out * width)
                layers.append(InvertedResidual(n_in, n_block_out, expansion, stride if index == 0 else 1))
                n_in = n_block_out
        n_features = max(LAST_CHANNELS, rounded(LAST_CHANNELS * width))
        super().__init__(*layers, convolution(n_in, n_features, 1, 1, "relu6"))
        self.n_features = n_features
        self.apply(_initialise)


class InvertedResidual(nn.Module):
    """Wider by a factor, filtered per channel, and narrower again; added to the input where the shape stays.

    Parameters
    ----------
    n_in, n_out : int
        Channels.
    expansion : int
        Factor of the width in between; with 1 the first convolution is left out.
    stride : int
        Step in frequency and time.
    activation : {"relu6", "silu"}, default="relu6"
        After all convolutions but the last.
    size : int, default=3
        Places of the filter of each channel in frequency and time.
    squeeze : bool, default=False
        Whether channels are weighted by their means, through a quarter as many numbers as the input has channels.
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        expansion: int,
        stride: int,
        activation: str = "relu6",
        size: int = 3,
        squeeze: bool = False,
    ) -> None:
        super().__init__()
        width = expansion * n_in
        self.is_residual = stride == 1 and n_in == n_out
        widen = [convolution(n_in, width, 1, 1, activation)] if expansion > 1 else []
        self.layers = nn.Sequential(
            *widen,
            nn.Sequential(DepthwiseConv2d(width, stride, size), NormActivation(width, activation)),
            ChannelWeights(width, n_in // 4) if squeeze else nn.Identity(),
            convolution(width, n_out, 1, 1, None),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, n_out, ceil(F / stride), ceil(T / stride)) of a map (B, n_in, F, T)."""
        return x + self.layers(x) if self.is_residual else self.layers(x)


class ChannelWeights(nn.Module):
    """Squeeze and excitation of EfficientNet: weights in (0, 1) of channels from the means of all, with biases.

    Parameters
    ----------
    n_channels, n_between : int
        Channels of the map, and numbers in between.
    """

    def __init__(self, n_channels: int, n_between: int) -> None:
        super().__init__()
        self.narrow, self.widen = nn.Linear(n_channels, n_between), nn.Linear(n_between, n_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, F, T) with its channels weighted."""
        weight = torch.sigmoid(self.widen(functional.silu(self.narrow(x.mean(dim=(2, 3))))))  # (B, C)
        return x * weight[:, :, None, None]


def convolution(n_in: int, n_out: int, size: int, stride: int, activation: str | None) -> nn.Sequential:
    """Convolution of a square of so many places, batch normalisation and activation."""
    filters = nn.Conv2d(n_in, n_out, size, stride, size // 2, bias=False)
    return nn.Sequential(filters, NormActivation(n_out, activation))


def rounded(n_channels: float) -> int:
    """The nearest multiple of eight, at least eight, and not below nine tenths of what was asked for.

    Examples
    --------
    >>> rounded(32), rounded(12), rounded(4)
    (32, 16, 8)
    """
    nearest = max(_DIVISOR, int(n_channels + _DIVISOR / 2) // _DIVISOR * _DIVISOR)
    return nearest if nearest >= 0.9 * n_channels else nearest + _DIVISOR


def _initialise(layer: nn.Module) -> None:
    """Convolutions by Xavier's uniform rule, as the joint system draws them."""
    if isinstance(layer, nn.Conv2d):
        nn.init.xavier_uniform_(layer.weight)
