"""Normalisation of spectrograms by one mean and one standard deviation, before and after the augmentation.

D. Niizumi et al., "BYOL for audio", IJCNN 2021, arXiv:2103.06695. The statistics are frozen when clips are scored, so the
result for a clip does not depend on the other clips of its batch.
"""

import torch
from torch import Tensor, nn

from skasd._typing import Float, Int


class PreNormalisation(nn.Module):
    r"""Normalisation :math:`(x - \mu) / \sigma` with one mean and one standard deviation for all bands and frames.

    Parameters
    ----------
    mean, std : float
        Mean :math:`\mu` and standard deviation :math:`\sigma`, in the unit of the spectrograms; the initial values if they
        are running statistics.
    running_clips : int or None, default=None
        Number of training spectrograms after which running statistics are frozen. The running mean averages the means of
        the spectrograms; the running variance averages their mean squared deviations from the running mean at the time.
        None uses `mean` and `std` throughout.
    """

    mean: Float[Tensor, ""]
    variance: Float[Tensor, ""]
    n_seen: Int[Tensor, ""]

    def __init__(self, mean: float, std: float, running_clips: int | None = None) -> None:
        super().__init__()
        self.running_clips = running_clips
        self.register_buffer("mean", torch.tensor(float(mean), dtype=torch.float32))
        self.register_buffer("variance", torch.tensor(float(std) ** 2, dtype=torch.float32))
        self.register_buffer("n_seen", torch.zeros((), dtype=torch.int64))

    @property
    def std(self) -> Float[Tensor, ""]:
        r"""Standard deviation :math:`\sigma`, replaced by 1 if the variance is 0."""
        return torch.where(self.variance > 0, self.variance.sqrt(), 1)

    def forward(self, x: Float[Tensor, "clips bands frames"]) -> Float[Tensor, "clips bands frames"]:
        """Normalised spectrograms; updates running statistics in training."""
        if self.training and self.running_clips is not None and int(self.n_seen) < self.running_clips:
            self._learn(x)
        return (x - self.mean.to(x.dtype)) / self.std.to(x.dtype)

    def _learn(self, x: Float[Tensor, "clips bands frames"]) -> None:
        n_before, n = int(self.n_seen), int(self.n_seen) + len(x)
        self.mean += (x.mean().to(self.mean.dtype) - self.mean) * (len(x) / n)
        deviation = (x - self.mean.to(x.dtype)).square().mean().to(self.variance.dtype)
        self.variance.mul_(n_before / n).add_(deviation * (len(x) / n))
        self.n_seen += len(x)


class PostNormalisation(nn.Module):
    """Normalisation to zero mean and unit variance: by batch statistics in training, by running statistics in evaluation.

    Parameters
    ----------
    momentum : float, default=0.99
        Decay of the exponential moving averages of mean and standard deviation, dimensionless, in [0, 1]. During the first
        steps the running statistics are plain means over all steps so far.
    """

    mean: Float[Tensor, ""]
    std: Float[Tensor, ""]
    n_steps: Int[Tensor, ""]

    def __init__(self, momentum: float = 0.99) -> None:
        super().__init__()
        self.momentum = momentum
        self.register_buffer("mean", torch.zeros((), dtype=torch.float32))
        self.register_buffer("std", torch.ones((), dtype=torch.float32))
        self.register_buffer("n_steps", torch.zeros((), dtype=torch.int64))

    def forward(self, x: Float[Tensor, "clips bands frames"]) -> Float[Tensor, "clips bands frames"]:
        """Normalised spectrograms, with the population standard deviation."""
        if not self.training:
            return (x - self.mean.to(x.dtype)) / self.std.to(x.dtype)
        std, mean = torch.std_mean(x, correction=0)
        std = torch.where(std > 0, std, 1)
        self._learn(mean.detach(), std.detach())
        return (x - mean) / std

    def _learn(self, mean: Float[Tensor, ""], std: Float[Tensor, ""]) -> None:
        self.n_steps += 1
        share = max(1 - self.momentum, 1 / int(self.n_steps))
        self.mean.lerp_(mean.to(self.mean.dtype), share)
        self.std.lerp_(std.to(self.std.dtype), share)
