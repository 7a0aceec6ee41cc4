"""Training objective of the joint autoencoder and classifier, and the outputs that its scores need.

X. Cai et al., "A contrastive semi-supervised learning framework for anomaly sound detection", DCASE Workshop 2021.

Axes: B patches, P frames of a patch, F mel bands, K classes, D features.
"""

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from skasd._parameter_group import ParameterGroup, refuse_idle
from skasd._parameters import check_integer, check_number, check_option
from skasd.augmentations import Mixing, draw_mixing, forget_clips, masked_frames, shifted_frames
from skasd.augmentations._mixup import no_mixing
from skasd.losses import two_view_loss
from skasd.losses._two_views import TWO_VIEW_FORMS
from skasd.networks import JointNet
from skasd.networks._joint import flattened, running_median
from skasd.objectives._network_options import JointNetOptions
from skasd.objectives._options import ObjectiveOptions
from skasd.training import PatchStore, Training, TrainingPlan, seeded, train
from skasd.training._precision import torch_dtype

MEDIAN_LEVELS = ("clip", "patch")


@dataclass(repr=False)
class PatchOptions(ParameterGroup):
    """The patches of :class:`~skasd.detectors.JointAECNNDetector`.

    Parameters
    ----------
    length : int, default=64
        Length of a patch, in frames.
    step : int, default=8
        Number of frames from one training patch to the next.
    score_step : int or None, default=None
        Number of frames from one patch to the next when scoring. None uses `step`.
    median_level : {"clip", "patch"}, default="clip"
        Whether the median filter is applied to whole clips or to each patch separately.
    time_mask : int, default=0
        Largest number of consecutive frames of a training patch that are masked; 0 disables masking.
    frame_shift : int, default=0
        Largest number of frames by which a training patch is shifted; 0 disables shifting.
    """

    length: int = 64
    step: int = 8
    score_step: int | None = None
    median_level: str = "clip"
    time_mask: int = 0
    frame_shift: int = 0

    def check(self) -> None:
        """Raise if an option is out of range."""
        check_integer("length", self.length, low=1)
        check_integer("step", self.step, low=1)
        if self.score_step is not None:
            check_integer("score_step", self.score_step, low=1, other="None")
        check_option("median_level", self.median_level, MEDIAN_LEVELS)
        for name in ("time_mask", "frame_shift"):
            check_integer(name, getattr(self, name), low=0)


@dataclass(frozen=True)
class JointOptions(ObjectiveOptions):
    """Networks, losses and augmentation of :class:`~skasd.detectors.JointAECNNDetector`."""

    reconstruction_weight: float = 1.0
    contrastive_weight: float = 1.0
    contrastive_form: str = "symmetric"
    temperature: float = 0.07
    mixup_alpha: float | None = None
    median_filter: int | None = 31
    patches: PatchOptions = field(default_factory=PatchOptions)
    network: JointNetOptions = field(default_factory=JointNetOptions)

    @property
    def patch_median(self) -> int | None:
        """Window of the running median of each patch; None if whole clips are filtered, or nothing is."""
        return self.median_filter if self.patches.median_level == "patch" else None

    @property
    def clip_median(self) -> int | None:
        """Window of the running median of each clip; None if patches are filtered, or nothing is."""
        return self.median_filter if self.patches.median_level == "clip" else None

    def check(self) -> None:
        """Raise if an option is out of range, or has no effect given the others."""
        for name in ("reconstruction_weight", "contrastive_weight"):
            check_number(name, getattr(self, name), low=0)
        check_option("contrastive_form", self.contrastive_form, TWO_VIEW_FORMS)
        check_number("temperature", self.temperature, low=0, above=True)
        if self.mixup_alpha is not None:
            check_number("mixup_alpha", self.mixup_alpha, low=0, above=True)
        if self.median_filter is None:
            refuse_idle(self.patches, ["median_level"], "median_filter=None")
        contrast = ("contrastive_form", "temperature")
        if not self.network.autoencoder:
            refuse_idle(self, ("reconstruction_weight", "contrastive_weight", *contrast), "autoencoder=False")
        elif not self.contrastive_weight:
            refuse_idle(self, contrast, "contrastive_weight=0")
            refuse_idle(self.network, ["normalise_projection"], "contrastive_weight=0")


