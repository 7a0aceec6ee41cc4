"""Prototype contrastive loss: InfoNCE between an embedding and the prototypes of all clusters.

J. Tian et al., "Self-supervised anomalous sound detection with statistical clustering and contrastive learning", DCASE 2024
technical report. The report has no formula; this one follows its description.

Axes: B clips, D dim of the embedding, C prototypes.
"""

from torch import Tensor
from torch.nn import functional

from skasd._typing import Float, Int
from skasd.losses._precision import at_least_float32


@at_least_float32
def prototype_loss(
    embedding: Float[Tensor, "clips dim"],
    prototypes: Float[Tensor, "prototypes dim"],
    label: Int[Tensor, " clips"],
    *,
    temperature: float = 0.1,
) -> Float[Tensor, ""]:
    r"""Pull each clip towards the prototype of its cluster and push it away from all others.

    .. math:: L = -\frac{1}{n} \sum_i \log \frac{\exp(z_i \cdot q_{y_i} / \tau)}{\sum_k \exp(z_i \cdot q_k / \tau)}

    Parameters
    ----------
    embedding : Tensor of shape (clips, dim)
        Embeddings :math:`z`; this function scales them to unit length.
    prototypes : Tensor of shape (prototypes, dim)
        Prototypes :math:`q`; this function scales them to unit length.
    label : Tensor of shape (clips,), int64
        Index of the prototype of each clip.
    temperature : float, default=0.1
        Temperature :math:`\tau` > 0, dimensionless.

    Returns
    -------
    loss : Tensor of shape ()
        Mean over clips.

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
