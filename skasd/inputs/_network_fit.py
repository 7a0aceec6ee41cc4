"""NetworkFit: inputs and classes of a network that is trained on whole clips."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from skasd.clips import Clips, Recordings
from skasd.inputs._clip_classes import ClipClasses, machine_names
from skasd.inputs._frontend import Frontend
from skasd.inputs._network_inputs import NetworkInputs, branch_inputs, usable_branches
from skasd.training import ClipStore


@dataclass(frozen=True)
class NetworkFit:
    """Converts the clips of a fit to network inputs, and finds their classes.

    Attributes
    ----------
    branches : tuple of str
        Branches of the network for which the clips have inputs.
    inputs : NetworkInputs
        Inputs to compute; they always include the log-mel, which is needed for clustering.
    names : tuple of str
        Inputs of the network.
    label_columns : tuple of str
        Columns of the clip table that are joined to labels.
    """

    branches: tuple[str, ...]
    inputs: NetworkInputs
    names: tuple[str, ...]
    label_columns: tuple[str, ...]

    @classmethod
    def learn(
        cls,
        clips: Clips,
        branches: Sequence[str],
        frontend: Frontend,
        *,
        precision: str,
        label_columns: Sequence[str] | None,
    ) -> "NetworkFit":
        """Determine the branches that can be used, and the sizes of their inputs, from the training clips.

        Parameters
        ----------
        clips : Clips
            Training clips.
        branches : sequence of str
            Branches of the network.
        frontend : Frontend
            Front end that computes log-mels.
        precision : {"auto", "float32", "bfloat16"}
            Precision of the training.
        label_columns : sequence of str or None
            Columns of the clip table that are joined to labels.
        """
        refuse_one_clip(clips)
        branches = usable_branches(branches, clips)
        names = branch_inputs(branches)
        inputs = NetworkInputs.learn(clips, tuple(dict.fromkeys((*names, "log_mel"))), frontend, precision)
        return cls(branches, inputs, names, () if label_columns is None else tuple(label_columns))

    def machines(self, clips: Clips) -> np.ndarray:
        """Label (n_clips,) of each clip, or "" if it has none."""
        return machine_names(clips, self.label_columns)

    def read(self, clips: Clips, *, n_jobs: int | None, verbose: int) -> Iterator[dict[str, np.ndarray]]:
        """Read clips for scoring, and yield their network inputs."""
        return replace(self.inputs, names=self.names).of(clips, n_jobs=n_jobs, verbose=verbose, title="scoring")

    def classes(
        self,
        clips: Clips,
        store: ClipStore,
        *,
        n_clusters: int | None,
        seed: int,
        n_jobs: int | None,
        verbose: int,
        across_domains: bool = False,
    ) -> ClipClasses:
        """Read the clips into the store, and find their classes.

        Parameters
        ----------
        clips : Clips
            Training clips.
        store : ClipStore
            Empty store, which is filled with the inputs of the network.
        n_clusters : int or None
            Number of clusters per machine, see :class:`ClipClasses`.
        seed : int
            Seeds the clustering.
        n_jobs : int or None
            Number of threads that read clips.
        verbose : int
            Shows a progress bar if 1 or larger.
        across_domains : bool, default=False
            Whether a cluster may contain clips of both domains.
        """
        levels: list[np.ndarray] = []
        read = self.inputs.of(clips, n_jobs=n_jobs, verbose=verbose, title="reading")
        store.fill(_with_levels(read, levels, self.names))
        statistics = np.array(levels, dtype=np.float64)
        domain, machines = None if across_domains else clips.domains(), self.machines(clips)
        store.recordings = Recordings.of(clips, statistics, machines)
        return ClipClasses.of(machines, statistics, n_clusters, domain=domain, seed=seed)


def log_mels_of(store: ClipStore) -> Iterator[np.ndarray]:
    """Log-mels (F, T) of the clips in a store, which has them if they are an input of the network."""
    return (clip["log_mel"] for clip in store.clips())


def stacked_batches(
    inputs: Iterable[dict[str, np.ndarray] | None], names: Sequence[str], size: int
) -> Iterator[dict[str, np.ndarray]]:
    """Batches of inputs of `size` clips; clips that could not be read (None) are skipped, as an error follows the last."""
    batch: list[dict[str, np.ndarray]] = []
    for clip in inputs:
        if clip is not None:
            batch.append(clip)
        if len(batch) == size:
            yield _stacked(batch, names)
            batch = []
    if batch:
        yield _stacked(batch, names)


def _stacked(batch: list[dict[str, np.ndarray]], names: Sequence[str]) -> dict[str, np.ndarray]:
    return {name: np.stack([clip[name] for clip in batch]) for name in names}


def _with_levels(
    inputs: Iterable[dict[str, np.ndarray] | None], levels: list[np.ndarray], names: tuple[str, ...]
) -> Iterator[dict[str, np.ndarray] | None]:
    """Yield the inputs called `names`; the mean level of each band of each clip is appended to `levels`."""
    for clip in inputs:
        if clip is None:
            yield None
            continue
        levels.append(clip["log_mel"].mean(axis=1))
        yield {name: clip[name] for name in names}


def refuse_one_clip(clips: Clips) -> None:
    """Raise if there is a single training clip, since batch normalisation cannot be trained on one."""
    if len(clips) < 2:
        raise ValueError("fit was given 1 sample (normal clip); batch normalisation needs at least 2.")
