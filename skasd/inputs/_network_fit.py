"""From clips to the inputs and the classes of a network that is trained on whole clips."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

from skasd.clips import Clips
from skasd.inputs._clip_classes import ClipClasses, machine_names
from skasd.inputs._frontend import Frontend
from skasd.inputs._network_inputs import NetworkInputs, branch_inputs, usable_branches
from skasd.training import ClipStore, evaluated

_CLIPS_PER_BATCH = 32  # when scoring: large enough for speed, and always the same, so that rounding is too


@dataclass(frozen=True)
class NetworkFit:
    """What the clips of a fit become: inputs of a network, and classes.

    Attributes
    ----------
    branches : tuple of str
        Branches that the clips have inputs for.
    inputs : NetworkInputs
        What the clips become; includes a log-mel in any case, which clusters are made of.
    names : tuple of str
        Inputs of the network.
    label_columns : tuple of str
        Columns that make the labels.
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
        """What these branches need of the clips, as far as the clips have it.

        Parameters
        ----------
        clips : Clips
            Training clips.
        branches : sequence of str
            Images of the network.
        frontend : Frontend
            Makes log-mels.
        precision : {"auto", "float32", "bfloat16"}
            Precision of the training.
        label_columns : sequence of str or None
            Columns that make the labels.
        """
        refuse_one_clip(clips)
        branches = usable_branches(branches, clips)
        names = branch_inputs(branches)
        inputs = NetworkInputs.learn(clips, tuple(dict.fromkeys((*names, "log_mel"))), frontend, precision)
        return cls(branches, inputs, names, () if label_columns is None else tuple(label_columns))

    def machines(self, clips: Clips) -> np.ndarray:
        """Label (n_clips,) of each clip, "" where there is none."""
        return machine_names(clips, self.label_columns)

    def read(self, clips: Clips, *, n_jobs: int | None, verbose: int) -> Iterator[dict[str, np.ndarray]]:
        """Inputs of clips that are scored."""
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
            Empty; is filled.
        n_clusters : int or None
            Clusters per machine, see :class:`ClipClasses`.
        seed : int
            Seed of the clustering.
        n_jobs : int or None
            Threads that read clips.
        verbose : int
            Shows a progress bar if 1 or larger.
        across_domains : bool, default=False
            Whether a cluster may hold clips of both domains.
        """
        levels: list[np.ndarray] = []
        read = self.inputs.of(clips, n_jobs=n_jobs, verbose=verbose, title="reading")
        store.fill(_with_levels(read, levels, self.names))
        statistics = np.array(levels, dtype=np.float64)
        domain = None if across_domains else clips.domains()
        return ClipClasses.of(self.machines(clips), statistics, n_clusters, domain=domain, seed=seed)


def log_mels_of(store: ClipStore) -> Iterator[np.ndarray]:
    """Log-mels (F, T) of the clips in a store, which holds them if the network sees them."""
    return (clip["log_mel"] for clip in store.clips())


def stacked_batches(
    inputs: Iterable[dict[str, np.ndarray] | None], names: Sequence[str], size: int
) -> Iterator[dict[str, np.ndarray]]:
    """Inputs of `size` clips at a time; clips that cannot be read (None) are left out, their error comes after the last."""
    batch: list[dict[str, np.ndarray]] = []
    for clip in inputs:
        if clip is not None:
            batch.append(clip)
        if len(batch) == size:
            yield _stacked(batch, names)
            batch = []
    if batch:
        yield _stacked(batch, names)


def embeddings_of(
    network: nn.Module, inputs: Iterable[dict[str, np.ndarray] | None], names: Sequence[str], device: torch.device
) -> np.ndarray:
    """Embeddings (n_clips, embedding_dim) that a network in evaluation mode gives for the inputs called `names` of clips."""
    batches = stacked_batches(inputs, names, _CLIPS_PER_BATCH)
    return np.concatenate(list(evaluated(network, batches, device)))


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
    """Raise for a single training clip, from which batch normalisation cannot learn."""
    if len(clips) < 2:
        raise ValueError("1 sample, that is normal clip, given to fit; batch normalisation needs at least 2.")
