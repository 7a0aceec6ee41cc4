"""Training objective of contrastive learning with spectrum augmentation.

X. Meng et al., "Contrastive learning with spectrum information augmentation in abnormal sound detection", 2025,
arXiv:2509.15570; details that the paper does not give are reconstructed.

Axes: B clips, F mel bands, L frames of a segment, C classes, D dimensions of the embedding.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from skasd._parameter_group import refuse_idle
from skasd._parameters import check_number, check_option
from skasd.augmentations import forget_clips
from skasd.losses import ArcFaceHead, cross_domain_loss, cross_domain_pairs
from skasd.losses._cross_domain import CROSS_DOMAIN_FORMS
from skasd.networks import BYOLANet, MobileFaceNet, PerturbationHead, SegmentNet
from skasd.networks._segments import random_segments
from skasd.objectives._network_options import SegmentNetOptions
from skasd.objectives._options import ObjectiveOptions
from skasd.training import ClipStore, Training, TrainingPlan, seeded, train
from skasd.training._domains import by_class, by_class_and_domain
from skasd.training._precision import torch_dtype

SAME_DOMAINS = ("ignore", "push", "pull")
_SMALLEST_FOR_BYOL_A = 8


@dataclass(frozen=True)
class ContrastOptions(ObjectiveOptions):
    """Network and losses of :class:`~skasd.detectors.ContrastiveSpectrumDetector`."""

    contrast: str = "supcon"
    temperature: float = 0.07
    same_domain: str = "ignore"
    contrastive_weight: float = 1.0
    classification_weight: float = 0.0
    margin: float = 0.5
    scale: float = 30.0
    network: SegmentNetOptions = field(default_factory=SegmentNetOptions)

    def check(self) -> None:
        """Raise if an option is out of range, or has no effect given the others."""
        check_option("contrast", self.contrast, CROSS_DOMAIN_FORMS)
        check_option("same_domain", self.same_domain, SAME_DOMAINS)
        for name in ("temperature", "scale"):
            check_number(name, getattr(self, name), low=0, above=True)
        for name in ("contrastive_weight", "classification_weight"):
            check_number(name, getattr(self, name), low=0)
        check_number("margin", self.margin, low=0, high=np.pi / 2)
        if not self.contrastive_weight and not self.classification_weight:
            raise ValueError(
                "contrastive_weight=0 and classification_weight=0 leave no loss to train with; set one of them above 0."
            )
        if not self.contrastive_weight:
            refuse_idle(self, ("contrast", "temperature", "same_domain"), "contrastive_weight=0")
            refuse_idle(self.network, ["projector"], "contrastive_weight=0")
        if not self.classification_weight:
            refuse_idle(self, ("margin", "scale"), "classification_weight=0")
        if self.contrast == "pairwise":
            refuse_idle(self, ["temperature"], "contrast='pairwise'")


class SpectrumContrastObjective(nn.Module):
    r"""Network, projector and class centres, and the loss of a batch.

    .. math:: L = w_c L_{\mathrm{contrast}}(g(f(\tilde x))) + w_a \mathrm{CE}(\ell, y)

    Parameters
    ----------
    network : SegmentNet
        Network whose augmenter makes two views of a segment of each clip, and whose encoder :math:`f` embeds them.
    options : ContrastOptions
        Options of the loss.
    has_both : Tensor of shape (C,), bool
        Whether each class has clips of both domains. In the others, the two views count as two domains.
    """

    has_both: Tensor

    @property
    def compiled_parts(self) -> tuple[nn.Module, ...]:
        """Modules that torch compiles: batches go through the encoder, not through the forward method of the network."""
        return (self.network.encoder,)

    def __init__(self, network: SegmentNet, options: ContrastOptions, has_both: Tensor) -> None:
        super().__init__()
        self.network, self.options = network, options
        self.register_buffer("has_both", has_both)
        self.projector = _projector(options.network)
        self.head = ArcFaceHead(
            options.network.embedding_dim, len(has_both), margin=options.margin, scale=options.scale
        )

    def forward(self, inputs: dict[str, Tensor], label: Tensor, generator: torch.Generator) -> Tensor:
        """Loss of a batch of training clips; labels are twice the class, plus one in the target domain."""
        segment = random_segments(inputs["log_mel"], self.network.length, generator)
        views = self.network.normalise(segment, label // 2, generator, 2)  # (2 B, F, L)
        return self._loss(self.network.embedding(views), label)

    def validation_loss(self, inputs: dict[str, Tensor], label: Tensor) -> Tensor:
        """Loss of held-out clips; the two views are the first and the last segment, without augmentation."""
        log_mel, length = inputs["log_mel"], self.network.length
        both = torch.cat([log_mel[:, :, :length], log_mel[:, :, -length:]])
        return self._loss(self.network.embedding(self.network.normalise(both)), label)

    def _loss(self, embedding: Tensor, label: Tensor) -> Tensor:
        """Loss of embeddings (2 B, D) of clips with labels (B,); the first views of all clips come first."""
        options, n_clips = self.options, len(label)
        of_class, clip = (label // 2).repeat(2), torch.arange(n_clips, device=label.device).repeat(2)
        view = torch.arange(2, device=label.device).repeat_interleave(n_clips)
        loss = torch.zeros((), dtype=torch.float32, device=label.device)
        if options.contrastive_weight:
            domain = torch.where(self.has_both[of_class], (label % 2).repeat(2), view)
            pairs = cross_domain_pairs(
                of_class,
                domain,
                clip,
                cross_domain=options.same_domain != "pull",
                ignore_same_domain=options.same_domain == "ignore",
            )
            projected = self.projector(embedding)
            contrast = cross_domain_loss(projected, *pairs, temperature=options.temperature, form=options.contrast)
            loss = loss + options.contrastive_weight * contrast
        if options.classification_weight:
            logits = self.head(functional.normalize(embedding), of_class)
            loss = loss + options.classification_weight * functional.cross_entropy(logits, of_class)
        return loss


def train_contrastive_spectrum(
    store: ClipStore,
    label: np.ndarray,
    is_target: np.ndarray,
    *,
    augmenter: nn.Module,
    size: tuple[int, int],
    dtype: np.dtype,
    options: ContrastOptions,
    plan: TrainingPlan,
    seed: int,
) -> Training:
    """Build the network for these clips and train it.

    Parameters
    ----------
    store : ClipStore
        Log-mels of the clips.
    label : ndarray of shape (n_clips,), int64
        Class of each clip, counted from 0.
    is_target : ndarray of shape (n_clips,), bool
        Whether each clip is of the target domain.
    augmenter : nn.Module
        Module that makes the views, and normalises.
    size : tuple of int
        Number of mel bands and of frames of the clips.
    dtype : dtype
        Precision of the network: float32 or float64.
    options : ContrastOptions
        Options of the network and the loss.
    plan : TrainingPlan
        Hyperparameters of the training.
    seed : int
        Seeds the weights, the order of the clips and the augmentation.
    """
    sizes = options.network
    with seeded(seed) as generator:
        length = sizes.length(size[1])
        encoder = encoder_of((size[0], length), sizes, channels_last=plan.channels_last)
        network = SegmentNet(augmenter, encoder, sizes.segments(size[1]), length)
        objective = SpectrumContrastObjective(network, options, _has_both(label, is_target)).to(torch_dtype(dtype))
    orders = {"class_and_domain": by_class_and_domain(plan.batch_size), "balanced": by_class}
    order = orders.get(plan.sampling)
    trained = train(objective, store, 2 * label + is_target, plan, seed=seed, order=order, generator=generator)
    forget_clips(trained.objective)
    return trained


def encoder_of(size: tuple[int, int], options: SegmentNetOptions, *, channels_last: bool = True) -> nn.Module:
    """Encoder for segments whose `size` is their number of mel bands and of frames."""
    if options.encoder == "mobilefacenet":
        encoder: nn.Module = MobileFaceNet(
            1, size, embedding_dim=options.embedding_dim, bottlenecks=options.bottlenecks
        )
    elif min(size) < _SMALLEST_FOR_BYOL_A:
        raise ValueError(
            f"encoder='byol_a' halves bands and frames three times and needs at least {_SMALLEST_FOR_BYOL_A} of each, but "
            f"segments have {size[0]} bands and {size[1]} frames; use longer segments, or encoder='mobilefacenet'."
        )
    else:
        encoder = BYOLANet(size[0], options.embedding_dim)
    to: Any = encoder.to  # only some versions of torch annotate memory_format
    return to(memory_format=torch.channels_last) if channels_last else encoder


def _projector(options: SegmentNetOptions) -> nn.Module:
    dim = options.embedding_dim
    if options.projector == "off":
        return nn.Identity()
    if options.projector == "narrow":
        return PerturbationHead(dim)
    hidden = [layer for _ in range(2) for layer in (nn.Linear(dim, dim), nn.BatchNorm1d(dim), nn.ReLU())]
    return nn.Sequential(*hidden, nn.Linear(dim, dim))


def _has_both(label: np.ndarray, is_target: np.ndarray) -> Tensor:
    kinds = [np.unique(is_target[label == number]) for number in range(label.max() + 1)]
    return torch.tensor([len(kind) > 1 for kind in kinds])
