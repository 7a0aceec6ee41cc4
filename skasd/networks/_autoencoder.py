"""The dense autoencoder of the challenge baselines, which reconstructs patches of a few frames.

Y. Koizumi et al., "Description and discussion on DCASE2020 Challenge Task 2", arXiv:2006.05822. The baselines of all later
years use the same network, and so does the joint system of X. Cai et al., DCASE Workshop 2021.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from skasd._typing import Float

_HIDDEN_LAYERS = 4  # on either side of the bottleneck


class DenseAutoencoder(nn.Module):
    """Fully connected autoencoder of flattened patches.

    Parameters
    ----------
    n_values : int
        Number of values in a patch.
    width : int, default=128
        Number of units in each hidden layer.
    bottleneck_dim : int, default=8
        Number of units in the bottleneck.
    eps : float, default=1e-5
        Constant added to the variance in batch normalisation.
    """

    def __init__(self, n_values: int, *, width: int = 128, bottleneck_dim: int = 8, eps: float = 1e-5) -> None:
        super().__init__()
        hidden = [width] * _HIDDEN_LAYERS
        self.encoder = _layers([n_values, *hidden, bottleneck_dim], eps)
        self.decoder = nn.Sequential(_layers([bottleneck_dim, *hidden], eps), nn.Linear(width, n_values))

    def begin_at(self, patch: Float[Tensor, " values"]) -> None:
        """Set the output bias to a patch: levels in dB are far from 0, and training would take many steps to get there."""
        with torch.no_grad():
            self.decoder[-1].bias.copy_(patch)  # type: ignore[operator]

    def forward(self, patch: Float[Tensor, "patches values"]) -> Float[Tensor, "patches values"]:
        """Reconstructions of patches."""
        return self.decoder(self.encoder(patch))


def _layers(widths: Sequence[int], eps: float) -> nn.Sequential:
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise(widths):
        layers += [nn.Linear(n_in, n_out), nn.BatchNorm1d(n_out, eps=eps), nn.ReLU()]
    return nn.Sequential(*layers)
