"""Contrast of clips of one class across domains.

P. Khosla et al., "Supervised contrastive learning", NeurIPS 2020, arXiv:2004.11362, with the pairs of X. Meng et al.,
"Contrastive learning with spectrum information augmentation in abnormal sound detection", 2025, arXiv:2509.15570.

Axes: B views, D dimensions of the embedding.
"""

import torch
from torch import Tensor
from torch.nn import functional

from skasd._parameters import check_option
from skasd.losses._precision import at_least_float32

CROSS_DOMAIN_FORMS = ("supcon", "pairwise")
_FARTHEST = 0.3  # cosine below which two classes are far enough apart


def cross_domain_pairs(
    label: Tensor, domain: Tensor, clip: Tensor, *, cross_domain: bool = True, ignore_same_domain: bool = True
) -> tuple[Tensor, Tensor]:
    """Which views each view is pulled to, and which it is pushed away from.

    Parameters
    ----------
    label, domain, clip : Tensor of shape (B,), int64
        Class of each view, its domain, and the clip that it is a view of.
    cross_domain : bool, default=True
        Whether it is pulled only to views of its class in another domain, and to other views of its clip; else to all of its
        class. A view that is pulled to none is pulled to all of its class.
    ignore_same_domain : bool, default=True
        Whether it is left alone by those of its class that it is not pulled to, or pushed away from them.

    Returns
    -------
    positive, negative : Tensor of shape (B, B), bool
    """
    other = ~torch.eye(len(label), dtype=torch.bool, device=label.device)
    same_class = (label[:, None] == label) & other
    positive = same_class
    if cross_domain:
        chosen = same_class & ((domain[:, None] != domain) | (clip[:, None] == clip))
        positive = torch.where(chosen.any(dim=1, keepdim=True), chosen, same_class)
    negative = label[:, None] != label
    return positive, negative if ignore_same_domain else negative | (same_class & ~positive)


@at_least_float32
def cross_domain_loss(
    embedding: Tensor, positive: Tensor, negative: Tensor, *, temperature: float = 0.07, form: str = "supcon"
) -> Tensor:
    r"""Pull the pairs of one list together and those of another apart.

    ``"supcon"``, with :math:`z` the embeddings scaled to unit length, is

    .. math:: L = \operatorname{mean}_i\, -\frac{1}{|P(i)|} \sum_{p \in P(i)} \left[\frac{z_i \cdot z_p}{\tau} -
              \log \sum_{q \in P(i) \cup N(i)} \exp \frac{z_i \cdot z_q}{\tau}\right],

    where views with empty :math:`P(i)` do not count, and ``"pairwise"`` is the mean of :math:`(1 - z_i \cdot z_p)^2` over
    all pairs to be pulled, and that of :math:`\max(0, z_i \cdot z_n - 0.3)^2` over all pairs to be pushed.

    Parameters
    ----------
    embedding : Tensor of shape (B, D)
        Of views.
    positive, negative : Tensor of shape (B, B), bool
        :math:`P` and :math:`N`, of :func:`cross_domain_pairs`.
    temperature : float, default=0.07
        :math:`\tau` > 0, dimensionless, of ``"supcon"``.
    form : {"supcon", "pairwise"}, default="supcon"
        Which loss.

    Returns
    -------
    loss : Tensor of shape ()
        0 where there is no pair.

    Examples
    --------
    >>> import torch
    >>> label, domain = torch.tensor([0, 0, 1, 1]), torch.tensor([0, 1, 0, 1])
    >>> pairs = cross_domain_pairs(label, domain, torch.arange(4))
    >>> cross_domain_loss(torch.ones(4, 2), *pairs)
    tensor(1.0986)
    """
    check_option("form", form, CROSS_DOMAIN_FORMS)
    z = functional.normalize(embedding)
    cosine = z @ z.T
    if form == "pairwise":
        pull, push = (1 - cosine).square(), functional.relu(cosine - _FARTHEST).square()
        return _mean(pull, positive) + _mean(push, negative)
    similarity = (cosine / temperature).masked_fill(~(positive | negative), -torch.inf)
    log_probability = torch.where(positive, similarity - similarity.logsumexp(dim=1, keepdim=True), 0)
    n_positive = positive.sum(dim=1)
    per_view = log_probability.sum(dim=1) / n_positive.clamp(min=1)
    return -_mean(per_view, n_positive > 0)


def _mean(values: Tensor, counts: Tensor) -> Tensor:
    """Mean of the values that count; 0 without any."""
    return torch.where(counts, values, 0).sum() / counts.sum().clamp(min=1)
