"""Feature exchange and statistics exchange between the clips of a batch; exchanged clips get classes of their own.

K. Wilkinghoff, "Self-supervised learning for anomalous sound detection", ICASSP 2024, arXiv:2312.09578 (feature exchange);
H. Chen et al., "An effective anomalous sound detection method based on representation learning with simulated anomalies",
ICASSP 2023 (statistics exchange).

Axes: B clips, C classes, M parts of an embedding, D dim of a part, F bands, T frames.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from skasd._typing import Bool, Float, Int
from skasd.augmentations._draw import drawn_uniform


@dataclass(frozen=True)
class Exchange:
    """Which clips of a batch exchange parts, and with which partners.

    Parameters
    ----------
    is_exchanged : Tensor of shape (clips,), bool
        Whether each clip takes parts of its partner.
    partner : Tensor of shape (clips,), int64
        Index of the partner of each clip; a permutation.
    """

    is_exchanged: Bool[Tensor, " clips"]
    partner: Int[Tensor, " clips"]


def draw_exchange(
    n_clips: int, probability: float, generator: torch.Generator, *, device: torch.device | str = "cpu"
) -> Exchange:
    """Draw which clips exchange parts, each with the same probability, and a random permutation as partners.

    Parameters
    ----------
    n_clips : int
        Number of clips in the batch.
    probability : float
        Probability that a clip exchanges parts, in [0, 1].
    generator : torch.Generator
        Random generator.
    device : torch.device or str, default="cpu"
        Device of the batch, which the drawn numbers are moved to.

    Returns
    -------
    exchange : Exchange
        The clips and their partners.
    """
    is_exchanged = drawn_uniform(n_clips, generator=generator) < probability
    partner = torch.randperm(n_clips, generator=generator, device=generator.device)
    return Exchange(is_exchanged.to(device), partner.to(device))


def exchanged_parts(
    parts: Sequence[Float[Tensor, "clips dim"]], exchange: Exchange
) -> list[Float[Tensor, "clips dim"]]:
    """Feature exchange: an exchanged clip keeps the first part of its embedding and takes the others from its partner.

    Parameters
    ----------
    parts : sequence of Tensor of shape (clips, dim)
        Parts of the embedding, one from each branch of a network.
    exchange : Exchange
        Which clips exchange parts, and with which partners.

    Returns
    -------
    parts : list of Tensor of shape (clips, dim)
        Parts after the exchange.

    Notes
    -----
    The publication has two parts. With three or more, all but the first come from the same partner here; the toolkit ASDKit
    draws another partner for each.
    """
    first, *others = parts
    chosen = exchange.is_exchanged[:, None]
    return [first, *(torch.where(chosen, part[exchange.partner], part) for part in others)]


def exchanged_target(
    target: Float[Tensor, "clips classes"], exchange: Exchange, n_parts: int = 2
) -> Float[Tensor, "clips {n_parts+1}*classes"]:
    """Class probabilities after a feature exchange, over M + 1 times as many classes for M parts of an embedding.

    The original classes come first; they are those of unchanged clips. Each part of an exchanged clip has a further set of
    as many classes.

    Parameters
    ----------
    target : Tensor of shape (clips, classes)
        Target probability of each class.
    exchange : Exchange
        Which clips exchanged parts, and with which partners.
    n_parts : int, default=2
        Number of parts of an embedding, M.

    Returns
    -------
    target : Tensor of shape (clips, (n_parts + 1) * classes)
        Target probabilities; the sum of each row stays the same.

    Examples
    --------
    >>> both = Exchange(torch.tensor([False, True]), torch.tensor([1, 0]))
    >>> exchanged_target(torch.eye(2), both)
    tensor([[1.0000, 0.0000, 0.0000, 0.0000, 0.0000, 0.0000],
            [0.0000, 0.0000, 0.0000, 0.5000, 0.5000, 0.0000]])
    """
    nothing, of_partner = torch.zeros_like(target), target[exchange.partner]
    untouched = torch.cat([target, *[nothing] * n_parts], dim=1)
    moved = torch.cat([nothing, target / n_parts, *[of_partner / n_parts] * (n_parts - 1)], dim=1)
    return torch.where(exchange.is_exchanged[:, None], moved, untouched)


def exchanged_statistics(
    spectrogram: Float[Tensor, "clips bands frames"], exchange: Exchange
) -> Float[Tensor, "clips bands frames"]:
    """Statistics exchange: each frame gets the mean and standard deviation over frequency of the partner's frame.

    Parameters
    ----------
    spectrogram : Tensor of shape (clips, bands, frames)
        Spectrograms of clips of equal length.
    exchange : Exchange
        Which clips exchange statistics, and with which partners.

    Returns
    -------
    spectrogram : Tensor of shape (clips, bands, frames)
        Spectrograms after the exchange.

    Notes
    -----
    A frame whose bands are all equal becomes constant, with the mean of the partner's frame.

    In the published network all heads follow the exchange, so that the main head, with the original classes, is trained on
    exchanged clips too. In :class:`~skasd.detectors.SelfSupervisedDetector` only the head of the additional classes sees
    them, which takes a second forward pass.
    """
    mean = spectrogram.mean(dim=1, keepdim=True)
    spread = spectrogram.std(dim=1, keepdim=True, correction=0)
    normalised = (spectrogram - mean) / torch.where(spread > 0, spread, 1)
    moved = normalised * spread[exchange.partner] + mean[exchange.partner]
    return torch.where(exchange.is_exchanged[:, None, None], moved, spectrogram)
