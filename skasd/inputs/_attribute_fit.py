"""AttributeFit: network inputs, and classes from attributes or clusters, as two detectors need them."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from skasd.clips import MACHINE_COLUMNS, Clips, Recordings
from skasd.clustering import ClipStatistics, StatisticalClusterer
from skasd.inputs._attribute_classes import Labels, attributes_of, labels_of
from skasd.inputs._frontend import Frontend
from skasd.inputs._network_fit import refuse_one_clip
from skasd.inputs._network_inputs import NetworkInputs
from skasd.training import ClipStore


@dataclass(frozen=True)
class AttributeFit:
    """Converts clips to network inputs, and finds their classes by attributes or by clustering their statistics.

    Parameters
    ----------
    names : tuple of str
        Inputs of the network.
    inputs : NetworkInputs
        Inputs to compute; includes what the statistics are computed from.
    statistics : ClipStatistics
        Statistics that are clustered.
    statistics_frontend : Frontend or None
        Front end that computes the spectrograms for the statistics from the waveforms. None uses the log-mels of the
        network.
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
        """Determine the sizes of the inputs from the training clips; statistics of features are taken from the features."""
        refuse_one_clip(clips)
        own = None if clips.kind == "feature" else statistics_frontend
        needed = tuple(dict.fromkeys((*names, "log_mel" if own is None else "waveform")))
        return cls(names, NetworkInputs.learn(clips, needed, frontend, precision), statistics, own)

    def machines(self, clips: Clips) -> np.ndarray:
        """Machine (n_clips,) of each clip, or "" if the table names none."""
        return clips.group_names(MACHINE_COLUMNS, MACHINE_COLUMNS)

    def read(self, clips: Clips, *, n_jobs: int | None, verbose: int) -> Iterator[dict[str, np.ndarray]]:
        """Read clips for scoring, and yield their network inputs."""
        return replace(self.inputs, names=self.names).of(clips, n_jobs=n_jobs, verbose=verbose, title="scoring")

    def filled(self, clips: Clips, store: ClipStore, *, n_jobs: int | None, verbose: int) -> np.ndarray:
        """Read the clips into the store, and return their statistics (n_clips, n_statistics)."""
        rows: list[np.ndarray] = []
        inputs = self.inputs.of(clips, n_jobs=n_jobs, verbose=verbose, title="reading")
        store.fill(self._with_statistics(inputs, rows))
        machines, statistics = self.machines(clips), np.array(rows)
        store.recordings = Recordings.of(clips, statistics, machines)
        return self.statistics.of_machines(statistics, machines)

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
        """Yield the inputs of the network; the statistics of each clip are appended to `rows`."""
        frontend = self.statistics_frontend
        for clip in inputs:
            if clip is None:
                yield None
                continue
            spectrogram = clip["log_mel"] if frontend is None else frontend.spectrogram(clip["waveform"])
            rows.append(self.statistics.of_clip(spectrogram))
            yield {name: clip[name] for name in self.names}


def check_clusterer(clusterer: Any) -> None:
    """Raise unless `clusterer` is a StatisticalClusterer or None."""
    if clusterer is not None and not isinstance(clusterer, StatisticalClusterer):
        what = type(clusterer).__name__
        raise TypeError(f"clusterer={clusterer!r} is a {what}; a StatisticalClusterer or None is expected.")
