"""Batches in which every class and both domains are seen.

Axes: n rows.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from skasd.training._data import Rows

_CLIPS_OF_CLASS = 8  # of a batch of many classes
_LEAST_OF_DOMAIN = 2


class _Queue:
    """Rows of one kind in random order, shuffled anew when all were drawn."""

    def __init__(self, rows: Tensor, generator: torch.Generator) -> None:
        self.rows, self.generator, self.coming = rows, generator, rows[:0]

    def __len__(self) -> int:
        return len(self.rows)

    def draw(self, n: int) -> Tensor:
        """The next n."""
        while len(self.coming) < n and len(self.rows):
            shuffled = self.rows[torch.randperm(len(self.rows), generator=self.generator)]
            self.coming = torch.cat([self.coming, shuffled])
        drawn, self.coming = self.coming[:n], self.coming[n:]
        return drawn


def by_class_and_domain(batch_size: int) -> Callable[[Rows, torch.Generator], Tensor]:
    """Order of an epoch whose batches have as many clips of each class, and some of the target domain among them.

    Parameters
    ----------
    batch_size : int
        Clips of a batch.

    Returns
    -------
    order : callable
        Of :class:`Rows` whose labels are twice the class, and one more in the target domain. An epoch draws as many clips as
        there are. A batch has all classes, or as many as have eight clips each, and at least two; of a class with both
        domains at least two clips are of each, if it has four, and of the target domain as large a share as there are.
    """

    def order(data: Rows, generator: torch.Generator) -> Tensor:
        kind = data.clips.label[data.rows].cpu()
        queues = {int(value): _Queue(data.rows[kind == value], generator) for value in kind.unique()}
        classes = _Queue(torch.unique(kind // 2), generator)
        n_classes = min(len(classes), max(2, batch_size // _CLIPS_OF_CLASS))
        batches = []
        for _ in range(0, len(data), batch_size):
            chosen = classes.draw(n_classes).tolist()
            shares = [(batch_size + index) // n_classes for index in range(n_classes)]
            batch = torch.cat([_of_class(queues, label, n) for label, n in zip(chosen, shares, strict=True)])
            batches.append(batch[torch.randperm(len(batch), generator=generator)])
        return torch.cat(batches)[: len(data)]

    return order


def _of_class(queues: dict[int, _Queue], label: int, n: int) -> Tensor:
    """So many clips of a class."""
    source, target = (queues.get(2 * label + domain) for domain in (0, 1))
    if source is None or target is None:
        return (source or target).draw(n)  # type: ignore[union-attr]
    n_target = max(min(_LEAST_OF_DOMAIN, n // 2), round(n * len(target) / (len(source) + len(target))))
    n_target = min(n_target, n - min(_LEAST_OF_DOMAIN, n // 2))
    return torch.cat([source.draw(n - n_target), target.draw(n_target)])
