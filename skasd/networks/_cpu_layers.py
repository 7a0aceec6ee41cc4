"""Layers of convolutional networks whose gradients are fast on a CPU too.

With bfloat16 and channels-last memory on a CPU, torch spends most of a training step on the gradients of two layers: PReLU
and strided depthwise convolutions. The layers in this file compute the same sums in another order. On other devices and
outside of training they run torch's own operations.

Axes: B clips, C channels, F bands, T frames.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.grad import conv2d_weight

from skasd._typing import Float

_ELEMENTS_IN_CACHE = 2**20  # size of the part of a gradient that is processed at a time


class NormActivation(nn.Module):
    r"""Batch normalisation followed by an activation.

    Parameters
    ----------
    n_channels : int
        Number of channels of the input.
    activation : {"prelu", "relu", "relu6", "silu", None}, default="prelu"
        Activation: PReLU with one slope per channel, ReLU :math:`\max(u, 0)`, ReLU6 :math:`\min(\max(u, 0), 6)`, SiLU
        :math:`u \sigma(u)`, or none.
    """

    def __init__(self, n_channels: int, activation: str | None = "prelu") -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(n_channels)
        makers: dict[str | None, Callable[[], nn.Module]] = {
            "prelu": lambda: nn.PReLU(n_channels),
            "relu": nn.ReLU,
            "relu6": nn.ReLU6,
            "silu": nn.SiLU,
            None: nn.Identity,
        }
        self.activation = makers[activation]()

    def forward(self, x: Float[Tensor, "clips channels bands frames"]) -> Float[Tensor, "clips channels bands frames"]:
        """Normalised and activated input."""
        u = self.norm(x)
        if not isinstance(self.activation, nn.PReLU):
            return self.activation(u)
        slope = self.activation.weight
        return _ChannelPReLU.apply(u, slope) if self.training and _is_own(u) else functional.prelu(u, slope.to(u.dtype))


def _is_own(x: Tensor) -> bool:
    """Whether the gradients defined in this file are used for this input."""
    fits = x.device.type == "cpu" and x.is_contiguous(memory_format=torch.channels_last)
    return fits and torch.is_grad_enabled() and not torch.compiler.is_compiling()


class _ChannelPReLU(torch.autograd.Function):
    r""":math:`\max(u, 0) + a \min(u, 0)` with one slope per channel.

    The backward pass works on parts that fit into the cache.
    """

    @staticmethod
    def forward(ctx: Any, u: Tensor, slope: Tensor) -> Tensor:
        ctx.save_for_backward(u, slope)
        return functional.prelu(u, slope.to(u.dtype))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        u, slope = ctx.saved_tensors
        of_u, sums = torch.empty_like(u, memory_format=torch.channels_last), []
        for u_part, part, out in _parts(_rows(u), _rows(gradients[0]), _rows(of_u)):
            above = torch.ops.aten.threshold_backward(part, u_part, 0)  # the gradient where u > 0
            below = part - above
            torch.addcmul(above, below, slope.to(u.dtype), out=out)
            sums.append(_column_sums(below.mul_(u_part)))
        return of_u, torch.stack(sums).sum(dim=0)


def _rows(x: Tensor) -> Tensor:
    """Channels-last view (B * F * T, C) of a tensor (B, C, F, T)."""
    return x.contiguous(memory_format=torch.channels_last).permute(0, 2, 3, 1).flatten(0, 2)


def _parts(*tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Split tensors (B * F * T, C) into blocks of rows that fit into the cache."""
    n_rows = max(1, _ELEMENTS_IN_CACHE // tensors[0].shape[1])
    return zip(*(tensor.split(n_rows) for tensor in tensors), strict=True)


def _column_sums(rows: Tensor) -> Tensor:
    """Sums (C,) over rows in at least float32, so that rounding errors of bfloat16 parts do not accumulate."""
    return rows.sum(dim=0).to(torch.promote_types(rows.dtype, torch.float32))


class DepthwiseConv2d(nn.Conv2d):
    """Depthwise convolution with one square filter per channel, without bias.

    Parameters
    ----------
    n_channels : int
        Number of channels of input and output.
    stride : int
        Stride in frequency and time.
    size : int, default=3
        Side length of the filter; odd.
    """

    def __init__(self, n_channels: int, stride: int, size: int = 3) -> None:
        super().__init__(n_channels, n_channels, size, stride, size // 2, groups=n_channels, bias=False)

    def forward(
        self, x: Float[Tensor, "clips channels bands frames"]
    ) -> Float[Tensor, "clips channels bands_out frames_out"]:
        """Filtered input with ceil(F / stride) bands and ceil(T / stride) frames."""
        if self.stride[0] == 1 or self.bias is not None or not _is_own(x):  # folding gives it a bias
            return super().forward(x)
        weight = self.weight
        if torch.is_autocast_enabled("cpu"):
            x, weight = (value.to(torch.get_autocast_dtype("cpu")) for value in (x, weight))
        return _StridedDepthwise.apply(x, weight, self.stride[0])


class _StridedDepthwise(torch.autograd.Function):
    """Depthwise convolution with a stride, whose input gradient is computed as a convolution of stride 1.

    The output gradient is spread over the input grid, with zeros at the places that the stride skipped, and convolved with
    the filter rotated by 180 degrees. torch's own gradients take several times as long.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride = stride
        return functional.conv2d(x, weight, stride=stride, padding=weight.shape[2] // 2, groups=len(weight))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        (gradient,) = gradients
        x, weight = ctx.saved_tensors
        spread = torch.zeros_like(x, memory_format=torch.channels_last)
        spread[:, :, :: ctx.stride, :: ctx.stride] = gradient
        settings: dict[str, Any] = {"padding": weight.shape[2] // 2, "groups": len(weight)}
        of_x = functional.conv2d(spread, weight.flip(2, 3), **settings)
        return of_x, conv2d_weight(x, weight.shape, gradient, stride=ctx.stride, **settings), None


class GlobalDepthwiseConv2d(nn.Module):
    """Depthwise convolution whose filters are as large as the map: a weighted sum over frequency and time.

    Parameters
    ----------
    n_channels : int
        Number of channels of input and output.
    size : tuple of int
        Number of bands and frames of the map.
    """

    def __init__(self, n_channels: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n_channels, *size))

    def forward(self, x: Float[Tensor, "clips channels bands frames"]) -> Float[Tensor, "clips channels"]:
        """Weighted sum of each channel."""
        return (x * self.weight.to(x.dtype)).sum(dim=(2, 3))
