"""Classes that a network is trained on: labels of the clip table, or clusters of mean spectra.

Axes: n clips, d statistics.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from skasd._parameters import check_columns, check_integer
from skasd.clips import MACHINE_COLUMNS, Clips
from skasd.clustering import StatisticalClusterer

_CLUSTERS = 16  # number of clusters of clips without labels


def check_class_parameters(label_columns: Sequence[str] | None, n_clusters: int | None) -> None:
    """Raise if a parameter of an estimator that learns classes is out of range."""
    if label_columns is not None:
        check_columns("label_columns", label_columns, other="None")
    if n_clusters is not None:
        check_integer("n_clusters", n_clusters, low=1, other="None")


@dataclass(frozen=True)
class ClipClasses:
    """The classes of training clips.

    Attributes
    ----------
    names : ndarray of shape (n_classes,), str
        Sorted names of the classes.
    machine : ndarray of shape (n_classes,), str
        Machine that the clips of each class belong to: their joined label columns, or "" without labels.
    label : ndarray of shape (n_clips,), int64
        Class of each training clip.
    is_clustered : bool
        Whether the classes are clusters.
    """

    names: np.ndarray
    machine: np.ndarray
    label: np.ndarray
    is_clustered: bool

    @classmethod
    def of(
        cls,
        machine: np.ndarray,
        statistics: np.ndarray,
        n_clusters: int | None,
        *,
        domain: np.ndarray | None = None,
        seed: int,
    ) -> "ClipClasses":
        """Classes of training clips.

        Parameters
        ----------
        machine : ndarray of shape (n,), str
            Label of each clip.
        statistics : ndarray of shape (n, d)
            Statistics to cluster.
        n_clusters : int or None
            Number of clusters per machine and domain. None clusters only if the labels give fewer than two classes.
        domain : ndarray of shape (n,), str, or None, default=None
            ``"source"`` or ``"target"``; clips of different domains are never in one cluster. None ignores domains.
        seed : int
            Seeds the clustering.
        """
        is_clustered = n_clusters is not None or len(np.unique(machine)) < 2
        names = machine
        if is_clustered:
            n_clusters = _CLUSTERS if n_clusters is None else n_clusters
            names = pseudo_labels(statistics, machine, n_clusters, domain=domain, seed=seed)
        unique, first, label = np.unique(names, return_index=True, return_inverse=True)
        return cls(unique, machine[first], label.astype(np.int64), is_clustered)


def machine_names(clips: Clips, label_columns: Sequence[str] | None) -> np.ndarray:
    """Label (n,) of each clip: its cells of the label columns, joined; "" if there are none."""
    return clips.group_names(() if label_columns is None else label_columns, MACHINE_COLUMNS)


def pseudo_labels(
    statistics: np.ndarray, group: np.ndarray, n_clusters: int, *, domain: np.ndarray | None = None, seed: int
) -> np.ndarray:
    """Cluster the clips within each group and domain, and return the name of the cluster of each clip.

    Parameters
    ----------
    statistics : ndarray of shape (n, d)
        Mean levels of the bands of each clip, in dB.
    group : ndarray of shape (n,), str
        Machine of each clip. Clips of different machines are never in one cluster, whose name begins with the machine.
    n_clusters : int
        Number of clusters per group, at most one for every two of its clips.
    domain : ndarray of shape (n,), str, or None, default=None
        Domain of each clip, which is ignored if all clips have the same.
    seed : int
        Seeds the clustering.

    Returns
    -------
    names : ndarray of shape (n,), str
        Names such as "fan/00 | target | cluster 2", or "cluster 2" if the group is "" and there is one domain.
    """
    clusterer = StatisticalClusterer(n_clusters=n_clusters, min_share=0, random_state=seed)
    clusterer.fit(
        statistics, machine_type=group, domain=domain if domain is not None and len(set(domain)) > 1 else None
    )
    return clusterer.cluster_names_[clusterer.labels_]
