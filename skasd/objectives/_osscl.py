"""Training objective of OS-SCL: angular-margin classification of mixed clips, and a contrastive term on the embeddings.

S. Huang et al. (OS-SCL), ICASSP 2025, arXiv:2509.13853. OSSCLDetector and TFgramTransformer use it.

Axes: B clips, C classes, D dimensions of the embedding.
"""

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from skasd._parameter_group import refuse_idle
from skasd._parameters import check_number, check_option
from skasd.augmentations import Mixing, draw_mixing, forget_clips
from skasd.augmentations._mixup import no_mixing
from skasd.losses import ArcFaceHead, arcmix_loss, noisy_arcmix_loss, supervised_contrastive_loss
from skasd.networks import OSSCLNet
from skasd.objectives._network_options import MobileFaceNetOptions
from skasd.objectives._options import ObjectiveOptions
from skasd.training import ClipStore, Training, TrainingPlan, seeded, train
from skasd.training._precision import torch_dtype

MIX_MARGINS = ("first", "both")


@dataclass(frozen=True)
class OSSCLOptions(ObjectiveOptions):
    """Network and losses of :class:`~skasd.detectors.OSSCLDetector`."""

    margin: float = 0.4
    mixup_alpha: float | None = 0.5
    mix_margin: str = "first"
    contrastive_weight: float = 1.0
    temperature: float = 0.02
    network: MobileFaceNetOptions = field(default_factory=MobileFaceNetOptions)

    def check(self) -> None:
        """Raise if an option is out of range, or has no effect given the others."""
        check_number("margin", self.margin, low=0, high=np.pi / 2)
        check_option("mix_margin", self.mix_margin, MIX_MARGINS)
        check_number("contrastive_weight", self.contrastive_weight, low=0)
        check_number("temperature", self.temperature, low=0, above=True)
        if self.mixup_alpha is None:
            refuse_idle(self, ["mix_margin"], "mixup_alpha=None")
        else:
            check_number("mixup_alpha", self.mixup_alpha, low=0, above=True)
        if not self.contrastive_weight:
            refuse_idle(self, ["temperature"], "contrastive_weight=0")


class OSSCLObjective(nn.Module):
    r"""Network and class centres, and the loss of a batch.

    .. math:: L = \lambda\, \mathrm{CE}(\ell, y) + (1 - \lambda)\, \mathrm{CE}(\ell, y_\pi) + w L_{\mathrm{sup}}

    Parameters
    ----------
    network : OSSCLNet
        Network from inputs to embeddings.
    head : ArcFaceHead
        Head with the class centres.
    options : OSSCLOptions
        Options of mixup and the contrastive term.
    """

    def __init__(self, network: nn.Module, head: ArcFaceHead, options: OSSCLOptions) -> None:
        super().__init__()
        self.network, self.head, self.options = network, head, options

    def forward(self, inputs: dict[str, Tensor], label: Tensor, generator: torch.Generator) -> Tensor:
        """Loss of a batch of training clips."""
        options = self.options
        mixing, mix = no_mixing(len(label), device=label.device), None
        if options.mixup_alpha is not None:
            mix = mixing = draw_mixing(len(label), options.mixup_alpha, generator, device=label.device)
        embedding = self.network(inputs, label, generator, mix)
        loss = self._classification(embedding, label, mixing)
        if options.contrastive_weight:
            contrastive = supervised_contrastive_loss(embedding, label, temperature=options.temperature)
            loss = loss + options.contrastive_weight * contrastive
        return loss

    def _classification(self, embedding: Tensor, label: Tensor, mixing: Mixing) -> Tensor:
        partner_label, share = label[mixing.partner], mixing.share.to(embedding.dtype)
        logits = self.head(embedding, label)
        if self.options.mix_margin == "both":
            return arcmix_loss(logits, self.head(embedding, partner_label), label, partner_label, share)
        return noisy_arcmix_loss(logits, label, partner_label, share)

    def validation_loss(self, inputs: dict[str, Tensor], label: Tensor) -> Tensor:
        """Cross-entropy of held-out clips without mixup, with the margin."""
        return functional.cross_entropy(self.head(self.network(inputs), label), label)


def train_osscl(
    store: ClipStore,
    label: np.ndarray,
    *,
    branches: tuple[str, ...],
    size: tuple[int, int],
    hop_length: int,
    dtype: np.dtype,
    options: OSSCLOptions,
    plan: TrainingPlan,
    seed: int,
    augmenter: nn.Module | None = None,
) -> Training:
    """Build the network for these clips and train it.

    Parameters
    ----------
    store : ClipStore
        Inputs of the branches.
    label : ndarray of shape (n_clips,), int64
        Class of each clip, counted from 0.
    branches : tuple of str
        Branches of the network.
    size : tuple of int
        Number of mel bands and of frames.
    hop_length : int
        Hop length of the front end, in samples.
    dtype : dtype
        Precision of the network: float32 or float64.
    options : OSSCLOptions
        Options of the network and the losses.
    plan : TrainingPlan
        Hyperparameters of the training.
    seed : int
        Seeds the weights, the order of the clips and mixup.
    augmenter : nn.Module or None, default=None
        Module that augments the log-mels.
    """
    sizes = options.network
    with seeded(seed):
        network = OSSCLNet(
            branches,
            size,
            hop_length=hop_length,
            embedding_dim=sizes.embedding_dim,
            perturbation_head=sizes.has_head(True),
            bottlenecks=sizes.bottlenecks,
            pooling=sizes.pooling,
            channels_last=plan.channels_last,
            augmenter=augmenter,
        )
        head = ArcFaceHead(
            sizes.embedding_dim,
            int(label.max()) + 1,
            margin=options.margin,
            scale=sizes.scale,
            n_subcenters=sizes.n_subcenters,
        )
        objective = OSSCLObjective(network, head, options).to(torch_dtype(dtype))
    trained = train(objective, store, label, plan, seed=seed)
    forget_clips(trained.objective)
    return trained
