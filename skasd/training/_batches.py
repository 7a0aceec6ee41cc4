"""Batches of a training or validation set, in an order that is drawn for each epoch."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import torch
from torch import Tensor

from skasd.training._data import Batch

Order = Callable[["Rows", torch.Generator], Tensor]


class Selectable(Protocol):
    """Data that batches are drawn from: training clips or their patches."""

    @property
    def label(self) -> Tensor:
        """Class of each row, on the device."""

    @property
    def is_mapped(self) -> bool:
        """Whether the data are memory-mapped from a file."""

    def take(self, rows: Tensor) -> Batch:
        """Inputs and labels of the given rows."""


@dataclass(frozen=True)
class Rows:
    """Subset of the clips, used as training or validation set.

    Parameters
    ----------
    clips : TrainingClips or PatchClips
        All clips, or their patches.
    rows : Tensor of shape (n_rows,), int64
        Rows in the subset.
    """

    clips: Selectable
    rows: Tensor

    def __len__(self) -> int:
        return len(self.rows)


class Batches:
    """Batches of a data set, in a new order each epoch.

    Parameters
    ----------
    data : Rows
        Data set.
    batch_size : int
        Rows per batch. A last batch of one row is merged into the previous one, because batch normalisation needs two.
    order : callable or None, default=None
        Function that returns the rows of a `Rows` in the order of the next epoch; None keeps their order.
    share : tuple of int, default=(0, 1)
        Number of this process, counted from 0, and number of processes that train together. `batch_size` is that of each:
        a batch has as many rows for every process, and this one gets its own.
    """

    def __init__(
        self,
        data: Rows,
        batch_size: int,
        order: Callable[[Rows], Tensor] | None = None,
        share: tuple[int, int] = (0, 1),
    ) -> None:
        self.data, self.order, self.share = data, order, share
        self.batch_size = batch_size * share[1]

    def __len__(self) -> int:
        n, size = len(self.data), self.batch_size
        return max(1, -(-n // size) - (0 < n % size < 2 * self.share[1] and size > n % size))

    def __iter__(self) -> Iterator[Batch]:
        clips = self.data.clips
        rows = self.data.rows if self.order is None else self.order(self.data)
        cuts = [index * self.batch_size for index in range(len(self))]
        batches = [rows[start:end] for start, end in pairwise([*cuts, len(rows)])]
        parts = [batch[self.share[0] :: self.share[1]] for batch in batches]  # a mixture, where classes stand together
        if not clips.is_mapped:
            return map(clips.take, parts)
        return _ahead(clips.take, parts)


def _ahead(take: Callable[[Tensor], Batch], parts: list[Tensor]) -> Iterator[Batch]:
    """Results of `take` for each part, prefetching the next one in a thread."""
    with ThreadPoolExecutor(1) as reader:
        coming = reader.submit(take, parts[0])
        for part in parts[1:]:
            batch, coming = coming.result(), reader.submit(take, part)
            yield batch
        yield coming.result()


def shuffled(data: Rows, generator: torch.Generator) -> Tensor:
    """All rows in random order."""
    return data.rows[torch.randperm(len(data), generator=generator)]


def balanced(data: Rows, generator: torch.Generator) -> Tensor:
    """As many rows as the data set has, drawn with replacement so that all classes are equally likely."""
    _, label, counts = data.clips.label[data.rows].cpu().unique(return_inverse=True, return_counts=True)
    weight = 1.0 / counts[label].double()
    return data.rows[torch.multinomial(weight, len(data), replacement=True, generator=generator)]


SAMPLINGS: dict[str, Order] = {"shuffled": shuffled, "balanced": balanced}
