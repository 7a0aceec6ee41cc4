"""Contrast of clips with prototypes: InfoNCE between an embedding and what its cluster sounds like.

J. Tian et al., "Self-supervised anomalous sound detection with statistical clustering and contrastive learning", DCASE 2024
technical report, which has no formula; this is the plain reading of its words.

Axes: B clips, D dimensions of the embedding, C prototypes.
"""

from torch import Tensor
from torch.nn import functional

from skasd.losses._precision import at_least_float32


@at_least_float32
def prototype_loss(embedding: Tensor, prototypes: Tensor, label: Tensor, *, temperature: float = 0.1) -> Tensor:
    r"""Pull clips towards the prototype of their cluster and away from all others.

    .. math:: L = -\frac{1}{n} \sum_i \log \frac{\exp(z_i \cdot q_{y_i} / \tau)}{\sum_k \exp(z_i \cdot q_k / \tau)}

    Parameters
    ----------
    embedding : Tensor of shape (B, D)
        Scaled to unit length here, :math:`z`.
    prototypes : Tensor of shape (C, D)
        Scaled to unit length here, :math:`q`.
    label : Tensor of shape (B,), int64
        Prototype of each clip.
    temperature : float, default=0.1
        :math:`\tau` > 0, dimensionless.

    Returns
    -------
    loss : Tensor of shape ()

    References
    ----------
    .. [1] J. Tian et al., "Self-supervised anomalous sound detection with statistical clustering and contrastive learning",
           DCASE 2024 technical report.

    Examples
    --------
    >>> import torch
    >>> clips, prototypes = torch.eye(2), torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    >>> prototype_loss(clips, prototypes, torch.tensor([0, 1]), temperature=0.5)
    tensor(0.1912)
    """
    cosine = functional.normalize(embedding) @ functional.normalize(prototypes).T  # (B, C)
    return functional.cross_entropy(cosine / temperature, label)
