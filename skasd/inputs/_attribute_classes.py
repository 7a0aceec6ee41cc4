"""Classes of clips: attributes, clusters of statistics, or only the domain.

J. Tian et al., DCASE 2024 technical report; class names are formed as in the code of K. Wilkinghoff, ICASSP 2024.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.base import clone

from skasd.clips import Clips
from skasd.clustering import StatisticalClusterer

_NO_ATTRIBUTES = ("", "noattribute", "noattributes", "nan", "none")


@dataclass(frozen=True)
class Labels:
    """The classes of training clips.

    Attributes
    ----------
    names : ndarray of shape (n_classes,), str
        Sorted names of the classes, such as ``"valve/00 | source | pat_01"``.
    label : ndarray of shape (n_clips,), int64
        Class of each clip.
    source : dict of str to {"attributes", "clusters", "domain"}
        Origin of the classes of each machine.
    """

    names: np.ndarray
    label: np.ndarray
    source: dict[str, str]


def attributes_of(clips: Clips) -> np.ndarray:
    """Attribute string (n_clips,) of each clip, or "" if it has none."""
    attributes = np.full(len(clips), "", dtype=object)
    if clips.table is None or "attributes" not in clips.table.columns:
        return attributes
    for row, cell in enumerate(clips.table["attributes"]):
        text = "" if pd.isna(cell) else str(cell).strip()
        attributes[row] = "" if text.lower() in _NO_ATTRIBUTES else text
    return attributes


def labels_of(
    machines: np.ndarray,
    domains: np.ndarray,
    attributes: np.ndarray,
    statistics: np.ndarray,
    *,
    clusters_for: str,
    clusterer: StatisticalClusterer,
    seed: int,
) -> Labels:
    """Classes of training clips.

    Parameters
    ----------
    machines, domains, attributes : ndarray of shape (n_clips,), str
        Machine, domain and attribute string of each clip; the latter may be "".
    statistics : ndarray of shape (n_clips, n_statistics)
        Statistics to cluster.
    clusters_for : {"missing", "all", "none"}
        Machines that are clustered: those without any attribute, all, or none.
    clusterer : StatisticalClusterer
        Clustering algorithm.
    seed : int
        Value of the clusterer's `random_state` if that is None.
    """
    source = {str(name): _source(attributes[machines == name], clusters_for) for name in np.unique(machines)}
    last = attributes.copy()
    is_clustered = np.array([source[str(name)] == "clusters" for name in machines])
    if is_clustered.any():
        found = _clusters(machines, domains, statistics, is_clustered, clusterer, seed)
        last[is_clustered] = found
    names = [_spelt(*parts) for parts in zip(machines, domains, last, strict=True)]
    unique, label = np.unique(np.array(names), return_inverse=True)
    return Labels(unique, label.astype(np.int64), source)


def _source(attributes: np.ndarray, clusters_for: str) -> str:
    has_attributes = bool((attributes != "").any())
    if clusters_for == "all" or (clusters_for == "missing" and not has_attributes):
        return "clusters"
    return "attributes" if has_attributes else "domain"


def _clusters(
    machines: np.ndarray,
    domains: np.ndarray,
    statistics: np.ndarray,
    rows: np.ndarray,
    clusterer: StatisticalClusterer,
    seed: int,
) -> list[str]:
    """Name of the cluster of each clip in `rows`, numbered within each machine and domain."""
    clusterer = clone(clusterer)
    if clusterer.random_state is None:
        clusterer.set_params(random_state=seed)
    names = {"machine_type": machines[rows], "domain": domains[rows]}
    clusterer.fit(statistics[rows], **names)
    return [clusterer.cluster_names_[label].rpartition(" | ")[2] for label in clusterer.labels_]


def _spelt(machine: str, domain: str, last: str) -> str:
    return " | ".join(part for part in (machine, domain, last) if part)
