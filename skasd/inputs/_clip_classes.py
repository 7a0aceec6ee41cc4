"""The classes that a network learns to tell apart: labels of the table, or clusters of what clips sound like on average.

Axes: n clips, d statistics.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from skasd._parameters import check_integer
from skasd.clips import Clips
from skasd.clustering import StatisticalClusterer

USUAL_COLUMNS = ("machine_type", "section")  # a table may lack them
_CLUSTERS = 16  # of clips that have no labels


def check_class_parameters(label_columns: Sequence[str] | None, n_clusters: int | None) -> None:
    """Raise if a parameter of an estimator that learns classes is out of range."""
    if label_columns is not None and not isinstance(label_columns, list | tuple):
        what = type(label_columns).__name__
        raise TypeError(f"label_columns={label_columns!r} is a {what}; a tuple of column names or None is expected.")
    if n_clusters is not None:
        check_integer("n_clusters", n_clusters, low=1, other="None")


@dataclass(frozen=True)
class ClipClasses:
    """The classes of training clips.

    Attributes
    ----------
    names : ndarray of shape (n_classes,), str
        Sorted.
    machine : ndarray of shape (n_classes,), str
        The cells of the label columns, joined, that the clips of a class have in common; "" without labels.
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
            Labels of the clips.
        statistics : ndarray of shape (n, d)
            What the clips sound like, for clusters.
        n_clusters : int or None
            Clusters of each machine and domain; None makes clusters only of clips that have fewer than two labels.
        domain : ndarray of shape (n,), str, or None, default=None
            ``"source"`` or ``"target"``; never put into one cluster if there are both.
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
    """Label (n,) of each clip, "" where there is none: the cells of its label columns."""
    return clips.group_names(() if label_columns is None else label_columns, USUAL_COLUMNS)


def pseudo_labels(
    statistics: np.ndarray, group: np.ndarray, n_clusters: int, *, domain: np.ndarray | None = None, seed: int
) -> np.ndarray:
    """Names (n,) of clusters of the clips, found in each group and domain for itself.

    Parameters
    ----------
    statistics : ndarray of shape (n, d)
        What a clip sounds like: levels of its bands, in dB.
    group : ndarray of shape (n,), str
        What is never put into one cluster: the machine. Names begin with it.
    n_clusters : int
        Clusters of each group, at most one for every two of its clips.
    domain : ndarray of shape (n,), str, or None, default=None
        Not told apart, and not named, where all are of one.
    seed : int
        Seeds the clustering.

    Returns
    -------
    names : ndarray of shape (n,), str
        "fan/00 | target | cluster 2", or "cluster 2" where the group is "" and there is one domain.
    """
    clusterer = StatisticalClusterer(n_clusters=n_clusters, min_share=0, random_state=seed)
    clusterer.fit(
        statistics, machine_type=group, domain=domain if domain is not None and len(set(domain)) > 1 else None
    )
    return clusterer.cluster_names_[clusterer.labels_]
