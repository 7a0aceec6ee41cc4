"""Back ends as modules from embeddings to anomaly scores, in double precision.

Axes: B clips, D dimensions, N known clips, K components or neighbours.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

from skasd.export._neighbors import LocalDensity, NearestDomain, ScaledSpaces
from skasd.export._refusal import refused
from skasd.scoring import (
    BackEnd,
    GMMScorer,
    KMeansScorer,
    KNNScorer,
    LocalDensityScorer,
    MahalanobisScorer,
    ScaledKNNScorer,
)


def buffer(values: Any) -> Tensor:
    """Constant of a module, in double precision."""
    return torch.from_numpy(np.array(values, dtype=np.float64, order="C"))


class Affine(nn.Module):
    """Linear map and shift, such as a scaler or the projection to principal components.

    Parameters
    ----------
    matrix : ndarray of shape (D, D_out)
        Linear map.
    location : ndarray of shape (D,)
        What is subtracted first.
    """

    matrix: Tensor
    location: Tensor

    def __init__(self, matrix: np.ndarray, location: np.ndarray) -> None:
        super().__init__()
        self.register_buffer("matrix", buffer(matrix))
        self.register_buffer("location", buffer(location))

    def forward(self, x: Tensor) -> Tensor:
        """Mapped embeddings (B, D_out)."""
        return (x - self.location) @ self.matrix


class Mixture(nn.Module):
    """Negative log density of a Gaussian mixture, or of its nearest component without its weight.

    Parameters
    ----------
    mixture : GaussianMixture
        Fitted.
    density : {"mixture", "component"}
        Kind of score.
    """

    mean: Tensor
    root: Tensor
    constant: Tensor

    def __init__(self, mixture: GaussianMixture, density: str) -> None:
        super().__init__()
        self.density = density
        roots, n_dims = np.asarray(mixture.precisions_cholesky_), mixture.means_.shape[1]
        self.is_full = mixture.covariance_type in ("full", "tied")
        if self.is_full:
            roots = np.broadcast_to(roots, (len(mixture.means_), n_dims, n_dims))
            log_determinant = np.log(np.diagonal(roots, axis1=1, axis2=2)).sum(axis=1)
        else:
            roots = np.broadcast_to(roots.reshape(len(mixture.means_), -1), mixture.means_.shape)
            log_determinant = np.log(roots).sum(axis=1)
        constant = log_determinant - 0.5 * n_dims * np.log(2 * np.pi)
        constant = constant + np.log(mixture.weights_) if density == "mixture" else constant
        self.register_buffer("mean", buffer(mixture.means_[:, None]))
        self.register_buffer("root", buffer(roots if self.is_full else roots[:, None]))
        self.register_buffer("constant", buffer(constant[:, None]))

    def forward(self, x: Tensor) -> Tensor:
        """Anomaly score (B,) of embeddings (B, D)."""
        centred = x - self.mean  # (K, B, D)
        scaled = centred @ self.root if self.is_full else centred * self.root
        log_density = self.constant - 0.5 * scaled.square().sum(dim=2)  # (K, B)
        return -(log_density.logsumexp(dim=0) if self.density == "mixture" else log_density.amax(dim=0))


class Mahalanobis(nn.Module):
    """Squared Mahalanobis distance to the nearest of several means.

    Parameters
    ----------
    location : ndarray of shape (K, D)
        Means.
    precision : ndarray of shape (K, D, D)
        Inverse covariances.
    """

    location: Tensor
    precision: Tensor

    def __init__(self, location: np.ndarray, precision: np.ndarray) -> None:
        super().__init__()
        self.register_buffer("location", buffer(location[:, None]))
        self.register_buffer("precision", buffer(precision))

    def forward(self, x: Tensor) -> Tensor:
        """Anomaly score (B,) of embeddings (B, D)."""
        centred = x - self.location  # (K, B, D)
        return ((centred @ self.precision) * centred).sum(dim=2).amin(dim=0)


def _of_mahalanobis(scorer: MahalanobisScorer) -> nn.Module:
    names = list(scorer.location_)
    return Mahalanobis(
        np.array([scorer.location_[name] for name in names]), np.array([scorer.precision_[name] for name in names])
    )


def _of_pca(step: PCA) -> nn.Module:
    scale = np.sqrt(step.explained_variance_) if step.whiten else 1.0
    return Affine(step.components_.T / scale, step.mean_)


def _of_scaler(step: StandardScaler) -> nn.Module:
    n_dims = step.n_features_in_
    scale = np.ones(n_dims) if step.scale_ is None else step.scale_
    return Affine(np.diag(1 / scale), np.zeros(n_dims) if step.mean_ is None or not step.with_mean else step.mean_)


def _of_pipeline(pipeline: Pipeline) -> nn.Module:
    *steps, (_, last) = pipeline.steps
    return nn.Sequential(*(map_module(step) for _, step in steps), scorer_module(last))


_SCORERS: dict[type, Callable[[Any], nn.Module]] = {
    GaussianMixture: lambda scorer: Mixture(scorer, "mixture"),
    GMMScorer: lambda scorer: Mixture(scorer.mixture_, scorer.density),
    KMeansScorer: lambda scorer: NearestDomain(scorer._known, n_neighbors=1),
    KNNScorer: lambda scorer: NearestDomain(scorer._domains, n_neighbors=scorer.n_neighbors),
    LocalDensityScorer: lambda scorer: LocalDensity(scorer._known, scorer._spread, scorer.metric),
    MahalanobisScorer: _of_mahalanobis,
    ScaledKNNScorer: lambda scorer: ScaledSpaces(scorer._spaces, scorer._groups),
    Pipeline: _of_pipeline,
}
_MAPS: dict[type, Callable[[Any], nn.Module]] = {PCA: _of_pca, StandardScaler: _of_scaler}


def map_module(step: Any) -> nn.Module:
    """Module of a step of a pipeline that maps embeddings to others."""
    if isinstance(step, str) and step == "passthrough":
        return nn.Identity()
    if type(step) not in _MAPS:
        raise refused(f"the step {step!r}", f"use one of {_names(_MAPS)}")
    return _MAPS[type(step)](step)


def refuse_approximate(scorer: Any) -> None:
    """Raise for a back end or detector that compares with some training clips: the graph compares with all of them."""
    if getattr(scorer, "neighbors", "exact") != "exact":
        raise ValueError(
            f"{type(scorer).__name__} with neighbors={scorer.neighbors!r} cannot be exported, since an ONNX file compares "
            "with all training clips; fit it with neighbors='exact'."
        )


def scorer_module(scorer: Any) -> nn.Module:
    """Module from embeddings (B, D) to anomaly scores (B,), high = anomalous.

    Parameters
    ----------
    scorer : estimator or BackEnd
        Fitted scorer.

    Raises
    ------
    ValueError
        If there is no module for scorers of its class, or if it compares with some of the training clips only.
    """
    scorer = scorer.model if isinstance(scorer, BackEnd) else scorer
    if type(scorer) not in _SCORERS:
        raise refused(f"the parameter scorer={scorer!r}", f"fit with one of {_names(_SCORERS)}")
    refuse_approximate(scorer)
    return _SCORERS[type(scorer)](scorer)


def _names(classes: dict[type, Any]) -> str:
    return ", ".join(kind.__name__ for kind in classes)
