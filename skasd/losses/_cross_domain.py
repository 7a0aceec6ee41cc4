"""Supervised contrastive loss whose positive pairs cross domains.

P. Khosla et al., "Supervised contrastive learning", NeurIPS 2020, arXiv:2004.11362, with the pairs of X. Meng et al.,
"Contrastive learning with spectrum information augmentation in abnormal sound detection", 2025, arXiv:2509.15570.

Axes: B views, D dim of the embedding.
"""

import torch
from torch import Tensor
from torch.nn import functional

from skasd._parameters import check_option
from skasd._typing import Bool, Float, Int
from skasd.losses._precision import at_least_float32

CROSS_DOMAIN_FORMS = ("supcon", "pairwise")
_FARTHEST = 0.3  # cosine below which two views of different classes are far enough apart


def cross_domain_pairs(
    label: Int[Tensor, " views"],
    domain: Int[Tensor, " views"],
    clip: Int[Tensor, " views"],
    *,
    cross_domain: bool = True,
    ignore_same_domain: bool = True,
) -> tuple[Bool[Tensor, "views views"], Bool[Tensor, "views views"]]:
    """Positive and negative pairs of views.

    Parameters
    ----------
    label, domain, clip : Tensor of shape (views,), int64
        Class, domain and clip of each view.
    cross_domain : bool, default=True
        Whether the positives of a view are restricted to views of its class in another domain and other views of its clip.
        If False, or if a view has no such positive, its positives are all other views of its class.
    ignore_same_domain : bool, default=True
        Whether views of the same class that are not positives are ignored. If False, they are negatives.

    Returns
    -------
    positive, negative : Tensor of shape (views, views), bool
        Row `i` marks the positives and the negatives of view `i`.
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
    embedding: Float[Tensor, "views dim"],
    positive: Bool[Tensor, "views views"],
    negative: Bool[Tensor, "views views"],
    *,
    temperature: float = 0.07,
    form: str = "supcon",
) -> Float[Tensor, ""]:
    r"""Pull positive pairs together and push negative pairs apart.

    With :math:`z` the embeddings scaled to unit length, ``"supcon"`` is

    .. math:: L = \operatorname{mean}_i\, -\frac{1}{|P(i)|} \sum_{p \in P(i)} \left[\frac{z_i \cdot z_p}{\tau} -
              \log \sum_{q \in P(i) \cup N(i)} \exp \frac{z_i \cdot z_q}{\tau}\right],

    where views with empty :math:`P(i)` do not count. ``"pairwise"`` is the mean of :math:`(1 - z_i \cdot z_p)^2` over all
    positive pairs plus the mean of :math:`\max(0, z_i \cdot z_n - 0.3)^2` over all negative pairs.

    Parameters
    ----------
    embedding : Tensor of shape (views, dim)
        Embeddings of the views.
    positive, negative : Tensor of shape (views, views), bool
        Pairs :math:`P` and :math:`N` as :func:`cross_domain_pairs` returns them.
    temperature : float, default=0.07
        Temperature :math:`\tau` > 0 of ``"supcon"``, dimensionless.
    form : {"supcon", "pairwise"}, default="supcon"
        Form of the loss.

    Returns
    -------
    loss : Tensor of shape ()
        The loss, 0 if there are no pairs.

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


def _mean(values: Float[Tensor, "*shape"], counts: Bool[Tensor, "*shape"]) -> Float[Tensor, ""]:
    """Mean of the values that count, or 0 if none does."""
    return torch.where(counts, values, 0).sum() / counts.sum().clamp(min=1)
