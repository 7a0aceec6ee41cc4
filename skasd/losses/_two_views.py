"""Contrastive loss of two views of each patch, one from each of two networks.

X. Cai et al., "A contrastive semi-supervised learning framework for anomaly sound detection", DCASE Workshop 2021, Eq. (4);
T. Chen et al. (SimCLR), ICML 2020, arXiv:2002.05709, Eq. (1).

Axes: B patches, D dim of a view.
"""

import torch
from torch import Tensor
from torch.nn import functional

from skasd._typing import Bool, Float
from skasd.losses._precision import at_least_float32

TWO_VIEW_FORMS = ("symmetric", "one_way", "one_way_with_positive")


@at_least_float32
def two_view_loss(
    first: Float[Tensor, "patches dim"],
    second: Float[Tensor, "patches dim"],
    *,
    temperature: float = 0.07,
    form: str = "symmetric",
) -> Float[Tensor, ""]:
    r"""Pull the two views of a patch together and push views of different patches apart.

    Parameters
    ----------
    first, second : Tensor of shape (patches, dim)
        The two views :math:`u_i` and :math:`p_i` of each patch. They are not scaled to unit length.
    temperature : float, default=0.07
        Temperature :math:`\rho > 0`, dimensionless.
    form : {"symmetric", "one_way", "one_way_with_positive"}, default="symmetric"
        ``"symmetric"``: every view of either kind is an anchor; its positive is the other view of the same patch, and all
        remaining views of both kinds are negatives; the loss is the mean over the anchors [2]_. ``"one_way"``: Eq. (4) of
        [1]_,

        .. math:: L = -\sum_i \ln \frac{\exp(u_i \cdot p_i / \rho)}{\sum_{j \ne i} \exp(u_i \cdot p_j / \rho)},

        where only first views are anchors. The positive is not in the denominator, so the loss has no lower bound.
        ``"one_way_with_positive"``: as ``"one_way"``, but with the positive in the denominator and the mean over the batch.

    Returns
    -------
    loss : Tensor of shape ()
        Mean over anchors, or their sum for ``"one_way"``.

    References
    ----------
    .. [1] X. Cai et al., "A contrastive semi-supervised learning framework for anomaly sound detection", DCASE Workshop
           2021.
    .. [2] T. Chen et al., "A simple framework for contrastive learning of visual representations", ICML 2020.
           arXiv:2002.05709.

    Examples
    --------
    >>> import torch
    >>> views = torch.eye(2)
    >>> two_view_loss(views, views, temperature=1.0)
    tensor(0.5514)
    >>> two_view_loss(views, views, temperature=1.0, form="one_way")
    tensor(-2.)
    """
    if form == "symmetric":
        return _symmetric(torch.cat([second, first]), temperature)
    similarity = first @ second.T / temperature  # (B, B)
    if form == "one_way_with_positive":
        return functional.cross_entropy(similarity, torch.arange(len(first), device=first.device))
    others = similarity.masked_fill(_diagonal(similarity), -torch.inf)
    return -(similarity.diagonal() - others.logsumexp(dim=1)).sum()


def _symmetric(views: Float[Tensor, "views dim"], temperature: float) -> Float[Tensor, ""]:
    similarity = views @ views.T / temperature  # (2 B, 2 B)
    n = len(views) // 2
    positive = torch.arange(2 * n, device=views.device).roll(n)  # the other view of the same patch
    return functional.cross_entropy(similarity.masked_fill(_diagonal(similarity), -torch.inf), positive)


def _diagonal(similarity: Float[Tensor, "views views"]) -> Bool[Tensor, "views views"]:
    return torch.eye(len(similarity), dtype=torch.bool, device=similarity.device)
