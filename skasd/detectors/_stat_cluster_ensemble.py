"""The ensemble of the systems of a DCASE 2024 report."""

from typing import Any

from skasd.detectors._ensemble import EnsembleDetector
from skasd.detectors._self_supervised import SelfSupervisedDetector
from skasd.detectors._stat_cluster import StatClusterDetector


def stat_cluster_ensemble(**params: Any) -> EnsembleDetector:
    """System 4 of [1]_: the mean of its systems 1, 2 and 3.

    Parameters
    ----------
    **params : dict
        Parameters of the :class:`EnsembleDetector` and of its detectors, such as ``clusters__max_epochs=16``.

    Returns
    -------
    detector : EnsembleDetector
        Ensemble of ``clusters`` (:class:`StatClusterDetector`, system 1), ``metadata`` (the same, system 2) and
        ``self_supervised`` (:class:`SelfSupervisedDetector`, system 3).

    References
    ----------
    .. [1] J. Tian et al., "Self-supervised anomalous sound detection with statistical clustering and contrastive learning",
           DCASE 2024 technical report.

    Examples
    --------
    >>> from skasd.detectors import stat_cluster_ensemble
    >>> [name for name, _ in stat_cluster_ensemble(random_state=0).estimators]
    ['clusters', 'metadata', 'self_supervised']
    """
    systems = [
        ("clusters", StatClusterDetector("clusters", score_with="embedding")),
        ("metadata", StatClusterDetector("metadata", score_with="embedding")),
        ("self_supervised", SelfSupervisedDetector(score_with="embedding")),
    ]
    return EnsembleDetector(systems).set_params(**params)
