"""Exchange of parts between the clips of a batch, with classes of their own for what comes out.

K. Wilkinghoff, "Self-supervised learning for anomalous sound detection", ICASSP 2024, arXiv:2312.09578 (feature exchange);
H. Chen et al., "An effective anomalous sound detection method based on representation learning with simulated anomalies",
ICASSP 2023 (statistics exchange).

Axes: B clips, C classes, M parts of an embedding, D dimensions of a part, F bands, T frames.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Exchange:
    """Which clips of a batch get parts of another, and of which.

    Parameters
    ----------
    is_exchanged : Tensor of shape (B,), bool
        Clips that do.
    partner : Tensor of shape (B,), int64
        From which; a permutation.
    """

    is_exchanged: Tensor
    partner: Tensor


def draw_exchange(n_clips: int, probability: float, generator: torch.Generator) -> Exchange:
    """Draw which clips exchange, each with the same probability, and a permutation.

    Parameters
    ----------
    n_clips : int
        Clips of the batch.
    probability : float
        In [0, 1].
    generator : torch.Generator
        On the device of the batch.
    """
    drawn = torch.rand(n_clips, generator=generator, device=generator.device)
    return Exchange(drawn < probability, torch.randperm(n_clips, generator=generator, device=generator.device))


def exchanged_parts(parts: Sequence[Tensor], exchange: Exchange) -> list[Tensor]:
    """Feature exchange: the first part of each embedding, and the others of its partner where it exchanges.

    Parameters
    ----------
    parts : sequence of Tensor of shape (B, D)
        M parts, one from each branch of a network.
    exchange : Exchange
        Which clips, and with whom.

    Returns
    -------
    parts : list of Tensor of shape (B, D)
    """
    first, *others = parts
    chosen = exchange.is_exchanged[:, None]
    return [first, *(torch.where(chosen, part[exchange.partner], part) for part in others)]


def exchanged_target(target: Tensor, exchange: Exchange, n_parts: int = 2) -> Tensor:
    """Shares of M + 1 times as many classes: the first C for whole embeddings, C more for each part of exchanged ones.

    Parameters
    ----------
    target : Tensor of shape (B, C)
        Shares of the classes.
    exchange : Exchange
        Which clips exchanged, and with whom.
    n_parts : int, default=2
        M.

    Returns
    -------
    target : Tensor of shape (B, (M + 1) C)
        Rows have the sum of those of `target`.

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


def exchanged_statistics(spectrogram: Tensor, exchange: Exchange) -> Tensor:
    """Statistics exchange: each frame gets the mean and the standard deviation over frequency of its partner's.

    Parameters
    ----------
    spectrogram : Tensor of shape (B, F, T)
        Of clips of one length.
    exchange : Exchange
        Which clips, and with whom.

    Returns
    -------
    spectrogram : Tensor of shape (B, F, T)

    Notes
    -----
    A frame without spread gets the mean alone.
    """
    mean = spectrogram.mean(dim=1, keepdim=True)
    spread = spectrogram.std(dim=1, keepdim=True, correction=0)
    normalised = (spectrogram - mean) / torch.where(spread > 0, spread, 1)
    moved = normalised * spread[exchange.partner] + mean[exchange.partner]
    return torch.where(exchange.is_exchanged[:, None, None], moved, spectrogram)
