"""Normalisation of spectrograms by two numbers, before and after they are augmented.

D. Niizumi et al., "BYOL for audio", IJCNN 2021, arXiv:2103.06695. When a clip is scored, both are frozen: what it becomes
does not depend on the clips that it is scored with.

Axes: B spectrograms, F mel bands, T frames.
"""

import torch
from torch import Tensor, nn


class PreNormalisation(nn.Module):
    r""":math:`(x - \mu) / \sigma` with one mean and one spread for all bands and frames.

    Parameters
    ----------
    mean, std : float
        :math:`\mu` and :math:`\sigma`; where they run, what they are until the first batch.
    running_clips : int or None, default=None
        None keeps both as they are. Else they are the means, over the first so many spectrograms of the training, of each
        one's mean and of each one's mean squared deviation from the mean so far, and are frozen then.
    """

    mean: Tensor
    variance: Tensor
    n_seen: Tensor

    def __init__(self, mean: float, std: float, running_clips: int | None = None) -> None:
        super().__init__()
        self.running_clips = running_clips
        self.register_buffer("mean", torch.tensor(float(mean)))
        self.register_buffer("variance", torch.tensor(float(std) ** 2))
        self.register_buffer("n_seen", torch.zeros((), dtype=torch.int64))

    @property
    def std(self) -> Tensor:
        r""":math:`\sigma`, 1 where all is equal."""
        return torch.where(self.variance > 0, self.variance.sqrt(), 1)

    def forward(self, x: Tensor) -> Tensor:
        """Normalised spectrograms (B, F, T)."""
        if self.training and self.running_clips is not None and int(self.n_seen) < self.running_clips:
            self._learn(x)
        return (x - self.mean.to(x.dtype)) / self.std.to(x.dtype)

    def _learn(self, x: Tensor) -> None:
        n_before, n = int(self.n_seen), int(self.n_seen) + len(x)
        self.mean += (x.mean().to(self.mean.dtype) - self.mean) * (len(x) / n)
        deviation = (x - self.mean.to(x.dtype)).square().mean().to(self.variance.dtype)
        self.variance.mul_(n_before / n).add_(deviation * (len(x) / n))
        self.n_seen += len(x)


class PostNormalisation(nn.Module):
    r"""Zero mean and unit spread over all values of a training batch; afterwards by running statistics.

    Parameters
    ----------
    momentum : float, default=0.99
        Share of the running mean and standard deviation that is kept at each step, once there were enough steps; until then
        they are plain means over the steps.
    """

    mean: Tensor
    std: Tensor
    n_steps: Tensor

    def __init__(self, momentum: float = 0.99) -> None:
        super().__init__()
        self.momentum = momentum
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("std", torch.ones(()))
        self.register_buffer("n_steps", torch.zeros((), dtype=torch.int64))

    def forward(self, x: Tensor) -> Tensor:
        """Normalised spectrograms (B, F, T); the standard deviation is that of the population."""
        if not self.training:
            return (x - self.mean.to(x.dtype)) / self.std.to(x.dtype)
        std, mean = torch.std_mean(x, correction=0)
        std = torch.where(std > 0, std, 1)
        self._learn(mean.detach(), std.detach())
        return (x - mean) / std

    def _learn(self, mean: Tensor, std: Tensor) -> None:
        self.n_steps += 1
        share = max(1 - self.momentum, 1 / int(self.n_steps))
        self.mean.lerp_(mean.to(self.mean.dtype), share)
        self.std.lerp_(std.to(self.std.dtype), share)
