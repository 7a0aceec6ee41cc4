"""AdaProj: classification by the angle between an embedding and the subspace spanned by the centres of a class.

K. Wilkinghoff, "AdaProj: adaptively scaled angular margin subspace projections for anomalous sound detection with auxiliary
classification tasks", DCASE Workshop 2024, arXiv:2403.14179.

Axes: B clips, D dim of the embedding, C classes, K centers of each class.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from skasd._typing import Float
from skasd.losses._adacos import adacos_scale, soft_cross_entropy
from skasd.losses._precision import at_least_float32

_SMALLEST_LENGTH = 1e-6


@at_least_float32
def projection_cosine(
    embedding: Float[Tensor, "clips dim"], centers: Float[Tensor, "classes centers dim"]
) -> Float[Tensor, "clips classes"]:
    r"""Cosines between embeddings and their projections onto the centres of each class.

    .. math:: q_c = \sum_k (x \cdot w_{ck}) w_{ck}, \quad \cos_c = \frac{x \cdot q_c}{\lVert q_c \rVert}

    Parameters
    ----------
    embedding : Tensor of shape (clips, dim)
        Embeddings :math:`x`; this function scales them to unit length.
    centers : Tensor of shape (classes, centers, dim)
        Centres :math:`w_{ck}`; this function scales them to unit length.

    Returns
    -------
    cosine : Tensor of shape (clips, classes)
        Cosines in [0, 1].

    Notes
    -----
    As published, the centres of a class are not an orthonormal basis, so the cosine is less than 1 even at a centre. It is 0
    for an embedding that is orthogonal to all centres of a class.

    References
    ----------
    .. [1] K. Wilkinghoff, "AdaProj", DCASE Workshop 2024. arXiv:2403.14179.

    Examples
    --------
    >>> centers = torch.tensor([[[1.0, 0.0, 0.0], [0.5, 0.75**0.5, 0.0]]])
    >>> projection_cosine(torch.tensor([[1.0, 0.0, 0.0]]), centers)
    tensor([[0.9449]])
    """
    x, w = functional.normalize(embedding), functional.normalize(centers, dim=2)
    share = torch.einsum("bd,ckd->bck", x, w)
    projection = torch.einsum("bck,ckd->bcd", share, w)
    length = projection.square().sum(dim=2).clamp(min=_SMALLEST_LENGTH**2).sqrt()
    return share.square().sum(dim=2) / length  # x q = sum of (x w)^2


class AdaProjHead(nn.Module):
    r"""AdaProj head: one subspace per class, with the fixed scale of AdaCos.

    Parameters
    ----------
    embedding_dim : int
        Length of an embedding.
    n_classes : int
        Number of classes.
    n_subclusters : int, default=16
        Number of centres that span the subspace of a class.
    trainable : bool, default=True
        Whether the centres are trained. If False, they keep their random initial values.

    Notes
    -----
    Departures from the published code, whose scale starts at :math:`\sqrt{2} \ln(C K - 1)` and is adapted in each batch: the
    scale is :math:`\sqrt{2} \ln(C - 1)` throughout, for :math:`C` classes with :math:`K` centres each, which is where the
    later toolkit ASDKit lets it start; the centres are trained by default, while the published ones are fixed.
    """

    def __init__(self, embedding_dim: int, n_classes: int, *, n_subclusters: int = 16, trainable: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n_classes, n_subclusters, embedding_dim), requires_grad=trainable)
        nn.init.xavier_uniform_(self.weight.view(-1, embedding_dim))
        self.scale = adacos_scale(n_classes)

    def log_probability(self, embedding: Float[Tensor, "clips dim"]) -> Float[Tensor, "clips classes"]:
        """Log-probabilities of the classes."""
        return (self.scale * projection_cosine(embedding, self.weight)).log_softmax(dim=1)

    def forward(
        self, embedding: Float[Tensor, "clips dim"], target: Float[Tensor, "clips classes"]
    ) -> Float[Tensor, ""]:
        """Loss of embeddings whose class probabilities are `target`."""
        return soft_cross_entropy(self.log_probability(embedding), target)
