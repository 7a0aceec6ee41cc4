"""Cross-entropy losses for clips that are mixtures of two clips.

S. Choi, J.-W. Choi, "Noisy-ArcMix: additive noisy angular margin loss combined with mixup for anomalous sound detection",
ICASSP 2024, arXiv:2310.06364.

Axes: B clips, C classes.
"""

from torch import Tensor
from torch.nn import functional

from skasd._typing import Float, Int
from skasd.losses._precision import at_least_float32


@at_least_float32
def noisy_arcmix_loss(
    logits: Float[Tensor, "clips classes"],
    label: Int[Tensor, " clips"],
    partner_label: Int[Tensor, " clips"],
    share: Float[Tensor, ""] | float,
) -> Float[Tensor, ""]:
    r"""Cross-entropy of both labels with the same logits: Noisy-ArcMix [1]_.

    .. math:: L = \lambda\, \mathrm{CE}(\ell, y) + (1 - \lambda)\, \mathrm{CE}(\ell, y_\pi)

    The logits :math:`\ell` have their margin on the first label :math:`y`, so in the term of the partner's label
    :math:`y_\pi` the margin is on the wrong class.

    Parameters
    ----------
    logits : Tensor of shape (clips, classes)
        Logits with the margin on `label`.
    label, partner_label : Tensor of shape (clips,), int64
        Classes of the two clips of each mixture.
    share : Tensor of shape () or float
        Share :math:`\lambda` of the first clip, dimensionless, in [0, 1].

    Returns
    -------
    loss : Tensor of shape ()
        Mean over clips.

    References
    ----------
    .. [1] S. Choi, J.-W. Choi, "Noisy-ArcMix", ICASSP 2024. arXiv:2310.06364. Code: github.com/soonhyeon/Noisy-ArcMix.

    Examples
    --------
    >>> import torch
    >>> logits = torch.tensor([[7.233058, 24.0, 0.0]])
    >>> noisy_arcmix_loss(logits, torch.tensor([0]), torch.tensor([1]), 0.3)
    tensor(5.0301)
    """
    return arcmix_loss(logits, logits, label, partner_label, share)


@at_least_float32
def arcmix_loss(
    logits: Float[Tensor, "clips classes"],
    partner_logits: Float[Tensor, "clips classes"],
    label: Int[Tensor, " clips"],
    partner_label: Int[Tensor, " clips"],
    share: Float[Tensor, ""] | float,
) -> Float[Tensor, ""]:
    r"""Cross-entropy of each label with logits that have the margin on that label: ArcMix, the ablation in [1]_.

    .. math:: L = \lambda\, \mathrm{CE}(\ell, y) + (1 - \lambda)\, \mathrm{CE}(\ell_\pi, y_\pi)

    Parameters
    ----------
    logits, partner_logits : Tensor of shape (clips, classes)
        Logits with the margin on `label` and on `partner_label`, respectively.
    label, partner_label : Tensor of shape (clips,), int64
        Classes of the two clips of each mixture.
    share : Tensor of shape () or float
        Share :math:`\lambda` of the first clip, dimensionless, in [0, 1].

    Returns
    -------
    loss : Tensor of shape ()
        Mean over clips.

    References
    ----------
    .. [1] S. Choi, J.-W. Choi, "Noisy-ArcMix", ICASSP 2024. arXiv:2310.06364.
    """
    first = functional.cross_entropy(logits, label)
    second = functional.cross_entropy(partner_logits, partner_label)
    return share * first + (1 - share) * second
