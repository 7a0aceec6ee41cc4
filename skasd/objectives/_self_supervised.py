"""Training objective of a self-supervised classifier of spectra: sub-clusters of mixed clips and of exchanged features.

K. Wilkinghoff, "Self-supervised learning for anomalous sound detection", ICASSP 2024, arXiv:2312.09578; class names as text
follow J. Tian et al., DCASE 2024 technical report.

Axes: B clips, C classes, D dimensions of the embedding of a branch, M branches.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from skasd._parameter_group import check_flags, refuse_idle
from skasd._parameters import check_integer, check_number, check_option
from skasd.augmentations import draw_exchange, exchanged_parts, exchanged_statistics, exchanged_target
from skasd.losses import AdaProjHead, SubClusterAdaCosHead, prototype_loss, soft_cross_entropy, text_embedding
from skasd.networks import SpectrumNet
from skasd.objectives._network_options import DualBranchNetOptions
from skasd.objectives._options import ObjectiveOptions
from skasd.training import ClipStore, Training, TrainingPlan, seeded, train
from skasd.training._precision import torch_dtype

HEADS = ("sub_cluster_adacos", "adacos", "adaproj")
LABEL_TEXTS = ("off", "init", "align")
_EXCHANGED = 0.5  # probability that a clip exchanges features


@dataclass(frozen=True)
class SelfSupervisedOptions(ObjectiveOptions):
    """Network and losses of :class:`~skasd.detectors.SelfSupervisedDetector`."""

    head: str = "sub_cluster_adacos"
    n_subclusters: int = 16
    trainable_centers: bool = True
    dynamic_scale: bool = False
    mixup_probability: float = 0.5
    feature_exchange: bool = False
    statistics_exchange: bool = False
    subspace_loss: bool = False
    label_text: str = "off"
    network: DualBranchNetOptions = field(default_factory=DualBranchNetOptions)

    def check(self) -> None:
        """Raise if an option is out of range, or has no effect given the others."""
        check_option("head", self.head, HEADS)
        check_integer("n_subclusters", self.n_subclusters, low=1)
        check_flags(
            self, "trainable_centers", "dynamic_scale", "feature_exchange", "statistics_exchange", "subspace_loss"
        )
        check_number("mixup_probability", self.mixup_probability, low=0, high=1)
        check_option("label_text", self.label_text, LABEL_TEXTS)
        if self.head == "adaproj":
            refuse_idle(self, ["dynamic_scale"], "head='adaproj'")
        if self.head == "adacos":
            refuse_idle(self, ["n_subclusters"], "head='adacos'")

    def make_head(self, embedding_dim: int, n_classes: int, *, trainable: bool) -> nn.Module:
        """Create a head of the kind `head`."""
        if self.head == "adaproj":
            return AdaProjHead(embedding_dim, n_classes, n_subclusters=self.n_subclusters, trainable=trainable)
        return SubClusterAdaCosHead(
            embedding_dim,
            n_classes,
            n_subclusters=1 if self.head == "adacos" else self.n_subclusters,
            trainable=trainable,
            dynamic_scale=self.dynamic_scale,
        )


class SelfSupervisedObjective(nn.Module):
    r"""Network and class centres, and the loss of a batch.

    .. math:: L = L_{\mathrm{head}}(z, y) + L_{\mathrm{exchange}}(z', y') + \sum_b L_b(z_b, y) + L_{\mathrm{text}}(z, t_y)

    where all terms but the first are optional.

    Parameters
    ----------
    network : SpectrumNet
        Network from waveforms to the embeddings of its branches.
    labels : sequence of C str
        Names of the classes.
    options : SelfSupervisedOptions
        Options of the heads and the augmentation.
    """

    text: Tensor

    @property
    def compiled_parts(self) -> tuple[nn.Module, ...]:
        """Modules that torch compiles: batches go through the branches, not through the forward method of the network."""
        return tuple(self.network.branches)

    def __init__(self, network: SpectrumNet, labels: Sequence[str], options: SelfSupervisedOptions) -> None:
        super().__init__()
        self.network, self.options, self.n_classes = network, options, len(labels)
        n_parts, dim = len(network.branches), options.network.embedding_dim
        self.head = options.make_head(n_parts * dim, self.n_classes, trainable=options.trainable_centers)
        self.exchange_head = self.subspace_heads = self.of_text = None
        if options.feature_exchange or options.statistics_exchange:
            n_kinds = (3 if options.statistics_exchange else 1) * (n_parts + 1 if options.feature_exchange else 1)
            self.exchange_head = options.make_head(n_parts * dim, n_kinds * self.n_classes, trainable=True)
        if options.subspace_loss:
            heads = [options.make_head(dim, self.n_classes, trainable=True) for _ in range(n_parts)]
            self.subspace_heads = nn.ModuleList(heads)
        if options.label_text != "off":
            self.register_buffer("text", text_embedding(labels, n_parts * dim))
        if options.label_text == "init":
            self._begin_at_text()
        if options.label_text == "align":
            self.of_text = nn.Linear(n_parts * dim, n_parts * dim, bias=False)

    def _begin_at_text(self) -> None:
        """Add the text embedding of each class to its randomly initialised centres."""
        with torch.no_grad():
            weight = self.head.weight.view(self.n_classes, -1, self.text.shape[1])  # type: ignore[operator]
            weight += self.text[:, None]

    def forward(self, inputs: dict[str, Tensor], label: Tensor, generator: torch.Generator) -> Tensor:
        """Loss of a batch of training clips."""
        waveform, target = self._mixed(inputs["waveform"], self._one_hot(label), generator)
        parts = self.network.parts(waveform)
        embedding = torch.cat(parts, dim=1)
        loss = self.head(embedding, target)
        if self.exchange_head is not None:
            moved, kinds = self._exchanged(waveform, parts, target, generator)
            loss = loss + self.exchange_head(moved, kinds)
        if self.subspace_heads is not None:
            heads = zip(self.subspace_heads, parts, strict=True)
            loss = loss + torch.stack([head(part, target) for head, part in heads]).sum()
        if self.of_text is not None:
            loss = loss + prototype_loss(embedding, self.of_text(self.text), target.argmax(dim=1))
        return loss

    def _exchanged(
        self, waveform: Tensor, parts: Sequence[Tensor], target: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Embeddings of clips, some of which have exchanged statistics, features or both, and their classes."""
        if self.options.statistics_exchange:
            exchange = draw_exchange(len(target), _EXCHANGED, generator, device=target.device)
            parts = self.network.parts(waveform, partial(exchanged_statistics, exchange=exchange))
            target = exchanged_target(target, exchange)
        if self.options.feature_exchange:
            exchange = draw_exchange(len(target), _EXCHANGED, generator, device=target.device)
            parts, target = exchanged_parts(parts, exchange), exchanged_target(target, exchange, len(parts))
        return torch.cat(list(parts), dim=1), target

    def _one_hot(self, label: Tensor) -> Tensor:
        return functional.one_hot(label, self.n_classes).to(torch.float32)

    def _mixed(self, waveform: Tensor, target: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Clips (B, N) and targets (B, C) after mixup of some of them, each with its own mixing ratio."""
        drawn = torch.rand(2, len(waveform), generator=generator, dtype=torch.float32)
        is_mixed = drawn[0] < self.options.mixup_probability
        share = torch.where(is_mixed, drawn[1], 1)[:, None].to(waveform.device)  # (B, 1)
        partner = torch.randperm(len(waveform), generator=generator).to(waveform.device)
        mixed = torch.lerp(waveform[partner], waveform, share.to(waveform.dtype))
        return mixed, torch.lerp(target[partner], target, share.to(target.dtype))

    def validation_loss(self, inputs: dict[str, Tensor], label: Tensor) -> Tensor:
        """Cross-entropy of held-out clips, without augmentation."""
        embedding = torch.cat(self.network.parts(inputs["waveform"]), dim=1)
        return soft_cross_entropy(self.head.log_probability(embedding), self._one_hot(label))  # type: ignore[operator]


def train_self_supervised(
    store: ClipStore,
    label: np.ndarray,
    labels: Sequence[str],
    *,
    sample_rate: int,
    dtype: np.dtype,
    options: SelfSupervisedOptions,
    plan: TrainingPlan,
    seed: int,
) -> Training:
    """Build the network for these clips and train it.

    Parameters
    ----------
    store : ClipStore
        Waveforms of one length.
    label : ndarray of shape (n_clips,), int64
        Class of each clip, counted from 0.
    labels : sequence of str
        Names of the classes.
    sample_rate : int
        Sample rate of the waveforms, in Hz.
    dtype : dtype
        Precision of the network: float32 or float64.
    options : SelfSupervisedOptions
        Options of the network and the loss.
    plan : TrainingPlan
        Hyperparameters of the training.
    seed : int
        Seeds the weights, the order of the clips and the augmentation.
    """
    n_timepoints = store.arrays["waveform"].shape[1]
    with seeded(seed):
        network = SpectrumNet(
            n_timepoints,
            sample_rate=sample_rate,
            n_ffts=options.network.n_ffts,
            embedding_dim=options.network.embedding_dim,
            frequency_attention=options.network.frequency_attention,
        )
        objective = SelfSupervisedObjective(network, labels, options).to(torch_dtype(dtype))
    return train(objective, store, label, plan, seed=seed)
