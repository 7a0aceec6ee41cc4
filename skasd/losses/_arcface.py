"""ArcFace: angular softmax loss with a margin on the angle to the true class.

J. Deng et al., "ArcFace: additive angular margin loss for deep face recognition", CVPR 2019, arXiv:1801.07698. Beyond the
angle at which the margin would wrap around, a linear fallback applies, as in the public code of ArcFace and of OS-SCL.

Axes: B clips, D dim of the embedding, C classes, K sub-centres of each class.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from skasd._typing import Float, Int
from skasd.losses._precision import at_least_float32

_LEAST_SQUARED_SINE = 1e-12  # the slope of the square root is infinite at 0


@at_least_float32
def arcface_logits(
    cosine: Float[Tensor, "clips classes"], label: Int[Tensor, " clips"], *, margin: float, scale: float
) -> Float[Tensor, "clips classes"]:
    r"""Scaled cosines with the margin on the true class of each clip: Eq. (3) of [1]_.

    With :math:`c` the cosine between a clip and the centre of a class, the logit of the true class is

    .. math:: \ell_y = s \cos(\arccos c + m) = s \left(c \cos m - \sqrt{1 - c^2} \sin m\right)
              \quad \text{if } c > \cos(\pi - m), \qquad \ell_y = s \left(c - m \sin(\pi - m)\right) \text{ otherwise,}

    and :math:`\ell_j = s c_j` for all others.

    Parameters
    ----------
    cosine : Tensor of shape (clips, classes)
        Cosines between embeddings and class centres, in [-1, 1].
    label : Tensor of shape (clips,), int64
        True class of each clip.
    margin : float
        Additive angular margin :math:`m`, in radians, in [0, pi / 2].
    scale : float
        Factor :math:`s` of the cosines, dimensionless.

    Returns
    -------
    logits : Tensor of shape (clips, classes)
        Inputs of the softmax.

    Notes
    -----
    As in the reference code, the logit has a small jump at the threshold. :math:`1 - c^2` is clamped to at least 1e-12 and
    has no gradient where it is clamped, so that the gradient of the square root stays finite.

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
    """ArcFace head: class centres on the unit sphere.

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
        Number of centres per class; only the nearest one counts.
    """

    def __init__(
        self, embedding_dim: int, n_classes: int, *, margin: float = 0.4, scale: float = 30.0, n_subcenters: int = 1
    ) -> None:
        super().__init__()
        self.n_classes, self.margin, self.scale = n_classes, margin, scale
        self.weight = nn.Parameter(torch.empty(n_classes * n_subcenters, embedding_dim))
        nn.init.xavier_uniform_(self.weight)

    @at_least_float32
    def cosine(self, embedding: Float[Tensor, "clips dim"]) -> Float[Tensor, "clips classes"]:
        """Cosines between embeddings and the nearest centre of each class."""
        cosine = functional.normalize(embedding) @ functional.normalize(self.weight).T  # (B, C K)
        return cosine.unflatten(1, (self.n_classes, -1)).amax(dim=2)

    def forward(
        self, embedding: Float[Tensor, "clips dim"], label: Int[Tensor, " clips"]
    ) -> Float[Tensor, "clips classes"]:
        """Logits with the margin on the true class `label`."""
        return arcface_logits(self.cosine(embedding), label, margin=self.margin, scale=self.scale)
