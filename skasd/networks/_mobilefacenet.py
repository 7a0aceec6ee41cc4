"""MobileFaceNet: a small convolutional network that maps images to embeddings.

S. Chen et al., "MobileFaceNets", CCBR 2018, arXiv:1804.07573, in the variant of STgram-MFN and OS-SCL.

Axes: B clips, C channels, F bands, T frames.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from skasd._parameters import check_option
from skasd._typing import Float
from skasd.networks._cpu_layers import DepthwiseConv2d, GlobalDepthwiseConv2d, NormActivation
from skasd.networks._time_pooling import TIME_POOLINGS, TimePooling

# (expansion, channels, number of blocks, stride of the first block)
BOTTLENECKS = {
    "2023": ((2, 128, 2, 2), (4, 128, 2, 2), (4, 128, 2, 2)),
    "2021": ((2, 64, 5, 2), (4, 128, 1, 2), (2, 128, 6, 1), (4, 128, 1, 2), (2, 128, 2, 1)),
}
POOLINGS = ("depthwise", *TIME_POOLINGS)
_STEM_CHANNELS = 64
_LAST_CHANNELS = 512


def check_bottlenecks(bottlenecks: Any) -> None:
    """Raise unless `bottlenecks` is a valid sequence of stages for :class:`MobileFaceNet` or the name of a known one."""
    if isinstance(bottlenecks, str):
        check_option("bottlenecks", bottlenecks, BOTTLENECKS)
        return
    stages = bottlenecks if isinstance(bottlenecks, list | tuple) else ()
    is_stage = [isinstance(stage, list | tuple) and len(stage) == 4 and min(stage) >= 1 for stage in stages]
    if not stages or not all(is_stage):
        raise ValueError(
            f"bottlenecks={bottlenecks!r}; one of {tuple(BOTTLENECKS)} is expected, or stages, each with four positive "
            "integers: expansion, channels, blocks and stride."
        )


class MobileFaceNet(nn.Module):
    """MobileFaceNet: images to embeddings.

    Parameters
    ----------
    n_channels : int
        Number of channels of the input.
    size : tuple of int
        Number of bands and frames of the input, which determine the size of the global filter.
    embedding_dim : int, default=128
        Length of the embedding.
    bottlenecks : {"2023", "2021"} or sequence of (int, int, int, int), default="2023"
        Stages as (expansion, channels, number of blocks, stride of the first block). ``"2023"`` are those of OS-SCL and the
        newer code of STgram-MFN, ``"2021"`` those of the older code of STgram-MFN and of CLP-SCF.
    pooling : {"depthwise", "generalised_mean", "rank", "attention"}, default="depthwise"
        Pooling of the last feature map. ``"depthwise"``, as published: a filter as large as the map for each channel. The
        others pool over time first, see :class:`TimePooling`, and leave the filter to weight the bands.

    Notes
    -----
    Departure from the reference code: its unused last linear layer is left out.
    """

    def __init__(
        self,
        n_channels: int,
        size: tuple[int, int],
        *,
        embedding_dim: int = 128,
        bottlenecks: str | Sequence[tuple[int, int, int, int]] = "2023",
        pooling: str = "depthwise",
    ) -> None:
        super().__init__()
        stages = BOTTLENECKS[bottlenecks] if isinstance(bottlenecks, str) else tuple(bottlenecks)
        self.stem = nn.Sequential(
            nn.Conv2d(n_channels, _STEM_CHANNELS, 3, stride=2, padding=1, bias=False),
            NormActivation(_STEM_CHANNELS),
            DepthwiseConv2d(_STEM_CHANNELS, 1),
            NormActivation(_STEM_CHANNELS),
        )
        self.stages = nn.Sequential(*_blocks(_STEM_CHANNELS, stages))
        n_out = stages[-1][1]
        self.widen = nn.Sequential(nn.Conv2d(n_out, _LAST_CHANNELS, 1, bias=False), NormActivation(_LAST_CHANNELS))
        n_bands, n_frames = _map_size(size, stages)
        over_time = [] if pooling == "depthwise" else [TimePooling(_LAST_CHANNELS, pooling)]
        self.pool = nn.Sequential(
            *over_time,
            GlobalDepthwiseConv2d(_LAST_CHANNELS, (n_bands, 1 if over_time else n_frames)),
            nn.BatchNorm1d(_LAST_CHANNELS),
        )
        self.project = nn.Sequential(
            nn.Linear(_LAST_CHANNELS, embedding_dim, bias=False), nn.BatchNorm1d(embedding_dim)
        )
        self.apply(_initialise)

    def forward(self, image: Float[Tensor, "clips channels bands frames"]) -> Float[Tensor, "clips dim"]:
        """Embeddings of images."""
        x = self.stem(image)  # (B, 64, F / 2, T / 2)
        x = self.stages(x)  # (B, 128, F / 16, T / 16)
        x = self.widen(x)  # (B, 512, F / 16, T / 16)
        x = self.pool(x)  # (B, 512)
        return self.project(x)


class Bottleneck(nn.Module):
    """Inverted bottleneck: expansion, depthwise convolution and projection; residual where the shape stays the same.

    Parameters
    ----------
    n_in, n_out : int
        Number of input and output channels.
    expansion : int
        Ratio of hidden to input channels.
    stride : int
        Stride in frequency and time.
    """

    def __init__(self, n_in: int, n_out: int, expansion: int, stride: int) -> None:
        super().__init__()
        width = expansion * n_in
        self.residual = stride == 1 and n_in == n_out
        self.layers = nn.Sequential(
            nn.Conv2d(n_in, width, 1, bias=False),
            NormActivation(width),
            DepthwiseConv2d(width, stride),
            NormActivation(width),
            nn.Conv2d(width, n_out, 1, bias=False),
            NormActivation(n_out, None),
        )

    def forward(
        self, x: Float[Tensor, "clips channels bands frames"]
    ) -> Float[Tensor, "clips channels_out bands_out frames_out"]:
        """Map with ceil(F / stride) bands and ceil(T / stride) frames."""
        return x + self.layers(x) if self.residual else self.layers(x)


def _blocks(n_in: int, stages: Sequence[tuple[int, int, int, int]]) -> list[nn.Module]:
    blocks: list[nn.Module] = []
    for expansion, n_out, n_blocks, stride in stages:
        for index in range(n_blocks):
            blocks.append(Bottleneck(n_in, n_out, expansion, stride if index == 0 else 1))
            n_in = n_out
    return blocks


def _map_size(size: tuple[int, int], stages: Sequence[tuple[int, int, int, int]]) -> tuple[int, int]:
    """Number of bands and frames of the map before the global filter."""
    strides = [2, *(stride for *_, stride in stages)]
    n_mels, n_frames = size
    for stride in strides:
        n_mels, n_frames = -(-n_mels // stride), -(-n_frames // stride)
    return n_mels, n_frames


def _initialise(layer: nn.Module) -> None:
    """Draw weights from a normal distribution with variance 2 / (filter area x output channels), as the reference code."""
    if isinstance(layer, nn.Conv2d | nn.Linear | GlobalDepthwiseConv2d):
        place = 1 if isinstance(layer, GlobalDepthwiseConv2d) else 2  # first axis of the filter's area in the weight
        area = math.prod(layer.weight.shape[place:])
        torch.nn.init.normal_(layer.weight, std=math.sqrt(2 / (area * len(layer.weight))))
