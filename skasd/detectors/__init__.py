"""Detectors: fit on normal clips, then score, decide and explain new ones."""

from typing import TYPE_CHECKING

from skasd._lazy import imported_when_used

if TYPE_CHECKING:
    from skasd.detectors._autoencoder import AutoencoderDetector
    from skasd.detectors._contrastive_spectrum import ContrastiveSpectrumDetector
    from skasd.detectors._ensemble import EnsembleDetector
    from skasd.detectors._joint_ae_cnn import JointAECNNDetector
    from skasd.detectors._osscl import OSSCLDetector
    from skasd.detectors._self_supervised import SelfSupervisedDetector
    from skasd.detectors._stat_cluster import StatClusterDetector
    from skasd.detectors._stat_cluster_ensemble import stat_cluster_ensemble
    from skasd.detectors._statistics import StatisticsDetector
    from skasd.detectors._twfr import TWFRDetector

__all__ = [
    "AutoencoderDetector",
    "ContrastiveSpectrumDetector",
    "EnsembleDetector",
    "JointAECNNDetector",
    "OSSCLDetector",
    "SelfSupervisedDetector",
    "StatClusterDetector",
    "StatisticsDetector",
    "TWFRDetector",
    "stat_cluster_ensemble",
]

__getattr__ = imported_when_used(
    __name__,
    {
        "AutoencoderDetector": "_autoencoder",
        "ContrastiveSpectrumDetector": "_contrastive_spectrum",
        "EnsembleDetector": "_ensemble",
        "JointAECNNDetector": "_joint_ae_cnn",
        "OSSCLDetector": "_osscl",
        "SelfSupervisedDetector": "_self_supervised",
        "StatClusterDetector": "_stat_cluster",
        "stat_cluster_ensemble": "_stat_cluster_ensemble",
        "StatisticsDetector": "_statistics",
        "TWFRDetector": "_twfr",
    },
)


def __dir__() -> list[str]:
    return __all__
