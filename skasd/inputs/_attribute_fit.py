"""From clips to the inputs of a network and classes from attributes or clusters: what two detectors share."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from skasd.clips import Clips
from skasd.clustering import ClipStatistics, StatisticalClusterer
from skasd.inputs._attribute_classes import Labels, attributes_of, labels_of
from skasd.inputs._frontend import Frontend
from skasd.inputs._network_fit import refuse_one_clip
from skasd.inputs._network_inputs import NetworkInputs
from skasd.training import ClipStore

MACHINE_COLUMNS = ("machine_type", "section")


@dataclass(frozen=True)
class AttributeFit:
    """What clips become that are told apart by attributes, or by clusters of their statistics.

    Parameters
    ----------
    names : tuple of str
        Inputs of the network.
    inputs : NetworkInputs
        What the clips become; includes what the statistics are made of.
    statistics : ClipStatistics
        What clusters are made of.
    statistics_frontend : Frontend or None
        Makes the spectrograms that statistics are taken from, of the waveforms of the network; None takes its log-mels.
    """

    names: tuple[str, ...]
    inputs: NetworkInputs
    statistics: ClipStatistics
    statistics_frontend: Frontend | None

    @classmethod
    def learn(
        cls,
        clips: Clips,
        names: tuple[str, ...],
        frontend: Frontend,
        *,
        statistics: ClipStatistics,
        statistics_frontend: Frontend | None,
        precision: str,
    ) -> "AttributeFit":
        """Sizes of the inputs of these names; features are their own front end of the statistics."""
        refuse_one_clip(clips)
        own = None if clips.kind == "feature" else statistics_frontend
        needed = tuple(dict.fromkeys((*names, "log_mel" if own is None else "waveform")))
        return cls(names, NetworkInputs.learn(clips, needed, frontend, precision), statistics, own)

    def machines(self, clips: Clips) -> np.ndarray:
        """Machine (n_clips,) of each clip, "" where there is none."""
        return clips.group_names(MACHINE_COLUMNS, MACHINE_COLUMNS)

    def read(self, clips: Clips, *, n_jobs: int | None, verbose: int) -> Iterator[dict[str, np.ndarray]]:
        """Inputs of clips that are scored."""
        return replace(self.inputs, names=self.names).of(clips, n_jobs=n_jobs, verbose=verbose, title="scoring")

    def filled(self, clips: Clips, store: ClipStore, *, n_jobs: int | None, verbose: int) -> np.ndarray:
        """Read the clips into the store; their statistics (n_clips, n_statistics)."""
        rows: list[np.ndarray] = []
        inputs = self.inputs.of(clips, n_jobs=n_jobs, verbose=verbose, title="reading")
        store.fill(self._with_statistics(inputs, rows))
        return self.statistics.of_machines(np.array(rows), self.machines(clips))

    def labels(
        self,
        clips: Clips,
        statistics: np.ndarray,
        *,
        clusters_for: str,
        clusterer: StatisticalClusterer | None,
        seed: int,
    ) -> Labels:
        """Classes of the clips, see :func:`labels_of`; a clusterer that is None has its defaults."""
        labels = labels_of(
            self.machines(clips),
            clips.domains(),
            attributes_of(clips),
            statistics,
            clusters_for=clusters_for,
            clusterer=StatisticalClusterer() if clusterer is None else clusterer,
            seed=seed,
        )
        if clusterer is not None and "clusters" not in labels.source.values():
            warnings.warn(
                f"clusterer={clusterer!r} is not used: no machine was clustered, since all have attributes.",
                stacklevel=5,
            )
        return labels

    def _with_statistics(self, inputs: Iterator[Any], rows: list[np.ndarray]) -> Iterator[dict[str, np.ndarray] | None]:
        """Inputs of the network, while the statistics of each clip are added to a list."""
        frontend = self.statistics_frontend
        for clip in inputs:
            if clip is None:
                yield None
                continue
            spectrogram = clip["log_mel"] if frontend is None else frontend.spectrogram(clip["waveform"])
            rows.append(self.statistics.of_clip(spectrogram))
            yield {name: clip[name] for name in self.names}


def check_clusterer(clusterer: Any) -> None:
    """Raise unless it is a StatisticalClusterer or None."""
    if clusterer is not None and not isinstance(clusterer, StatisticalClusterer):
        what = type(clusterer).__name__
        raise TypeError(f"clusterer={clusterer!r} is a {what}; a StatisticalClusterer or None is expected.")
