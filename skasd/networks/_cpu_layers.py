"""Layers of convolutional networks whose gradients are fast on a CPU too.

In bfloat16 and channels-last, torch's own gradients of three layers take most of a training step on a CPU: of PReLU, of
batch normalisation, and of depthwise convolutions with a stride. Here they are the same sums, in another order. On other
devices, and outside of training, torch's own operations run.

Axes: B clips, C channels, F mel bands, T frames.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.grad import conv2d_input, conv2d_weight

_ELEMENTS_IN_CACHE = 2**20  # of a gradient that is worked on at a time


class NormActivation(nn.Module):
    r"""Batch normalisation, then an activation.

    Parameters
    ----------
    n_channels : int
        Channels of the input (B, C, F, T).
    activation : {"prelu", "relu", "relu6", "silu", None}, default="prelu"
        PReLU with a slope for each channel; :math:`\max(u, 0)`; :math:`\min(\max(u, 0), 6)`; :math:`u \sigma(u)`; or none.
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
        self.activation, self.name = makers[activation](), activation

    def forward(self, x: Tensor) -> Tensor:
        """Normalised and activated input, of the shape of the input."""
        norm, activation = self.norm, self.activation
        slope = activation.weight if isinstance(activation, nn.PReLU) else None
        if self.training and _is_own(x) and x.numel() > x.shape[1]:  # torch refuses one value per channel
            norm.num_batches_tracked.add_(1)  # type: ignore[union-attr]
            statistics = (norm.running_mean, norm.running_var, norm.momentum, norm.eps)
            return _NormActivation.apply(x, norm.weight, norm.bias, slope, self.name, *statistics)
        x = norm(x)
        return activation(x) if slope is None else functional.prelu(x, slope.to(x.dtype))


def _is_own(x: Tensor) -> bool:
    """Whether the gradients of this file are taken."""
    fits = x.device.type == "cpu" and x.is_contiguous(memory_format=torch.channels_last)
    return fits and torch.is_grad_enabled() and not torch.compiler.is_compiling()


# each activation without parameters, and the gradient of its input u
_ACTIVATIONS: dict[str, tuple[Callable[[Tensor], Tensor], Callable[[Tensor, Tensor], Tensor]]] = {
    "relu": (functional.relu, lambda gradient, u: torch.ops.aten.threshold_backward(gradient, u, 0)),
    "relu6": (functional.relu6, lambda gradient, u: torch.ops.aten.hardtanh_backward(gradient, u, 0, 6)),
    "silu": (functional.silu, torch.ops.aten.silu_backward),
}


class _NormActivation(torch.autograd.Function):
    r"""With :math:`u = \gamma \hat x + \beta` and an activation y of u; of PReLU :math:`y = \max(u, 0) + a \min(u, 0)`.

    The gradient is taken part by part, while the parts are in the cache.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        slope: Tensor | None,
        name: str | None,
        running_mean: Tensor,
        running_var: Tensor,
        momentum: float,
        eps: float,
    ) -> Tensor:
        u, mean, inverse_std = torch.native_batch_norm(x, weight, bias, running_mean, running_var, True, momentum, eps)
        ctx.save_for_backward(x, None if name is None else u, weight, slope, mean, inverse_std)
        ctx.activation = name
        if name is None:
            return u
        return _ACTIVATIONS[name][0](u) if slope is None else functional.prelu(u, slope.to(u.dtype))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, u, weight, slope, mean, inverse_std = ctx.saved_tensors
        x_rows, of_u, of_slope = _rows(x), _rows(gradients[0]), None
        if u is not None and slope is None:
            of_u = _ACTIVATIONS[ctx.activation][1](of_u, _rows(u))
        elif u is not None:
            of_u, of_slope = _through_prelu(_rows(u), of_u, slope)
        centre = mean.to(x.dtype)  # subtracted first: what is large and cancels would be lost to rounding
        rest = mean - centre
        total, with_x = _sums_of_norm(x_rows, centre, of_u)
        with_normalised = (with_x - rest * total) * inverse_std  # sum of the gradient times the normalised input
        scale = weight * inverse_std
        factor = -scale * inverse_std * with_normalised / len(x_rows)
        constant = -scale * total / len(x_rows) - factor * rest
        result = torch.empty_like(x, memory_format=torch.channels_last)
        scale, factor, constant = (value.to(x.dtype) for value in (scale, factor, constant))
        for x_part, part, out in _parts(x_rows, of_u, _rows(result)):
            from_x = torch.addcmul(constant, torch.sub(x_part, centre, out=out), factor)
            torch.addcmul(from_x, part, scale, out=out)
        return result, with_normalised, total, of_slope, None, None, None, None, None


def _through_prelu(u: Tensor, gradient: Tensor, slope: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients of u (B * F * T, C) and of the slope (C,)."""
    of_u, sums = torch.empty_like(gradient), []
    for u_part, part, out in _parts(u, gradient, of_u):
        above = torch.ops.aten.threshold_backward(part, u_part, 0)  # the gradient where u > 0
        below = part - above
        torch.addcmul(above, below, slope.to(u.dtype), out=out)
        sums.append(_column_sums(below.mul_(u_part)))
    return of_u, torch.stack(sums).sum(dim=0)


