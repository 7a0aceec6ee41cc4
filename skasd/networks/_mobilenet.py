"""MobileNetV2: inverted residual blocks that map an image to a feature map.

M. Sandler et al., "MobileNetV2: inverted residuals and linear bottlenecks", CVPR 2018, arXiv:1801.04381, Table 2.

Axes: B images, C channels, F bands, T frames.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from skasd._typing import Float
from skasd.networks._cpu_layers import DepthwiseConv2d, NormActivation

# (expansion, channels, number of blocks, stride of the first block)
_STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
_STEM_CHANNELS = 32
_DIVISOR = 8  # numbers of channels are multiples of it
LAST_CHANNELS = 1280


class MobileNetV2(nn.Sequential):
    """MobileNetV2 up to its last feature map: images (B, C, F, T) to maps (B, 1280, ceil(F / 32), ceil(T / 32)).

    Parameters
    ----------
    n_channels : int, default=1
        Number of channels of the images.
    width : float, default=1.0
        Width multiplier, dimensionless: scales the number of channels of every layer, rounded to a multiple of 8. The last
        layer is only scaled if it is above 1.
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
    """Inverted residual block: expansion, depthwise convolution and projection; residual where the shape stays the same.

    Parameters
    ----------
    n_in, n_out : int
        Number of input and output channels.
    expansion : int
        Ratio of hidden to input channels; 1 leaves out the expansion.
    stride : int
        Stride in frequency and time.
    activation : {"relu6", "silu"}, default="relu6"
        Activation after every convolution except the last.
    size : int, default=3
        Side length of the depthwise filters.
    squeeze : bool, default=False
        Whether the block has squeeze and excitation, with a quarter as many hidden units as input channels.
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

    def forward(
        self, x: Float[Tensor, "images channels bands frames"]
    ) -> Float[Tensor, "images channels_out bands_out frames_out"]:
        """Map with ceil(F / stride) bands and ceil(T / stride) frames."""
        return x + self.layers(x) if self.is_residual else self.layers(x)


class ChannelWeights(nn.Module):
    """Squeeze and excitation of EfficientNet: channel weights in (0, 1) from the means of all channels, with biases.

    Parameters
    ----------
    n_channels, n_between : int
        Number of channels of the map and number of hidden units.
    """

    def __init__(self, n_channels: int, n_between: int) -> None:
        super().__init__()
        self.narrow, self.widen = nn.Linear(n_channels, n_between), nn.Linear(n_between, n_channels)

    def forward(
        self, x: Float[Tensor, "images channels bands frames"]
    ) -> Float[Tensor, "images channels bands frames"]:
        """Map with weighted channels."""
        weight = torch.sigmoid(self.widen(functional.silu(self.narrow(x.mean(dim=(2, 3))))))  # (B, C)
        return x * weight[:, :, None, None]


def convolution(n_in: int, n_out: int, size: int, stride: int, activation: str | None) -> nn.Sequential:
    """Convolution with a square filter of side length `size`, batch normalisation and activation."""
    filters = nn.Conv2d(n_in, n_out, size, stride, size // 2, bias=False)
    return nn.Sequential(filters, NormActivation(n_out, activation))


def rounded(n_channels: float) -> int:
    """Round a number of channels to the nearest multiple of 8, but to at least 8 and at least 90 % of `n_channels`.

    Parameters
    ----------
    n_channels : float
        Requested number of channels.

    Returns
    -------
    n_channels : int
        Multiple of 8.

    Examples
    --------
    >>> rounded(32), rounded(12), rounded(4)
    (32, 16, 8)
    """
    nearest = max(_DIVISOR, int(n_channels + _DIVISOR / 2) // _DIVISOR * _DIVISOR)
    return nearest if nearest >= 0.9 * n_channels else nearest + _DIVISOR


def _initialise(layer: nn.Module) -> None:
    """Initialise convolutions with Xavier's uniform distribution, as in the joint system."""
    if isinstance(layer, nn.Conv2d):
        nn.init.xavier_uniform_(layer.weight)
