"""Training objective of the autoencoder of the DCASE baselines, and its residuals.

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

_EPS = 1e-3  # epsilon of batch normalisation in the baselines


class AutoencoderObjective(nn.Module):
    """Mean squared error of the reconstructions.

    Parameters
    ----------
    network : DenseAutoencoder
        Autoencoder of flattened patches.
    """

    def __init__(self, network: DenseAutoencoder) -> None:
        super().__init__()
        self.network = network

    def forward(self, inputs: dict[str, Tensor], label: Tensor, generator: torch.Generator) -> Tensor:
        """Loss of a batch of patches (B, P, F)."""
        return self.validation_loss(inputs, label)

    def validation_loss(self, inputs: dict[str, Tensor], label: Tensor) -> Tensor:
        """Loss of a batch of held-out patches, which is the same as in training."""
        patch = inputs["patch"].flatten(1)
        return functional.mse_loss(self.network(patch).to(patch.dtype), patch)


class Residuals(nn.Module):
    """Residuals of an autoencoder: its input minus the reconstruction.

    Parameters
    ----------
    network : DenseAutoencoder
        Autoencoder of flattened patches.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, patch: Tensor) -> Tensor:
        """Patches (B, P, F) minus their reconstructions."""
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
        Class of each clip; the same share of every class is held out.
    dtype : dtype
        Precision of the network.
    plan : TrainingPlan
        Hyperparameters of the training.
    seed : int
        Seeds the weights, the order of the patches and the validation set.
    """
    with seeded(seed):
        network = DenseAutoencoder(store.length * store.n_bands, eps=_EPS)
        network.begin_at(torch.from_numpy(store.mean_frame()).repeat(store.length))
        objective = AutoencoderObjective(network).to(torch_dtype(dtype))
    return train(objective, store, label, plan, seed=seed)
