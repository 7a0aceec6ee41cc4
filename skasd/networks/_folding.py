"""Folding of batch normalisation into the preceding convolutions, for networks that are used for inference only."""

from copy import deepcopy
from itertools import pairwise

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from skasd.networks._cpu_layers import NormActivation


def folded(network: nn.Module) -> nn.Module:
    """Copy of a network that gives the same output in evaluation mode, up to rounding, but faster.

    Parameters
    ----------
    network : nn.Module
        Network in which batch normalisation follows a convolution within an ``nn.Sequential``.

    Returns
    -------
    copy : nn.Module
        Network in evaluation mode; it cannot be trained.
    """
    copy = deepcopy(network).eval().requires_grad_(False)
    for module in copy.modules():
        if isinstance(module, nn.Sequential):
            _fold_pairs(module)
    return copy


def _fold_pairs(layers: nn.Sequential) -> None:
    for (index, convolution), (_, after) in pairwise(list(enumerate(layers))):
        if isinstance(convolution, nn.Conv2d) and isinstance(after, NormActivation):
            layers[index] = fuse_conv_bn_eval(convolution, after.norm)
            layers[index + 1] = after.activation