def _sums_of_norm(x: Tensor, centre: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
    """Sums (C,) of a gradient (B * F * T, C), and of its products with the input less its centre."""
    sums = []
    for x_part, part in _parts(x, gradient):
        products = torch.sub(x_part, centre).mul_(part)
        sums.append((_column_sums(part), _column_sums(products)))
    total, with_x = (torch.stack(values).sum(dim=0) for values in zip(*sums, strict=True))
    return total, with_x


def _rows(x: Tensor) -> Tensor:
    """Channels-last view (B * F * T, C) of a tensor (B, C, F, T)."""
    return x.contiguous(memory_format=torch.channels_last).permute(0, 2, 3, 1).flatten(0, 2)


def _parts(*tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Parts of the rows of tensors (B * F * T, C) that fit into the cache."""
    n_rows = max(1, _ELEMENTS_IN_CACHE // tensors[0].shape[1])
    return zip(*(tensor.split(n_rows) for tensor in tensors), strict=True)


def _column_sums(rows: Tensor) -> Tensor:
    """Sums (C,) over rows, in float32 or better: of parts of a bfloat16 tensor, so that no rounding adds up."""
    return rows.sum(dim=0).to(torch.promote_types(rows.dtype, torch.float32))


class DepthwiseConv2d(nn.Conv2d):
    """One square filter for each channel, without bias.

    Parameters
    ----------
    n_channels : int
        Channels of input and output.
    stride : int
        Step in frequency and time.
    size : int, default=3
        Places of the filter in frequency and time; odd.
    """

    def __init__(self, n_channels: int, stride: int, size: int = 3) -> None:
        super().__init__(n_channels, n_channels, size, stride, size // 2, groups=n_channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Filtered input (B, C, ceil(F / stride), ceil(T / stride))."""
        if self.stride[0] == 1 or not _is_own(x):
            return super().forward(x)
        weight = self.weight
        if torch.is_autocast_enabled("cpu"):
            x, weight = (value.to(torch.get_autocast_dtype("cpu")) for value in (x, weight))
        return _StridedDepthwise.apply(x, weight, self.stride[0])


class _StridedDepthwise(torch.autograd.Function):
    """The gradient of the input is that of a stride of 1, with zeros where the stride had passed over."""

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
        of_x = conv2d_input(x.shape, weight, spread, stride=1, **settings)
        of_weight = conv2d_weight(x, weight.shape, gradient, stride=ctx.stride, **settings)
        return of_x, of_weight, None


class GlobalDepthwiseConv2d(nn.Module):
    """One filter for each channel as large as the map: a weighted sum over frequency and time.

    Parameters
    ----------
    n_channels : int
        Channels of input and output.
    size : tuple of int
        Mel bands and frames of the map.
    """

    def __init__(self, n_channels: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n_channels, *size))

    def forward(self, x: Tensor) -> Tensor:
        """Sums (B, C) of a map (B, C, F, T)."""
        return (x * self.weight.to(x.dtype)).sum(dim=(2, 3))
