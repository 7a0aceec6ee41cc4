"""Training objective of the cluster and metadata systems: angular-margin classification, and a contrastive loss.

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
        """Raise if an option is out of range, or has no effect given the others."""
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
    """Network with three more layers: the contrastive stage uses the last, the classification the first.

    Parameters
    ----------
    network : OSSCLNet
        Network from inputs to embeddings.
    embedding_dim : int
        Dimension of the embeddings and of the layers.
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
        """Embeddings (B, D) of unit length, the output of the first layer."""
        return functional.normalize(self.first(self.network(inputs, label, generator)))

    def drop_rest(self) -> None:
        """Delete the layers that only the first stage needs."""
        del self.rest

    def contrasted(
        self, inputs: dict[str, Tensor], label: Tensor | None = None, generator: torch.Generator | None = None
    ) -> Tensor:
        """Input (B, D) of the contrastive loss, the output of the last layer."""
        return self.rest(self.first(self.network(inputs, label, generator)))


class ContrastObjective(nn.Module):
    """First of two stages: only the contrastive loss.

    Parameters
    ----------
    network : Projector
        Network and projector.
    options : ClusterOptions
        Options, of which only the temperature is used.
    """

    def __init__(self, network: Projector, options: ClusterOptions) -> None:
        super().__init__()
        self.network, self.options = network, options

    def forward(self, inputs: dict[str, Tensor], label: Tensor, generator: torch.Generator) -> Tensor:
        """Loss of a batch of training clips."""
        return _contrast(self.network.contrasted(inputs, label, generator), label, self.options)

    def validation_loss(self, inputs: dict[str, Tensor], label: Tensor) -> Tensor:
        """Loss of held-out clips."""
        return _contrast(self.network.contrasted(inputs), label, self.options)


class ClusterObjective(nn.Module):
    r"""Angular-margin classification with an optional contrastive loss.

    .. math:: L = \mathrm{CE}(\ell, y) + w L_{\mathrm{contrast}}

    Parameters
    ----------
    network : nn.Module
        Network from inputs to embeddings.
    head : ArcFaceHead
        Head with the class centres.
    options : ClusterOptions
        Options of the contrastive loss.
    statistics : Tensor of shape (C, n_statistics)
        Standardised statistics, averaged over the clips of each class, from which prototypes are computed.
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
        """Cross-entropy of held-out clips, with the margin."""
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
        Class of each clip, counted from 0.
    statistics : ndarray of shape (n_clips, n_statistics)
        Statistics of the clips, from which prototypes are computed.
    branches : tuple of str
        Branches of the network.
    size : tuple of int
        Number of mel bands and of frames.
    hop_length : int
        Hop length of the front end, in samples.
    dtype : dtype
        Precision of the network: float32 or float64.
    options : ClusterOptions
        Options of the network and the loss.
    plan : TrainingPlan
        Hyperparameters of the training; the first of two stages takes a third of the epochs, at five times the learning
        rate.
    seed : int
        Seeds the weights and the order of the clips.
    augmenter : nn.Module or None, default=None
        Module that augments the log-mels.
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
            pooling=sizes.pooling,
            channels_last=plan.channels_last,
            augmenter=augmenter,
        )
        if options.contrast == "two_stage":
            network = Projector(network, sizes.embedding_dim)  # type: ignore[arg-type]
        head = ArcFaceHead(
            sizes.embedding_dim,
            int(label.max()) + 1,
            margin=options.margin,
            scale=sizes.scale,
            n_subcenters=sizes.n_subcenters,
        )
        means = torch.from_numpy(_class_means(statistics, label))
        objective = ClusterObjective(network, head, options, means).to(torch_dtype(dtype))
    if isinstance(network, Projector):
        first = train(ContrastObjective(network, options), store, label, _first_stage(plan), seed=seed)
        objective.network = first.objective.network  # type: ignore[assignment]
    trained = train(objective, store, label, plan, seed=seed)
    if isinstance(trained.objective.network, Projector):
        trained.objective.network.drop_rest()
    forget_clips(trained.objective)
    return trained


def _first_stage(plan: TrainingPlan) -> TrainingPlan:
    n_epochs = max(1, plan.max_epochs // 3)
    return replace(plan, max_epochs=n_epochs, learning_rate=5 * plan.learning_rate, callbacks=None)


def _class_means(statistics: np.ndarray, label: np.ndarray) -> np.ndarray:
    spread = statistics.std(axis=0)
    standardised = (statistics - statistics.mean(axis=0)) / np.where(spread > 0, spread, 1)
    return np.array([standardised[label == number].mean(axis=0) for number in range(label.max() + 1)])
