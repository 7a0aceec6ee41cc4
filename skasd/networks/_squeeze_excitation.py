"""Squeeze and excitation: channels weighted by a function of the means of all channels.

J. Hu et al., "Squeeze-and-excitation networks", CVPR 2018, arXiv:1709.01507; without biases.

Axes: B clips, C channels.
"""

from torch import Tensor, nn

from skasd._typing import Float

_REDUCTION = 16


class SqueezeExcitation(nn.Module):
    """Squeeze and excitation: weights in (0, 1) for the channels of a map.

    Parameters
    ----------
    n_channels : int
        Number of channels of the map. The hidden layer has a sixteenth as many units.
    """

    def __init__(self, n_channels: int) -> None:
        super().__init__()
        n_between = max(1, n_channels // _REDUCTION)
        self.weigh = nn.Sequential(
            nn.Linear(n_channels, n_between, bias=False),
            nn.ReLU(),
            nn.Linear(n_between, n_channels, bias=False),
            nn.Sigmoid(),
        )

    def forward(self, x: Float[Tensor, "clips channels *positions"]) -> Float[Tensor, "clips channels *positions"]:
        """Map with weighted channels."""
        weight = self.weigh(x.flatten(2).mean(dim=2))  # (B, C)
        return x * weight[(...,) + (None,) * (x.ndim - 2)]
