"""Supervised contrastive loss.

P. Khosla et al., "Supervised contrastive learning", NeurIPS 2020, arXiv:2004.11362, as the code of OS-SCL has it.

Axes: B clips, D dimensions of the embedding.
"""

import torch
from torch import Tensor
from torch.nn import functional

from skasd.losses._precision import at_least_float32


@at_least_float32
def supervised_contrastive_loss(
    embedding: Tensor, label: Tensor, *, temperature: float = 0.02, base_temperature: float = 0.07
) -> Tensor:
    r"""Pull clips of one class together and push all others away: Eq. (2) of [1]_.

    .. math:: L = -\frac{\tau}{\tau_b} \frac{1}{n} \sum_i \frac{1}{\max(|P(i)|, 1)} \sum_{p \in P(i)}
              \log \frac{\exp(z_i \cdot z_p / \tau)}{\sum_{a \ne i} \exp(z_i \cdot z_a / \tau)}

    with :math:`z` the embeddings scaled to unit length, and :math:`P(i)` the other clips with the label of clip :math:`i`.

    Parameters
    ----------
    embedding : Tensor of shape (B, D)
        Of at least two clips.
    label : Tensor of shape (B,), int64
        Class of each clip.
    temperature : float, default=0.02
        :math:`\tau` > 0, dimensionless: the smaller, the more the nearest clips count.
    base_temperature : float, default=0.07
        :math:`\tau_b` > 0, dimensionless: only scales the loss.

    Returns
    -------
    loss : Tensor of shape ()

    Notes
    -----
    Departures from the paper: one view per clip, not two; a clip with empty :math:`P(i)` gives 0 and counts in the mean,
    as in the code of OS-SCL. So batch size and sampling change the weight of this loss.

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
