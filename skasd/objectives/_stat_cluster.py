"""What the cluster and metadata systems minimise: classification by angle, and a contrast of clips or with prototypes.

J. Tian et al., "Self-supervised anomalous sound detection with statistical clustering and contrastive learning", DCASE 2024
technical report; two stages after J. Guan et al., "Anomalous sound detection using audio representation with machine ID
based contrastive learning pretraining" (CLP-SCF), ICASSP 2023, arXiv:2304.03588.

Axes: B clips, C classes, D dimensions of the embedding.
"""

from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from skasd._parameter_group import refuse_idle
from skasd._parameters import check_number, check_option
from skasd.augmentations import forget_clips
from skasd.losses import ArcFaceHead, prototype_loss, supervised_contrastive_loss
from skasd.networks import OSSCLNet
from skasd.objectives._network_options import MobileFaceNetOptions
from skasd.objectives._options import ObjectiveOptions
from skasd.training import ClipStore, Training, TrainingPlan, seeded, train
from skasd.training._precision import torch_dtype

CONTRASTS = ("supcon", "prototype", "two_stage", "off")


@dataclass(frozen=True)
class ClusterOptions(ObjectiveOptions):
    """Network and losses of :class:`~skasd.detectors.StatClusterDetector`."""

    margin: float = 0.7
    contrast: str = "supcon"
    contrastive_weight: float = 0.1
    temperature: float = 0.1
    network: MobileFaceNetOptions = field(default_factory=MobileFaceNetOptions)

    def check(self) -> None:
        """Raise if an option is out of range, or has no effect with the others."""
        check_number("margin", self.margin, low=0, high=np.pi / 2)
        check_option("contrast", self.contrast, CONTRASTS)
        check_number("contrastive_weight", self.contrastive_weight, low=0)
        check_number("temperature", self.temperature, low=0, above=True)
        if self.contrast in ("off", "two_stage"):
            refuse_idle(self, ["contrastive_weight"], f"contrast={self.contrast!r}")
        if self.contrast == "off":
            refuse_idle(self, ["temperature"], "contrast='off'")
        elif self.contrast != "two_stage" and not self.contrastive_weight:
            refuse_idle(self, ["temperature"], "contrastive_weight=0")


