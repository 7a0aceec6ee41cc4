"""ArcFace: classification by angle, with a margin on the angle of the true class.

J. Deng et al., "ArcFace: additive angular margin loss for deep face recognition", CVPR 2019, arXiv:1801.07698; with the
fallback beyond the angle at which the margin would wrap around that its public code uses, and the code of OS-SCL with it.

Axes: B clips, D dimensions of the embedding, C classes, K sub-centres.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from skasd.losses._precision import at_least_float32

_LEAST_SQUARED_SINE = 1e-12  # the slope of the square root is infinite at 0


@at_least_float32
def arcface_logits(cosine: Tensor, label: Tensor, *, margin: float, scale: float) -> Tensor:
    r"""Scaled cosines with the margin on the class of each clip: Eq. (3) of [1]_.

    With :math:`c` the cosine of clip and class centre, the logit of the true class is

    .. math:: \ell_y = s \cos(\arccos c + m) = s \left(c \cos m - \sqrt{1 - c^2} \sin m\right)
              \quad \text{if } c > \cos(\pi - m), \qquad \ell_y = s \left(c - m \sin(\pi - m)\right) \text{ otherwise,}

    and :math:`\ell_j = s c_j` for all others.

    Parameters
    ----------
    cosine : Tensor of shape (B, C)
        Cosines of clips and class centres, in [-1, 1].
    label : Tensor of shape (B,), int64
        Class of each clip.
    margin : float
        Additive angular margin :math:`m`, in radians, in [0, pi / 2).
    scale : float
        Factor :math:`s` of the cosines, dimensionless.

    Returns
    -------
    logits : Tensor of shape (B, C)

    Notes
    -----
    The logit jumps at the threshold by a little, as in the reference code. :math:`1 - c^2` is kept above 1e-12, and
    where it is not, it has no gradient, so that the slope of its root stays finite.

    References
    ----------
    .. [1] J. Deng et al., "ArcFace: additive angular margin loss for deep face recognition", CVPR 2019.
           arXiv:1801.07698. Fallback: the public code of OS-SCL.

    Examples
    --------
    >>> import torch
    >>> arcface_logits(torch.tensor([[0.6, 0.8, 0.0]]), torch.tensor([0]), margin=0.4, scale=30.0)
    tensor([[ 7.2331, 24.0000,  0.0000]])
    """
    own = cosine.gather(1, label[:, None])  # (B, 1)
    sine = (1 - own.square()).clamp(min=_LEAST_SQUARED_SINE).sqrt()
    moved = own * math.cos(margin) - sine * math.sin(margin)
    fallback = own - margin * math.sin(math.pi - margin)
    moved = torch.where(own > math.cos(math.pi - margin), moved, fallback)
    return scale * cosine.scatter(1, label[:, None], moved)


class ArcFaceHead(nn.Module):
    """Class centres on the unit sphere.

    Parameters
    ----------
    embedding_dim : int
        Length of an embedding.
    n_classes : int
        Number of classes.
    margin : float, default=0.4
        Additive angular margin, in radians.
    scale : float, default=30.0
        Factor of the cosines, dimensionless.
    n_subcenters : int, default=1
        Centres of each class, of which the nearest counts.
    """

    def __init__(
        self, embedding_dim: int, n_classes: int, *, margin: float = 0.4, scale: float = 30.0, n_subcenters: int = 1
    ) -> None:
        super().__init__()
        self.n_classes, self.margin, self.scale = n_classes, margin, scale
        self.weight = nn.Parameter(torch.empty(n_classes * n_subcenters, embedding_dim))
        nn.init.xavier_uniform_(self.weight)

    @at_least_float32
    def cosine(self, embedding: Tensor) -> Tensor:
        """Cosines (B, C) of embeddings (B, D) and the nearest centre of each class."""
        cosine = functional.normalize(embedding) @ functional.normalize(self.weight).T  # (B, C K)
        return cosine.unflatten(1, (self.n_classes, -1)).amax(dim=2)

    def forward(self, embedding: Tensor, label: Tensor) -> Tensor:
        """Logits (B, C) of embeddings (B, D) with the margin on the classes `label` (B,)."""
        return arcface_logits(self.cosine(embedding), label, margin=self.margin, scale=self.scale)
