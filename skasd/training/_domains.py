"""Sampling of batches that contain many classes and both domains.

Axes: n rows.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from skasd.training._batches import Rows

_CLIPS_OF_CLASS = 8  # per batch, if there are many classes
_LEAST_OF_DOMAIN = 2


class _Queue:
    """Rows of one kind in random order, reshuffled when all have been drawn."""

    def __init__(self, rows: Tensor, generator: torch.Generator) -> None:
        self.rows, self.generator, self.coming = rows, generator, rows[:0]

    def __len__(self) -> int:
        return len(self.rows)

    def draw(self, n: int) -> Tensor:
        """Draw the next n rows."""
        while len(self.coming) < n and len(self.rows):
            shuffled = self.rows[torch.randperm(len(self.rows), generator=self.generator)]
            self.coming = torch.cat([self.coming, shuffled])
        drawn, self.coming = self.coming[:n], self.coming[n:]
        return drawn


def by_class_and_domain(batch_size: int) -> Callable[[Rows, torch.Generator], Tensor]:
    """Sampler whose batches have equally many clips of each class, some of them from the target domain.

    Parameters
    ----------
    batch_size : int
        Clips per batch.

    Returns
    -------
    order : callable
        Function of :class:`Rows` and a generator that returns the rows of an epoch, as many as the data set has. Labels
        must be twice the class, plus one for the target domain. A batch contains as many classes as can have eight clips
        each, at least two, preferring those drawn least. A class with both domains is sampled from each in proportion to its
        size, with at least two clips per domain if four are drawn.
    """

    def order(data: Rows, generator: torch.Generator) -> Tensor:
        kind = data.clips.label[data.rows].cpu()
        queues = {int(value): _Queue(data.rows[kind == value], generator) for value in kind.unique()}
        classes = torch.unique(kind // 2)
        n_drawn = torch.zeros(len(classes), dtype=torch.float32)
        batches = []
        for first in range(0, len(data), batch_size):
            size = min(batch_size, len(data) - first)
            n_classes = min(len(classes), max(2, size // _CLIPS_OF_CLASS), size)
            chosen = (n_drawn + torch.rand(len(classes), generator=generator, dtype=torch.float32)).argsort()[
                :n_classes
            ]
            n_drawn[chosen] += 1
            shares = [(size + index) // n_classes for index in range(n_classes)]
            parts = [
                _of_class(queues, int(label), n, generator) for label, n in zip(classes[chosen], shares, strict=True)
            ]
            batches.append(torch.cat(parts))
        return torch.cat(batches)

    return order


def by_class(data: Rows, generator: torch.Generator) -> Tensor:
    """As many rows as the data set has, drawn with replacement so that all classes are equally likely in either domain.

    Parameters
    ----------
    data : Rows
        Data set with labels as in :func:`by_class_and_domain`.
    generator : torch.Generator
        Source of randomness, on the CPU.

    Returns
    -------
    rows : Tensor of shape (n,), int64
        Rows of the epoch.
    """
    _, label, counts = (data.clips.label[data.rows].cpu() // 2).unique(return_inverse=True, return_counts=True)
    return data.rows[torch.multinomial(1.0 / counts[label].double(), len(data), replacement=True, generator=generator)]


def _of_class(queues: dict[int, _Queue], label: int, n: int, generator: torch.Generator) -> Tensor:
    """Draw n clips of a class."""
    source, target = (queues.get(2 * label + domain) for domain in (0, 1))
    if source is None or target is None:
        return (source or target).draw(n)  # type: ignore[union-attr]
    least, share = min(_LEAST_OF_DOMAIN, n // 2), n * len(target) / (len(source) + len(target))
    n_target = min(max(least, int(share + torch.rand((), generator=generator, dtype=torch.float32))), n - least)
    return torch.cat([source.draw(n - n_target), target.draw(n_target)])
