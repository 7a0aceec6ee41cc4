"""AdaCos and sub-cluster AdaCos: classification by angle, with a scale that follows from the number of classes.

X. Zhang et al., "AdaCos: adaptively scaling cosine logits for effectively learning deep face representations", CVPR 2019,
arXiv:1905.00292; K. Wilkinghoff, "Sub-cluster AdaCos", IJCNN 2021.

Axes: B clips, D dimensions of the embedding, C classes, K sub-clusters of each.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from skasd.losses._precision import at_least_float32

_QUARTER_TURN = math.pi / 4


def adacos_scale(n_centers: int) -> float:
    r"""Scale of the cosines before and without adaptation: :math:`\sqrt{2} \ln(n - 1)` of n centres [1]_.

    Parameters
    ----------
    n_centers : int
        Classes, or classes times sub-clusters. Fewer than three are taken as three: the scale of two is zero, with which
        nothing can be learnt.

    Returns
    -------
    scale : float

    References
    ----------
    .. [1] X. Zhang et al., "AdaCos", CVPR 2019. arXiv:1905.00292.

    Examples
    --------
    >>> round(adacos_scale(6 * 16), 6)
    6.440154
    """
    return math.sqrt(2) * math.log(max(n_centers, 3) - 1)


@at_least_float32
def sub_cluster_log_probability(cosine: Tensor, *, scale: Tensor | float) -> Tensor:
    r"""Log-probabilities of classes, each the sum of those of its sub-clusters.

    .. math:: \log p_c = \log \sum_k e^{s \cos \theta_{ck}} - \log \sum_{j, k} e^{s \cos \theta_{jk}}

    Parameters
    ----------
    cosine : Tensor of shape (B, C, K)
        Cosines of clips and centres.
    scale : float
        :math:`s`.

    Returns
    -------
    log_probability : Tensor of shape (B, C)

    Examples
    --------
    >>> cosine = torch.tensor([[[0.8, 0.1], [0.3, -0.2]]])
    >>> sub_cluster_log_probability(cosine, scale=adacos_scale(4)).exp()
    tensor([[0.6657, 0.3343]])
    """
    logits = scale * cosine
    return logits.logsumexp(dim=2) - logits.flatten(1).logsumexp(dim=1, keepdim=True)


@at_least_float32
def soft_cross_entropy(log_probability: Tensor, target: Tensor) -> Tensor:
    r"""Cross-entropy :math:`-\sum_c y_c \log p_c`, a mean over clips.

    Parameters
    ----------
    log_probability : Tensor of shape (B, C)
        Of the classes.
    target : Tensor of shape (B, C)
        Shares of the classes: of mixed clips, several are not zero.

    Returns
    -------
    loss : Tensor of shape ()
    """
    return -(target * log_probability).sum(dim=1).mean()


@at_least_float32
def adapted_scale(cosine: Tensor, target: Tensor, scale: Tensor | float) -> Tensor:
    r"""Scale of the next step, from the angles of this one [1]_.

    .. math:: s = \frac{\ln B}{\cos(\min(\pi / 4, \theta))},\quad
              B = \frac{1}{n} \sum_i \sum_{j \ne y_i} e^{s' \cos \theta_{ij}}

    with :math:`\theta` the median angle to the own class, of an even number the mean of the middle two. Of several
    sub-clusters [2]_ sums the angles, and takes all centres into B: the sum of many angles is in practice always beyond a
    quarter of a turn, so that this scale says nothing about them. Use the fixed scale.

    Parameters
    ----------
    cosine : Tensor of shape (B, C, K)
        Cosines of clips and centres.
    target : Tensor of shape (B, C)
        Shares of the classes; the largest is the own class.
    scale : float
        Last scale :math:`s'`.

    Returns
    -------
    scale : Tensor of shape ()

    References
    ----------
    .. [1] X. Zhang et al., "AdaCos", CVPR 2019. arXiv:1905.00292.
    .. [2] K. Wilkinghoff, "Sub-cluster AdaCos", IJCNN 2021.
    """
    own = target.argmax(dim=1)  # (B,)
    angle = cosine.clamp(-1, 1).acos()[torch.arange(len(own), device=own.device), own].sum(dim=1)  # (B,)
    logits = scale * cosine
    if cosine.shape[2] == 1:
        logits = logits.scatter(1, own[:, None, None], -torch.inf)
    largest = logits.max()
    mean_sum = (logits - largest).exp().sum(dim=(1, 2)).mean()
    return (largest + mean_sum.log()) / angle.quantile(0.5).clamp(max=_QUARTER_TURN).cos()


_LEAST_SCALE = adacos_scale(3)


class SubClusterAdaCosHead(nn.Module):
    """Sub-cluster AdaCos: several centres of each class on the unit sphere. With one of each, it is AdaCos.

    Parameters
    ----------
    embedding_dim : int
        Length of an embedding.
    n_classes : int
        Number of classes.
    n_subclusters : int, default=16
        Centres of each class.
    trainable : bool, default=True
        Whether the centres are learnt; else they stay where they were drawn.
    dynamic_scale : bool, default=False
        Whether the scale follows the batches, see :func:`adapted_scale`, as long as it stays above that of three centres; of
        two classes it would fall to zero, and below.
    """

    scale: Tensor

    def __init__(
        self,
        embedding_dim: int,
        n_classes: int,
        *,
        n_subclusters: int = 16,
        trainable: bool = True,
        dynamic_scale: bool = False,
    ) -> None:
        super().__init__()
        self.n_classes, self.dynamic_scale = n_classes, dynamic_scale
        self.weight = nn.Parameter(torch.empty(n_classes * n_subclusters, embedding_dim), requires_grad=trainable)
        nn.init.xavier_uniform_(self.weight)
        self.register_buffer("scale", torch.tensor(adacos_scale(n_classes * n_subclusters)))

    @at_least_float32
    def cosine(self, embedding: Tensor) -> Tensor:
        """Cosines (B, C, K) of embeddings (B, D) and centres."""
        cosine = functional.normalize(embedding) @ functional.normalize(self.weight).T  # (B, C K)
        return cosine.unflatten(1, (self.n_classes, -1))

    def log_probability(self, embedding: Tensor) -> Tensor:
        """Log-probabilities (B, C) of embeddings (B, D)."""
        return sub_cluster_log_probability(self.cosine(embedding), scale=self.scale)

    def forward(self, embedding: Tensor, target: Tensor) -> Tensor:
        """Loss of embeddings (B, D) of which `target` (B, C) tells the shares of the classes."""
        cosine = self.cosine(embedding)
        if self.dynamic_scale and self.training and cosine.shape[1] > 1:  # one class has no other to be told from
            self.scale.copy_(adapted_scale(cosine.detach(), target, self.scale).clamp(min=_LEAST_SCALE))
        return soft_cross_entropy(sub_cluster_log_probability(cosine, scale=self.scale.clone()), target)
