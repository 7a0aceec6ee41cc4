"""What the autoencoder of the challenge baselines minimises, and what its residuals say of a clip.

N. Harada et al., "First-shot anomaly sound detection for machine condition monitoring: a domain generalization baseline",
EUSIPCO 2023, arXiv:2303.00455.

Axes: B patches, P frames of a patch, F mel bands, R rows (frames of all patches).
"""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from skasd.networks import DenseAutoencoder
from skasd.training import PatchStore, Training, TrainingPlan, seeded, train
from skasd.training._precision import torch_dtype

_EPS = 1e-3  # of batch normalisation in the baselines


class AutoencoderObjective(nn.Module):
    """Mean squared error of reconstructions.

    Parameters
    ----------
    network : DenseAutoencoder
        Patches to themselves.
    """

    def __init__(self, network: DenseAutoencoder) -> None:
        super().__init__()
        self.network = network

    def forward(self, inputs: dict[str, Tensor], label: Tensor, generator: torch.Generator) -> Tensor:
        """Loss of a batch of patches (B, P, F)."""
        return self.validation_loss(inputs, label)

    def validation_loss(self, inputs: dict[str, Tensor], label: Tensor) -> Tensor:
        """The same of clips held out."""
        patch = inputs["patch"].flatten(1)
        return functional.mse_loss(self.network(patch).to(patch.dtype), patch)


class Residuals(nn.Module):
    """What a network leaves unexplained.

    Parameters
    ----------
    network : DenseAutoencoder
        Patches to themselves.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, patch: Tensor) -> Tensor:
        """Patches (B, P, F) less their reconstructions."""
        return patch - self.network(patch.flatten(1)).view_as(patch)


def train_autoencoder(
    store: PatchStore, label: np.ndarray, dtype: np.dtype, plan: TrainingPlan, *, seed: int
) -> Training:
    """Build the autoencoder for these patches and train it.

    Parameters
    ----------
    store : PatchStore
        Patches of P frames.
    label : ndarray of shape (n_clips,), int64
        Clips are held out by the same share of each.
    dtype : dtype
        Precision of the network.
    plan : TrainingPlan
        How it is trained.
    seed : int
        Seeds the weights and the order of the patches.
    """
    with seeded(seed):
        network = DenseAutoencoder(store.length * store.n_bands, eps=_EPS)
        network.begin_at(torch.from_numpy(store.mean_frame()).repeat(store.length))
        return train(AutoencoderObjective(network).to(torch_dtype(dtype)), store, label, plan, seed=seed)