class Projector(nn.Module):
    """Three layers on an embedding, of which two stages contrast the last and classify by the first.

    Parameters
    ----------
    network : OSSCLNet
        Inputs of clips to embeddings.
    embedding_dim : int
        Their length, and that of the layers.
    """

    def __init__(self, network: OSSCLNet, embedding_dim: int) -> None:
        super().__init__()
        self.network = network
        self.first = nn.Linear(embedding_dim, embedding_dim)
        self.rest = nn.Sequential(
            nn.BatchNorm1d(embedding_dim),
            nn.ReLU(),
            nn.Linear(embedding_dim, embedding_dim),
            nn.BatchNorm1d(embedding_dim),
            nn.ReLU(),
            nn.Linear(embedding_dim, embedding_dim),
        )

    def forward(
        self, inputs: dict[str, Tensor], label: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        """Embeddings (B, D) of unit length: the first layer."""
        return functional.normalize(self.first(self.network(inputs, label, generator)))

    def drop_rest(self) -> None:
        """Forget the layers that only the first stage needs."""
        del self.rest

    def contrasted(
        self, inputs: dict[str, Tensor], label: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        """What is contrasted (B, D): the last layer."""
        return self.rest(self.first(self.network(inputs, label, generator)))


class ContrastObjective(nn.Module):
    """The first of two stages: the contrast of clips alone.

    Parameters
    ----------
    network : Projector
        Network and projector.
    options : ClusterOptions
        Options, of which the temperature is used.
    """

    def __init__(self, network: Projector, options: ClusterOptions) -> None:
        super().__init__()
        self.network, self.options = network, options

    def forward(self, inputs: dict[str, Tensor], label: Tensor, generator: torch.Generator) -> Tensor:
        """Loss of a batch of training clips."""
        return _contrast(self.network.contrasted(inputs, label, generator), label, self.options)

    def validation_loss(self, inputs: dict[str, Tensor], label: Tensor) -> Tensor:
        """The same of clips held out."""
        return _contrast(self.network.contrasted(inputs), label, self.options)


class ClusterObjective(nn.Module):
    r"""Classification by angle, with a contrast beside it.

    .. math:: L = \mathrm{CE}(\ell, y) + w L_{\mathrm{contrast}}

    Parameters
    ----------
    network : nn.Module
        Inputs of clips to embeddings.
    head : ArcFaceHead
        Class centres.
    options : ClusterOptions
        The contrast and its weight.
    statistics : Tensor of shape (C, n_statistics)
        Mean statistics of the clips of each class, which prototypes are made of; standardised.
    """

    statistics: Tensor

    def __init__(self, network: nn.Module, head: ArcFaceHead, options: ClusterOptions, statistics: Tensor) -> None:
        super().__init__()
        self.network, self.head, self.options = network, head, options
        self.to_prototypes = None
        if options.contrast == "prototype":
            dim = options.network.embedding_dim
            self.register_buffer("statistics", statistics)
            self.to_prototypes = nn.Sequential(nn.Linear(statistics.shape[1], dim), nn.ReLU(), nn.Linear(dim, dim))

    def forward(self, inputs: dict[str, Tensor], label: Tensor, generator: torch.Generator) -> Tensor:
        """Loss of a batch of training clips."""
        options, embedding = self.options, self.network(inputs, label, generator)
        loss = functional.cross_entropy(self.head(embedding, label), label)
        if self.to_prototypes is not None:
            prototypes = self.to_prototypes(self.statistics)
            loss = loss + options.contrastive_weight * prototype_loss(
                embedding, prototypes, label, temperature=options.temperature
            )
        if options.contrast == "supcon":
            loss = loss + options.contrastive_weight * _contrast(embedding, label, options)
        return loss

    def validation_loss(self, inputs: dict[str, Tensor], label: Tensor) -> Tensor:
        """Cross-entropy of clips held out, margin included."""
        return functional.cross_entropy(self.head(self.network(inputs), label), label)


def _contrast(embedding: Tensor, label: Tensor, options: ClusterOptions) -> Tensor:
    temperature = options.temperature
    return supervised_contrastive_loss(embedding, label, temperature=temperature, base_temperature=temperature)


def train_clusters(
    store: ClipStore,
    label: np.ndarray,
    statistics: np.ndarray,
    *,
    branches: tuple[str, ...],
    size: tuple[int, int],
    hop_length: int,
    dtype: np.dtype,
    options: ClusterOptions,
    plan: TrainingPlan,
    seed: int,
    augmenter: nn.Module | None = None,
) -> Training:
    """Build the network for these clips and train it, in one stage or in two.

    Parameters
    ----------
    store : ClipStore
        Inputs of the branches.
    label : ndarray of shape (n_clips,), int64
        Classes, counted from 0.
    statistics : ndarray of shape (n_clips, n_statistics)
        Statistics of the clips, which prototypes are made of.
    branches : tuple of str
        Images of the network.
    size : tuple of int
        Mel bands and frames.
    hop_length : int
        Hop of the front end, in samples.
    dtype : dtype
        Precision of the network: float32 or float64.
    options : ClusterOptions
        Network and loss.
    plan : TrainingPlan
        How it is trained; the first of two stages takes a third of the epochs, at five times the learning rate.
    seed : int
        Seeds weights and the order of clips.
    augmenter : nn.Module or None, default=None
        Augments the log-mels.
    """
    sizes = options.network
    with seeded(seed):
        network: nn.Module = OSSCLNet(
            branches,
            size,
            hop_length=hop_length,
            embedding_dim=sizes.embedding_dim,
            perturbation_head=sizes.has_head(False),
            bottlenecks=sizes.bottlenecks,
            channels_last=plan.channels_last,
            augmenter=augmenter,
        )
        if options.contrast == "two_stage":
            network = Projector(network, sizes.embedding_dim)  # type: ignore[arg-type]
            first = ContrastObjective(network, options).to(torch_dtype(dtype))
            network = train(first, store, label, _first_stage(plan), seed=seed).objective.network  # type: ignore[assignment]
        head = ArcFaceHead(
            sizes.embedding_dim,
            int(label.max()) + 1,
            margin=options.margin,
            scale=sizes.scale,
            n_subcenters=sizes.n_subcenters,
        )
        means = torch.from_numpy(_class_means(statistics, label))
        objective = ClusterObjective(network, head, options, means).to(torch_dtype(dtype))
        trained = train(objective, store, label, plan, seed=seed)
        if isinstance(network, Projector):
            network.drop_rest()
        forget_clips(trained.objective)
        return trained


def _first_stage(plan: TrainingPlan) -> TrainingPlan:
    n_epochs = max(1, plan.max_epochs // 3)
    return replace(plan, max_epochs=n_epochs, learning_rate=5 * plan.learning_rate, callbacks=None)


def _class_means(statistics: np.ndarray, label: np.ndarray) -> np.ndarray:
    spread = statistics.std(axis=0)
    standardised = (statistics - statistics.mean(axis=0)) / np.where(spread > 0, spread, 1)
    return np.array([standardised[label == number].mean(axis=0) for number in range(label.max() + 1)])
