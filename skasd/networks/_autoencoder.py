"""The dense autoencoder of the challenge baselines, from a few frames back to themselves.

Y. Koizumi et al., "Description and discussion on DCASE2020 Challenge Task 2", arXiv:2006.05822; the same in every year
since, and in the joint system of X. Cai et al., DCASE Workshop 2021.

Axes: B patches, N values of a patch, D numbers in the middle.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

_HIDDEN_LAYERS = 4  # on either side of the middle


class DenseAutoencoder(nn.Module):
    """Patches to a few numbers, and back.

    Parameters
    ----------
    n_values : int
        Of a patch.
    width : int, default=128
        Of the hidden layers.
    bottleneck_dim : int, default=8
        Numbers in the middle.
    eps : float, default=1e-5
        Added to the variances of batch normalisation.
    """

    def __init__(self, n_values: int, *, width: int = 128, bottleneck_dim: int = 8, eps: float = 1e-5) -> None:
        super().__init__()
        hidden = [width] * _HIDDEN_LAYERS
        self.encoder = _layers([n_values, *hidden, bottleneck_dim], eps)
        self.decoder = nn.Sequential(_layers([bottleneck_dim, *hidden], eps), nn.Linear(width, n_values))

    def begin_at(self, patch: Tensor) -> None:
        """Reproduce everything as this patch (N,) in the beginning: levels in dB are far from 0, and steps are small."""
        with torch.no_grad():
            self.decoder[-1].bias.copy_(patch)  # type: ignore[operator]

    def forward(self, patch: Tensor) -> Tensor:
        """Reconstructions (B, N) of patches (B, N)."""
        return self.decoder(self.encoder(patch))


def _layers(widths: Sequence[int], eps: float) -> nn.Sequential:
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise(widths):
        layers += [nn.Linear(n_in, n_out), nn.BatchNorm1d(n_out, eps=eps), nn.ReLU()]
    return nn.Sequential(*layers)
