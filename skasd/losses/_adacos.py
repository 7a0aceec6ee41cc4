"""AdaCos and sub-cluster AdaCos: angular softmax losses whose scale follows from the number of classes.

X. Zhang et al., "AdaCos: adaptively scaling cosine logits for effectively learning deep face representations", CVPR 2019,
arXiv:1905.00292; K. Wilkinghoff, "Sub-cluster AdaCos", IJCNN 2021.

Axes: B clips, D dim of the embedding, C classes, K subclusters of each class.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from skasd._typing import Float
from skasd.losses._precision import at_least_float32

_LARGEST_ANGLE = math.pi / 4


def adacos_scale(n_centers: int) -> float:
    r"""Fixed scale of AdaCos, also the initial value of the adaptive one: :math:`\sqrt{2} \ln(n - 1)` [1]_.

    Parameters
    ----------
    n_centers : int
        Number of centres :math:`n`: classes, or classes times sub-clusters. Values below 3 are treated as 3, because two
        centres would give a scale of zero, with which nothing can be learned.

    Returns
    -------
    scale : float
        Factor of the cosines, dimensionless.

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
def sub_cluster_log_probability(
    cosine: Float[Tensor, "clips classes subclusters"], *, scale: Float[Tensor, ""] | float
) -> Float[Tensor, "clips classes"]:
    r"""Log-probabilities of the classes, where a class has the summed probability of its sub-clusters.

    .. math:: \log p_c = \log \sum_k e^{s \cos \theta_{ck}} - \log \sum_{j, k} e^{s \cos \theta_{jk}}

    Parameters
    ----------
    cosine : Tensor of shape (clips, classes, subclusters)
        Cosines between embeddings and centres.
    scale : Tensor of shape () or float
        Factor :math:`s` of the cosines, dimensionless.

    Returns
    -------
    log_probability : Tensor of shape (clips, classes)
        Natural logarithms of probabilities that sum to 1 over the classes.

    Examples
    --------
    >>> cosine = torch.tensor([[[0.8, 0.1], [0.3, -0.2]]])
    >>> sub_cluster_log_probability(cosine, scale=adacos_scale(4)).exp()
    tensor([[0.6657, 0.3343]])
    """
    logits = scale * cosine
    return logits.logsumexp(dim=2) - logits.flatten(1).logsumexp(dim=1, keepdim=True)


@at_least_float32
def soft_cross_entropy(
    log_probability: Float[Tensor, "clips classes"], target: Float[Tensor, "clips classes"]
) -> Float[Tensor, ""]:
    r"""Cross-entropy :math:`-\sum_c y_c \log p_c` with soft targets, averaged over clips.

    Parameters
    ----------
    log_probability : Tensor of shape (clips, classes)
        Log-probabilities of the classes.
    target : Tensor of shape (clips, classes)
        Target probability of each class; a mixture of clips has several nonzero entries.

    Returns
    -------
    loss : Tensor of shape ()
        Mean over clips.
    """
    return -(target * log_probability).sum(dim=1).mean()


@at_least_float32
def adapted_scale(
    cosine: Float[Tensor, "clips classes subclusters"],
    target: Float[Tensor, "clips classes"],
    scale: Float[Tensor, ""] | float,
) -> Float[Tensor, ""]:
    r"""Adaptive scale of AdaCos, updated from the angles of the current batch [1]_.

    .. math:: s = \frac{\ln B}{\cos(\min(\pi / 4, \theta))},\quad
              B = \frac{1}{n} \sum_i \sum_{j \ne y_i} e^{s' \cos \theta_{ij}}

    where :math:`\theta` is the median angle between a clip and its own class; for an even number of clips, the mean of the
    two middle angles. With several sub-clusters, [2]_ sums the angles over them and includes all centres in :math:`B`. The
    sum of many angles practically always exceeds :math:`\pi / 4`, so the clamp hides the angles. Use the fixed scale then.

    Parameters
    ----------
    cosine : Tensor of shape (clips, classes, subclusters)
        Cosines between embeddings and centres.
    target : Tensor of shape (clips, classes)
        Target probability of each class; the most probable one is the clip's own class.
    scale : Tensor of shape () or float
        Previous scale :math:`s'`, dimensionless.

    Returns
    -------
    scale : Tensor of shape ()
        Scale of the next step, dimensionless.

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
    ordered = angle.sort().values  # torch's quantile makes numbers in float64, which not every device has
    median = ordered[(len(own) - 1) // 2].lerp(ordered[len(own) // 2], 0.5)
    return (largest + mean_sum.log()) / median.clamp(max=_LARGEST_ANGLE).cos()


_LEAST_SCALE = adacos_scale(3)


class SubClusterAdaCosHead(nn.Module):
    """Sub-cluster AdaCos head: several centres per class on the unit sphere. With one centre per class it is AdaCos.

    Parameters
    ----------
    embedding_dim : int
        Length of an embedding.
    n_classes : int
        Number of classes.
    n_subclusters : int, default=16
        Number of centres per class.
    trainable : bool, default=True
        Whether the centres are trained. If False, they keep their random initial values.
    dynamic_scale : bool, default=False
        Whether the scale adapts to the batches, see :func:`adapted_scale`. It never falls below the fixed scale of three
        centres; with two classes it would otherwise fall to zero or below.
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
        self.register_buffer("scale", torch.tensor(adacos_scale(n_classes * n_subclusters), dtype=torch.float32))

    @at_least_float32
    def cosine(self, embedding: Float[Tensor, "clips dim"]) -> Float[Tensor, "clips classes subclusters"]:
        """Cosines between embeddings and centres."""
        cosine = functional.normalize(embedding) @ functional.normalize(self.weight).T  # (B, C K)
        return cosine.unflatten(1, (self.n_classes, -1))

    def log_probability(self, embedding: Float[Tensor, "clips dim"]) -> Float[Tensor, "clips classes"]:
        """Log-probabilities of the classes."""
        return sub_cluster_log_probability(self.cosine(embedding), scale=self.scale)

    def forward(
        self, embedding: Float[Tensor, "clips dim"], target: Float[Tensor, "clips classes"]
    ) -> Float[Tensor, ""]:
        """Loss of embeddings whose class probabilities are `target`; adapts the scale in training if it is dynamic."""
        cosine = self.cosine(embedding)
        if self.dynamic_scale and self.training and cosine.shape[1] > 1:  # a single class has no other to separate from
            self.scale.copy_(adapted_scale(cosine.detach(), target, self.scale).clamp(min=_LEAST_SCALE))
        return soft_cross_entropy(sub_cluster_log_probability(cosine, scale=self.scale.clone()), target)
