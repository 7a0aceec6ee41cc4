"""Supervised contrastive loss.

P. Khosla et al., "Supervised contrastive learning", NeurIPS 2020, arXiv:2004.11362, in the form of the code of OS-SCL.

Axes: B clips, D dim of the embedding.
"""

import torch
from torch import Tensor
from torch.nn import functional

from skasd._typing import Float, Int
from skasd.losses._precision import at_least_float32


@at_least_float32
def supervised_contrastive_loss(
    embedding: Float[Tensor, "clips dim"],
    label: Int[Tensor, " clips"],
    *,
    temperature: float = 0.02,
    base_temperature: float = 0.07,
) -> Float[Tensor, ""]:
    r"""Pull clips of one class together and push all others away: Eq. (2) of [1]_.

    .. math:: L = -\frac{\tau}{\tau_b} \frac{1}{n} \sum_i \frac{1}{\max(|P(i)|, 1)} \sum_{p \in P(i)}
              \log \frac{\exp(z_i \cdot z_p / \tau)}{\sum_{a \ne i} \exp(z_i \cdot z_a / \tau)}

    where :math:`z` are the embeddings scaled to unit length and :math:`P(i)` are the other clips with the label of clip
    :math:`i`.

    Parameters
    ----------
    embedding : Tensor of shape (clips, dim)
        Embeddings of at least two clips.
    label : Tensor of shape (clips,), int64
        Class of each clip.
    temperature : float, default=0.02
        Temperature :math:`\tau` > 0, dimensionless. The smaller it is, the more the nearest clips count.
    base_temperature : float, default=0.07
        Temperature :math:`\tau_b` > 0, dimensionless. It only scales the loss.

    Returns
    -------
    loss : Tensor of shape ()
        Mean over clips.

    Notes
    -----
    Departures from the paper: there is one view per clip instead of two. As in the code of OS-SCL, a clip with empty
    :math:`P(i)` contributes 0 and counts in the mean, so batch size and sampling change the weight of this loss.

    References
    ----------
    .. [1] P. Khosla et al., "Supervised contrastive learning", NeurIPS 2020. arXiv:2004.11362.

    Examples
    --------
    >>> import torch
    >>> supervised_contrastive_loss(torch.eye(4), torch.tensor([0, 0, 1, 1]), temperature=1.0, base_temperature=1.0)
    tensor(1.0986)
    """
    z = functional.normalize(embedding)
    itself = torch.eye(len(z), dtype=torch.bool, device=z.device)
    similarity = (z @ z.T / temperature).masked_fill(itself, -torch.inf)  # (B, B)
    positive = (label[:, None] == label) & ~itself
    log_probability = torch.where(positive, similarity.log_softmax(dim=1), 0)
    per_clip = log_probability.sum(dim=1) / positive.sum(dim=1).clamp(min=1)
    return -temperature / base_temperature * per_clip.mean()