class JointObjective(nn.Module):
    r"""Both networks, and the loss of a batch.

    .. math:: L = \mathrm{CE}(\ell, y) + w_r \mathrm{MSE}(\hat x, x) + w_c L_{\mathrm{contrast}}(u, p)

    Parameters
    ----------
    network : JointNet
        Classifier and autoencoder.
    options : JointOptions
        Options of the losses and the augmentation.
    augmenter : nn.Module or None, default=None
        Module that augments and normalises spectrograms (B, F, P).
    """

    def __init__(self, network: JointNet, options: JointOptions, augmenter: nn.Module | None = None) -> None:
        super().__init__()
        self.network, self.options, self.augmenter = network, options, augmenter

    @property
    def compiled_parts(self) -> tuple[nn.Module, ...]:
        """Modules that torch compiles: batches go through the backbone, not through the forward method of the network."""
        return (self.network.backbone,)

    def forward(self, inputs: dict[str, Tensor], label: Tensor, generator: torch.Generator) -> Tensor:
        """Loss of a batch of training patches."""
        patch, mixing = self._augmented(inputs["patch"], label, generator)
        features = self.network.features(patch)
        logits = self.network.logits(self._given(features))
        loss = functional.cross_entropy(logits, label)
        if self.options.mixup_alpha is not None:
            loss = torch.lerp(
                functional.cross_entropy(logits, label[mixing.partner]), loss, mixing.share.to(loss.dtype)
            )
        return loss if self.network.autoencoder is None else loss + self._tied(patch, features)

    def seen(self, patch: Tensor, label: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        """Patches (B, P, F) as both networks get them: filtered, and augmented if a generator is given."""
        size = self.options.patch_median
        patch = patch if size is None else running_median(patch, size)
        if self.augmenter is None:
            return patch
        return self.augmenter(patch.transpose(1, 2), label, generator).transpose(1, 2)

    def _augmented(self, patch: Tensor, label: Tensor, generator: torch.Generator) -> tuple[Tensor, Mixing]:
        options, patch = self.options, self.seen(patch, label, generator)
        mixing = no_mixing(len(patch), device=patch.device)
        if options.mixup_alpha is not None:
            mixing = draw_mixing(len(patch), options.mixup_alpha, generator, device=patch.device)
            patch = mixing(patch)
        if options.patches.time_mask:
            patch = masked_frames(patch, options.patches.time_mask, generator)
        if options.patches.frame_shift:
            patch = shifted_frames(patch, options.patches.frame_shift, generator)
        return patch, mixing

    def _tied(self, patch: Tensor, features: Tensor) -> Tensor:
        """Loss of the autoencoder, and the contrastive loss that couples it to the features (B, D)."""
        network, options = self.network, self.options
        values = flattened(patch)
        code = network.autoencoder.encoder(values)  # type: ignore[union-attr]
        reconstruction = network.autoencoder.decoder(self._given(code))  # type: ignore[union-attr]
        loss = options.reconstruction_weight * functional.mse_loss(reconstruction.to(values.dtype), values)
        if not options.contrastive_weight:
            return loss
        views = [view.to(torch.promote_types(view.dtype, torch.float32)) for view in network.views(features, code)]
        if options.network.normalise_projection:
            views = [functional.normalize(view) for view in views]
        contrast = two_view_loss(*views, temperature=options.temperature, form=options.contrastive_form)
        return loss + options.contrastive_weight * contrast

    def _given(self, vector: Tensor) -> Tensor:
        """Features or code as classifier and decoder get them: normalised if the options say so."""
        return functional.normalize(vector) if self.options.network.normalise_features else vector

    def validation_loss(self, inputs: dict[str, Tensor], label: Tensor) -> Tensor:
        """Cross-entropy of held-out patches, without augmentation."""
        features = self.network.features(self.seen(inputs["patch"]))
        return functional.cross_entropy(self.network.logits(self._given(features)), label)


class PatchOutputs(nn.Module):
    """All outputs that the scores of a patch need, concatenated.

    Parameters
    ----------
    objective : JointObjective
        Trained objective.
    """

    def __init__(self, objective: JointObjective) -> None:
        super().__init__()
        self.objective = objective

    def forward(self, patch: Tensor) -> Tensor:
        """Logits, features and mean squared error (B, K + D + 1) of patches (B, P, F); 0 without an autoencoder."""
        patch = self.objective.seen(patch)
        network, given = self.objective.network, self.objective._given
        features = network.features(patch)
        error = torch.zeros_like(features[:, :1])
        if network.autoencoder is not None:
            values = flattened(patch)
            reconstruction = network.autoencoder.decoder(given(network.autoencoder.encoder(values)))
            error = (reconstruction - values).square().mean(dim=1, keepdim=True)
        return torch.cat([network.logits(given(features)), features, error], dim=1)


def train_joint(
    store: PatchStore,
    label: np.ndarray,
    *,
    dtype: np.dtype,
    options: JointOptions,
    plan: TrainingPlan,
    seed: int,
    augmenter: nn.Module | None = None,
) -> Training:
    """Build the networks for these patches and train them.

    Parameters
    ----------
    store : PatchStore
        Patches of the clips.
    label : ndarray of shape (n_clips,), int64
        Class of each clip, counted from 0.
    dtype : dtype
        Precision of the networks.
    options : JointOptions
        Options of the networks, losses and augmentation.
    plan : TrainingPlan
        Hyperparameters of the training.
    seed : int
        Seeds the weights, the order of the patches and the augmentation.
    augmenter : nn.Module or None, default=None
        Module that augments spectrograms.
    """
    sizes = options.network
    with seeded(seed) as generator:
        network = JointNet(
            store.n_bands,
            store.length,
            int(label.max()) + 1,
            backbone=sizes.backbone,
            width=sizes.width,
            image_channels=sizes.image_channels,
            pooling=sizes.pooling,
            dropout=sizes.dropout,
            has_autoencoder=sizes.autoencoder,
            channels_last=plan.channels_last,
        )
        if network.autoencoder is not None:
            frame = torch.from_numpy(store.mean_frame())
            if augmenter is not None:
                frame = augmenter.eval()(frame[None, :, None])[0, :, 0]
            network.autoencoder.begin_at(frame.repeat_interleave(store.length))
        objective = JointObjective(network, options, augmenter).to(torch_dtype(dtype))
    trained = train(objective, store, label, plan, seed=seed, generator=generator)
    forget_clips(trained.objective)
    return trained
