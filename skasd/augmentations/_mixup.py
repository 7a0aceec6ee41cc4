"""Mixup: each clip of a batch is mixed with another one.

H. Zhang et al., "mixup: beyond empirical risk minimization", ICLR 2018, arXiv:1710.09412.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from skasd._device import dtype_on
from skasd._typing import Float, Int


@dataclass(frozen=True)
class Mixing:
    r"""Mixing of the clips of a batch: :math:`x_i \leftarrow \lambda x_i + (1 - \lambda) x_{\pi(i)}`.

    Parameters
    ----------
    share : Tensor of shape ()
        Share :math:`\lambda` of the clip itself, one for the batch, dimensionless, in [0, 1]. At 0 every clip is replaced by
        its partner.
    partner : Tensor of shape (clips,), int64
        Permutation :math:`\pi`: the index of the partner of each clip.
    """

    share: Float[Tensor, ""]
    partner: Int[Tensor, " clips"]

    def __call__(self, x: Float[Tensor, "clips *shape"]) -> Float[Tensor, "clips *shape"]:
        """Mix `x` with its permutation, in the unit of `x`."""
        return torch.lerp(x[self.partner], x, self.share.to(x.dtype))


def no_mixing(n_clips: int, *, device: torch.device) -> Mixing:
    """Mixing that leaves every clip as it is."""
    return Mixing(torch.ones((), dtype=torch.float32, device=device), torch.arange(n_clips, device=device))


def draw_mixing(
    n_clips: int, alpha: float, generator: torch.Generator, *, device: torch.device | str = "cpu"
) -> Mixing:
    r"""Draw the share :math:`\lambda \sim \mathrm{Beta}(\alpha, \alpha)` and the permutation of mixup [1]_.

    Parameters
    ----------
    n_clips : int
        Number of clips in the batch.
    alpha : float
        Parameter of the beta distribution, dimensionless, above 0. Small values make :math:`\lambda` close to 0 or 1.
    generator : torch.Generator
        Random generator.
    device : torch.device or str, default="cpu"
        Device of the batch, which the drawn numbers are moved to.

    Returns
    -------
    mixing : Mixing
        Share and partners.

    Notes
    -----
    As in the code of OS-SCL, :math:`\lambda` is not folded to at least 1/2, so in half of the batches the partner has the
    larger share. It is drawn as :math:`G_1 / (G_1 + G_2)` with gamma variables :math:`G_1, G_2` of shape :math:`\alpha`.

    References
    ----------
    .. [1] H. Zhang et al., "mixup: beyond empirical risk minimization", ICLR 2018. arXiv:1710.09412.

    Examples
    --------
    >>> import torch
    >>> mixing = draw_mixing(4, 0.5, torch.Generator().manual_seed(0))
    >>> sorted(mixing.partner.tolist())
    [0, 1, 2, 3]
    """
    device, dtype = torch.device(device), dtype_on(generator.device, torch.float64)
    concentration = torch.full((2,), alpha, dtype=dtype, device=generator.device)
    gamma = torch._standard_gamma(concentration, generator=generator)  # torch.distributions takes no generator
    partner = torch.randperm(n_clips, generator=generator, device=generator.device)
    share = gamma[0] / gamma.sum()
    return Mixing(share.to(device, dtype_on(device, share.dtype)), partner.to(device))
