"""Back ends, which turn embeddings into anomaly scores."""

from skasd.scoring._base import BackEnd, check_scorer
from skasd.scoring._gmm import GMMScorer
from skasd.scoring._kmeans import KMeansScorer
from skasd.scoring._knn import KNNScorer
from skasd.scoring._local_density import LocalDensityScorer
from skasd.scoring._mahalanobis import MahalanobisScorer
from skasd.scoring._scaled_knn import ScaledKNNScorer

__all__ = [
    "BackEnd",
    "GMMScorer",
    "KMeansScorer",
    "KNNScorer",
    "LocalDensityScorer",
    "MahalanobisScorer",
    "ScaledKNNScorer",
    "check_scorer",
]
