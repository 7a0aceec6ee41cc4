"""AdaProj: classification by the angle to the subspace that the centres of a class span.

K. Wilkinghoff, "AdaProj: adaptively scaled angular margin subspace projections for anomalous sound detection with auxiliary
classification tasks", DCASE Workshop 2024, arXiv:2403.14179.

Axes: B clips, D dimensions of the embedding, C classes, K centres of each.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from skasd.losses._adacos import adacos_scale, soft_cross_entropy
from skasd.losses._precision import at_least_float32

_SMALLEST_LENGTH = 1e-6


@at_least_float32
def projection_cosine(embedding: Tensor, centers: Tensor) -> Tensor:
    r"""Cosines of clips and their projections on the centres of each class.

    .. math:: q_c = \sum_k (x \cdot w_{ck}) w_{ck}, \quad \cos_c = \frac{x \cdot q_c}{\lVert q_c \rVert}

    Parameters
    ----------
    embedding : Tensor of shape (B, D)
        Scaled to unit length here, :math:`x`.
    centers : Tensor of shape (C, K, D)
        Scaled to unit length here, :math:`w_{ck}`.

    Returns
    -------
    cosine : Tensor of shape (B, C)

    Notes
    -----
    The centres of a class are no orthonormal basis, as published: even at a centre the cosine is less than 1. A clip at
    right angles to all centres of a class has the cosine 0.

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
    """AdaProj: a subspace for each class, with the fixed scale of AdaCos.

    Parameters
    ----------
    embedding_dim : int
        Length of an embedding.
    n_classes : int
        Number of classes.
    n_subclusters : int, default=16
        Centres that span the subspace of a class.
    trainable : bool, default=True
        Whether the centres are learnt; else they stay where they were drawn.
    """

    def __init__(self, embedding_dim: int, n_classes: int, *, n_subclusters: int = 16, trainable: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n_classes, n_subclusters, embedding_dim), requires_grad=trainable)
        nn.init.xavier_uniform_(self.weight.view(-1, embedding_dim))
        self.scale = adacos_scale(n_classes)

    def log_probability(self, embedding: Tensor) -> Tensor:
        """Log-probabilities (B, C) of embeddings (B, D)."""
        return (self.scale * projection_cosine(embedding, self.weight)).log_softmax(dim=1)

    def forward(self, embedding: Tensor, target: Tensor) -> Tensor:
        """Loss of embeddings (B, D) of which `target` (B, C) tells the shares of the classes."""
        return soft_cross_entropy(self.log_probability(embedding), target)
