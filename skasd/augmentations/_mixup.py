"""Mixup: each clip of a batch mixed with another.

H. Zhang et al., "mixup: beyond empirical risk minimization", ICLR 2018, arXiv:1710.09412.

Axes: B clips.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Mixing:
    r"""Which clips of a batch are mixed, and how: :math:`x_i \leftarrow \lambda x_i + (1 - \lambda) x_{\pi(i)}`.

    Parameters
    ----------
    share : Tensor of shape ()
        :math:`\lambda` in [0, 1], one for the batch; at 0 every clip is its partner.
    partner : Tensor of shape (B,), int64
        The permutation :math:`\pi`.
    """

    share: Tensor
    partner: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """Mixture of `x` of shape (B, ...) with its permutation, in the unit of `x`."""
        return torch.lerp(x[self.partner], x, self.share.to(x.dtype))


def draw_mixing(n_clips: int, alpha: float, generator: torch.Generator) -> Mixing:
    r"""Draw :math:`\lambda \sim \mathrm{Beta}(\alpha, \alpha)` and a permutation.

    Parameters
    ----------
    n_clips : int
        Clips of the batch.
    alpha : float
        Parameter of the distribution, dimensionless and above 0: the smaller, the closer :math:`\lambda` is to 0 or 1.
    generator : torch.Generator
        On the device of the batch.

    Returns
    -------
    mixing : Mixing

    Notes
    -----
    :math:`\lambda` is not folded to at least 1/2: in half of the batches the partner is the louder one, as in the code of
    OS-SCL [1]_. It is drawn as :math:`G_1 / (G_1 + G_2)` with gamma variables :math:`G_1, G_2` of shape :math:`\alpha`.

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
    dtype = torch.float32 if generator.device.type == "mps" else torch.float64  # which has no float64
    concentration = torch.full((2,), alpha, dtype=dtype, device=generator.device)
    gamma = torch._standard_gamma(
        concentration, generator=generator
    )  # what torch.distributions calls, which take no generator
    partner = torch.randperm(n_clips, generator=generator, device=generator.device)
    return Mixing(gamma[0] / gamma.sum(), partner)
