"""Back ends, which turn embeddings into anomaly scores."""

from typing import TYPE_CHECKING

from skasd._lazy import imported_when_used

if TYPE_CHECKING:
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

__getattr__ = imported_when_used(
    __name__,
    {
        "BackEnd": "_base",
        "check_scorer": "_base",
        "GMMScorer": "_gmm",
        "KMeansScorer": "_kmeans",
        "KNNScorer": "_knn",
        "LocalDensityScorer": "_local_density",
        "MahalanobisScorer": "_mahalanobis",
        "ScaledKNNScorer": "_scaled_knn",
    },
)


def __dir__() -> list[str]:
    return __all__
