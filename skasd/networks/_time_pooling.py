"""Pooling over time that does not drown short events.

Generalised mean: F. Radenovic et al., IEEE TPAMI 2019, arXiv:1711.02512, Eq. (1). Rank-weighted mean: J. Guan et al., ICASSP
2023, arXiv:2305.03328, Eq. (4). Attention: Y. Zhu et al., Interspeech 2018.

Axes: B clips, C channels, F bands, T frames.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from skasd._typing import Float

TIME_POOLINGS = ("generalised_mean", "rank", "attention")
_POWER = 3.0  # of the generalised mean, the usual value
_DECAY = 0.7  # of the weights of the ranks: 0.3, 0.21, 0.15 ...
_LEAST = 1e-6  # powers of negative numbers are not defined


class TimePooling(nn.Module):
    r"""Pool a feature map over time.

    Parameters
    ----------
    n_channels : int
        Number of channels C.
    kind : {"generalised_mean", "rank", "attention"}
        ``"generalised_mean"``: :math:`(\frac{1}{T} \sum_t \max(x_t, 10^{-6})^3)^{1/3}`. ``"rank"``: weighted mean of the
        sorted values of each channel and band, with weights proportional to :math:`0.7^k`, where the largest value has
        :math:`k = 0`. ``"attention"``: weighted mean whose weights over time are the softmax of a learnt linear function of
        the channels.

    Examples
    --------
    >>> import torch
    >>> x = torch.tensor([0.0, 0.0, 2.0]).reshape(1, 1, 1, 3)
    >>> round(TimePooling(1, "generalised_mean")(x).item(), 3)
    1.387
    """

    def __init__(self, n_channels: int, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.attention = nn.Conv2d(n_channels, 1, 1) if kind == "attention" else None

    def forward(self, x: Float[Tensor, "clips channels bands frames"]) -> Float[Tensor, "clips channels bands one"]:
        """Pooled map with a single frame."""
        if self.attention is not None:
            return (x * self.attention(x).softmax(dim=3)).sum(dim=3, keepdim=True)
        x = x.to(torch.promote_types(x.dtype, torch.float32))
        if self.kind == "generalised_mean":
            return x.clamp(min=_LEAST).pow(_POWER).mean(dim=3, keepdim=True).pow(1 / _POWER)
        weight = _DECAY ** torch.arange(x.shape[3], device=x.device, dtype=x.dtype)
        return functional.linear(x.sort(dim=3, descending=True).values, (weight / weight.sum())[None])
