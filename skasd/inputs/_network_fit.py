"""From clips to inputs and classes of a network: what estimators that train one on whole clips share."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from skasd._parameters import check_integer
from skasd._random import local_random_state
from skasd.clips import Clips
from skasd.features._log_mel import LogMelTransformer
from skasd.inputs._clip_classes import ClipClasses, check_class_parameters, machine_names
from skasd.inputs._network_inputs import NetworkInputs, default_frontend, usable_branches
from skasd.networks._osscl import BRANCH_INPUTS
from skasd.training import ClipStore, TrainingOptions


@dataclass(frozen=True)
class NetworkFit:
    """An estimator that trains a network on clips of one length, with its parameters checked.

    Attributes
    ----------
    branches : tuple of str
        Those that the clips have inputs for.
    inputs : NetworkInputs
        What the clips become; with a log-mel in any case, of which clusters are made.
    names : tuple of str
        Inputs of the network.
    label_columns : tuple of str
        Columns that make the labels.
    seed : int
        Of everything random.
    n_clusters : int or None
        Clusters of each machine.
    training : TrainingOptions
        How it is trained.
    n_jobs : int or None
        Threads that read clips.
    """

    branches: tuple[str, ...]
    inputs: NetworkInputs
    names: tuple[str, ...]
    label_columns: tuple[str, ...]
    seed: int
    n_clusters: int | None
    training: TrainingOptions
    n_jobs: int | None

    @classmethod
    def of(
        cls,
        estimator: Any,
        clips: Clips,
        branches: Sequence[str],
        *,
        frontend: LogMelTransformer | None = None,
        **settled: Any,
    ) -> "NetworkFit":
        """Raise if a parameter is out of range; what the clips need for these branches, as far as they have it.

        Parameters
        ----------
        estimator : estimator
            Its parameters are looked at.
        clips : Clips
            To train on.
        branches : sequence of str
            Images of the network.
        frontend : LogMelTransformer or None, default=None
            Where the estimator has none; None takes that of OS-SCL.
        **settled : dict
            Options of the training that the estimator has settled itself.
        """
        check_class_parameters(estimator.label_columns, estimator.n_clusters)
        if estimator.n_jobs is not None:
            check_integer("n_jobs", estimator.n_jobs, low=-np.inf, other="None")
        training = TrainingOptions.of(estimator, **settled)
        seed = local_random_state(estimator.random_state).randint(2**31 - 1)
        refuse_one_clip(clips)
        branches = usable_branches(branches, clips)
        names = tuple(dict.fromkeys(BRANCH_INPUTS[branch] for branch in branches))
        all_names = tuple(dict.fromkeys((*names, "log_mel")))
        frontend = default_frontend(frontend if estimator.frontend is None else estimator.frontend)
        inputs = NetworkInputs.learn(clips, all_names, frontend, training.precision)
        label_columns = () if estimator.label_columns is None else tuple(estimator.label_columns)
        return cls(branches, inputs, names, label_columns, seed, estimator.n_clusters, training, estimator.n_jobs)

    def machines(self, clips: Clips) -> np.ndarray:
        """Label (n_clips,) of each clip, "" where there is none."""
        return machine_names(clips, self.label_columns)

    def read(self, clips: Clips, title: str) -> Iterator[dict[str, np.ndarray] | None]:
        """Inputs of the clips."""
        return self.inputs.of(clips, n_jobs=self.n_jobs, verbose=self.training.verbose, title=title)

    def log_mels(self, store: ClipStore) -> Iterator[np.ndarray]:
        """Log-mels (F, T) of the clips in a store, which holds those if the network sees them."""
        return (clip["log_mel"] for clip in store.clips())

    def classes(self, clips: Clips, store: ClipStore, *, across_domains: bool = False) -> ClipClasses:
        """Read the clips into the store, and find their classes; clusters may be of both domains if they shall."""
        levels: list[np.ndarray] = []
        store.fill(_with_levels(self.read(clips, "reading"), levels, self.names))
        statistics = np.array(levels, dtype=np.float64)
        machines, domain = self.machines(clips), None if across_domains else clips.domains()
        return ClipClasses.of(machines, statistics, self.n_clusters, domain=domain, seed=self.seed)


def stacked_batches(
    inputs: Iterable[dict[str, np.ndarray] | None], names: Sequence[str], size: int
) -> Iterator[dict[str, np.ndarray]]:
    """Inputs of `size` clips at a time; what cannot be read (None) raises after the last, and is passed over here."""
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
    """The inputs called `names`, while the mean level of each band of each clip is added to `levels`."""
    for clip in inputs:
        if clip is None:
            yield None
            continue
        levels.append(clip["log_mel"].mean(axis=1))
        yield {name: clip[name] for name in names}


def refuse_one_clip(clips: Clips) -> None:
    """Raise for a single training clip, of which batch normalisation can make nothing."""
    if len(clips) < 2:
        raise ValueError("1 sample, that is normal clip, given to fit; batch normalisation needs at least 2.")
