"""Back ends that compare embeddings with known clips, in double precision.

An embedding is that of a known clip if it is closer to it than `_SAME`. This is more than in :mod:`skasd.scoring`, as the
graph computes features in another order than the estimator that learnt them.

Axes: B clips, D dimensions, N known clips.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from skasd.scoring._distance import RESOLUTION, KnownEmbeddings
from skasd.scoring._scaled_neighbors import ScaledNeighbors, Scaling

_SAME = 1e-3  # relative to the length; that of a copy of a recording


class Known(nn.Module):
    """Euclidean distances to known embeddings.

    Parameters
    ----------
    known : ndarray of shape (N, D)
        Known embeddings.
    """

    transposed: Tensor
    lengths: Tensor

    def __init__(self, known: np.ndarray) -> None:
        super().__init__()
        known = np.asarray(known, dtype=np.float64)
        self.register_buffer("transposed", torch.from_numpy(np.ascontiguousarray(known.T)))
        self.register_buffer("lengths", torch.from_numpy(np.square(known).sum(axis=1)))

    def forward(self, x: Tensor) -> Tensor:
        """Distances (B, N) of embeddings (B, D)."""
        squared = x.square().sum(dim=1, keepdim=True) + self.lengths - 2 * (x @ self.transposed)
        return squared.clamp(min=0).sqrt()


def _scaled(x: Tensor, metric: str) -> Tensor:
    """Embeddings (B, D) of unit length, or unchanged for "euclidean"; zero vectors stay zero."""
    if metric == "euclidean":
        return x
    length = x.square().sum(dim=1, keepdim=True).sqrt()
    return x / torch.where(length > 0, length, torch.ones_like(length))


def _distance(euclidean: Tensor, metric: str) -> Tensor:
    return euclidean.square() / 2 if metric == "cosine" else euclidean


def _are_same(nearest: Tensor, x: Tensor) -> Tensor:
    """Whether embeddings (B, D) are those of their nearest known clips, given the distances (B,)."""
    return nearest <= _SAME * x.square().sum(dim=1).sqrt()


def _finite(score: Tensor) -> Tensor:
    return torch.where(score < torch.inf, score, torch.zeros_like(score))


class _Nearest(nn.Module):
    """Mean distance to the nearest known embeddings of one domain, infinite where there is no other embedding."""

    def __init__(self, known: KnownEmbeddings, n_neighbors: int) -> None:
        super().__init__()
        self.metric, self.are_clips = known.metric, known.are_clips
        self.n_found = min(n_neighbors + 1, len(known))
        self.n_missing = n_neighbors + 1 - self.n_found
        self.distances = Known(known.embedding)

    def forward(self, x: Tensor) -> Tensor:
        found = self.distances(x).topk(self.n_found, dim=1, largest=False).values
        is_same = _are_same(found[:, 0], x)[:, None]
        if self.metric != "euclidean":
            found = torch.where(found < RESOLUTION, torch.zeros_like(found), found)
        missing = torch.full_like(found[:, :1], torch.inf).expand(-1, self.n_missing + 1)
        found = torch.cat([_distance(found, self.metric), missing], dim=1)
        taken = torch.where(is_same, found[:, 1:-1], found[:, :-2]) if self.are_clips else found[:, :-2]
        exists = (taken < torch.inf).double()
        total = torch.where(taken < torch.inf, taken, torch.zeros_like(taken)).sum(dim=1)
        count = exists.sum(dim=1)
        return torch.where(count > 0, total / count.clamp(min=1), torch.full_like(count, torch.inf))


class NearestDomain(nn.Module):
    """Mean distance to the nearest known embeddings of the domain where it is smallest.

    Parameters
    ----------
    domains : sequence of KnownEmbeddings
        Known embeddings of each domain, of one metric.
    n_neighbors : int
        Number of neighbours to average over.
    """

    def __init__(self, domains: Sequence[KnownEmbeddings], n_neighbors: int) -> None:
        super().__init__()
        self.metric = domains[0].metric
        self.domains = nn.ModuleList(_Nearest(known, n_neighbors) for known in domains)

    def forward(self, x: Tensor) -> Tensor:
        """Anomaly score (B,) of embeddings (B, D)."""
        x = _scaled(x, self.metric)
        return _finite(torch.stack([domain(x) for domain in self.domains]).amin(dim=0))


class LocalDensity(nn.Module):
    """Smallest distance to a known embedding, relative to the density around that one.

    Parameters
    ----------
    known : ndarray of shape (N, D)
        Known embeddings, scaled.
    spread : ndarray of shape (N,)
        Mean distance of each to its neighbours.
    metric : {"chord", "cosine", "euclidean"}
        Metric of the distances.
    """

    spread: Tensor

    def __init__(self, known: np.ndarray, spread: np.ndarray, metric: str) -> None:
        super().__init__()
        self.metric, self.distances = metric, Known(known)
        self.register_buffer("spread", torch.from_numpy(np.asarray(spread, dtype=np.float64)))

    def forward(self, x: Tensor) -> Tensor:
        """Anomaly score (B,) of embeddings (B, D)."""
        x = _scaled(x, self.metric)
        euclidean = self.distances(x)
        nearest = euclidean.amin(dim=1, keepdim=True)
        is_itself = (euclidean <= nearest) & _are_same(nearest[:, 0], x)[:, None]
        relative = _distance(euclidean, self.metric) / self.spread
        return _finite(torch.where(is_itself, torch.full_like(relative, torch.inf), relative).amin(dim=1))


class Scaled(nn.Module):
    """Map to a space in which all directions have the same spread.

    Parameters
    ----------
    scaling : Scaling
        What was learnt of normal clips.
    """

    location: Tensor
    scale: Tensor
    rotation: Tensor | None

    def __init__(self, scaling: Scaling) -> None:
        super().__init__()
        self.register_buffer("location", torch.from_numpy(np.asarray(scaling.location, dtype=np.float64)))
        self.register_buffer("scale", torch.from_numpy(np.asarray(scaling.scale, dtype=np.float64)))
        rotation = None if scaling.rotation is None else torch.from_numpy(np.ascontiguousarray(scaling.rotation))
        self.register_buffer("rotation", rotation)

    def forward(self, x: Tensor) -> Tensor:
        """Scaled statistics (B, D)."""
        standardized = (x - self.location) / self.scale
        return standardized if self.rotation is None else standardized @ self.rotation


class ScaledNearest(nn.Module):
    """Mean distance to the nearest known clips in a scaled space, each relative to the density around it.

    Parameters
    ----------
    neighbors : ScaledNeighbors
        What was learnt of normal clips.
    """

    density: Tensor

    def __init__(self, neighbors: ScaledNeighbors) -> None:
        super().__init__()
        self.scaled, self.distances = Scaled(neighbors.scaling), Known(neighbors.known)
        self.register_buffer("density", torch.from_numpy(np.asarray(neighbors.density, dtype=np.float64)))
        n_known = len(neighbors.known)
        self.n_taken = min(neighbors.n_neighbors, n_known - 1)
        self.n_found = min(neighbors.n_neighbors + 1, n_known)

    def forward(self, x: Tensor) -> Tensor:
        """Anomaly score (B,) of statistics (B, D)."""
        x = self.scaled(x)
        found, which = self.distances(x).topk(self.n_found, dim=1, largest=False)
        relative = found / self.density[which]
        if not self.n_taken:  # a single clip is known
            return relative[:, 0]
        is_same = _are_same(found[:, 0], x)[:, None]
        return torch.where(is_same, relative[:, 1 : 1 + self.n_taken], relative[:, : self.n_taken]).mean(dim=1)


class ScaledSpaces(nn.Module):
    """Mean over groups of features, each of which has its own space.

    Parameters
    ----------
    spaces : sequence of ScaledNeighbors
        The space of each group.
    groups : sequence of ndarray of int
        Positions of the features of each group.
    """

    def __init__(self, spaces: Sequence[ScaledNeighbors], groups: Sequence[np.ndarray]) -> None:
        super().__init__()
        self.spaces = nn.ModuleList(map(ScaledNearest, spaces))
        self.edges = [(int(group[0]), int(group[-1]) + 1) for group in groups]

    def forward(self, x: Tensor) -> Tensor:
        """Anomaly score (B,) of features (B, D)."""
        parts = [space(x[:, start:stop]) for space, (start, stop) in zip(self.spaces, self.edges, strict=True)]
        return torch.stack(parts).mean(dim=0)
