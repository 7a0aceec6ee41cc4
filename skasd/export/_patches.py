"""Modules of the detectors whose networks see patches of a few frames.

Axes: B clips, F bands, T frames, P frames of a patch, n patches of a clip, K classes, D dimensions of the embedding.
"""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from skasd.detectors import AutoencoderDetector, JointAECNNDetector
from skasd.export._back_ends import buffer, scorer_module
from skasd.export._lengths import length_of
from skasd.export._running_median import RunningMedian
from skasd.export._setting import Setting


class Patches(nn.Module):
    """All patches of spectrograms of any length; clips shorter than a patch are repeated.

    Parameters
    ----------
    length, step : int
        Length of a patch, and distance of patches, in frames.
    """

    def __init__(self, length: int, step: int) -> None:
        super().__init__()
        self.length, self.step = length, step

    def forward(self, levels: Tensor) -> Tensor:
        """Patches (B, n, P, F) of levels (B, F, T)."""
        n_frames = length_of(levels)
        n_patches: Any = (n_frames.clamp(min=self.length) - self.length) // self.step + 1
        frame = torch.arange(n_patches)[:, None] * self.step + torch.arange(self.length)
        return levels[:, :, frame % n_frames].permute(0, 2, 3, 1)


class ReconstructionScore(nn.Module):
    """Scores of the residuals of an autoencoder: their mean square, or their Mahalanobis distance.

    Parameters
    ----------
    front : nn.Module
        From clips to spectrograms (B, F, T).
    patches : Patches
        How they are cut.
    residuals : nn.Module
        From patches to their residuals.
    inverses : ndarray of shape (n_domains, F, F)
        Inverse covariances.
    form : tuple of str
        Kind of score, and what the distance is of, as in :class:`AutoencoderDetector`.
    """

    inverses: Tensor

    def __init__(
        self, front: nn.Module, patches: Patches, residuals: nn.Module, inverses: np.ndarray, form: tuple[str, str]
    ) -> None:
        super().__init__()
        self.front, self.patches, self.residuals, self.form = front, patches, residuals, form
        self.register_buffer("inverses", buffer(inverses))

    def forward(self, clip: Tensor) -> Tensor:
        """Anomaly score (B,) of clips."""
        patches = self.patches(self.front(clip))
        residual = self.residuals(patches.flatten(0, 1)).double()
        rows = residual.reshape(patches.shape[0], -1, patches.shape[3])  # (B, n P, F)
        score_by, form = self.form
        if score_by == "mse":
            return rows.square().mean(dim=(1, 2))
        if form == "clip_mean":
            rows = rows.mean(dim=1, keepdim=True)
        lengths = torch.stack([((rows @ inverse) * rows).sum(dim=2) for inverse in self.inverses])  # (domains, B, R)
        return lengths.amin(dim=0).mean(dim=1) if form == "frame_minimum" else lengths.mean(dim=2).amin(dim=0)


def autoencoder_module(detector: AutoencoderDetector, setting: Setting) -> nn.Module:
    """Module from clips to the scores of an AutoencoderDetector."""
    name = setting.machine.name(detector._columns)
    machine = detector._machines[int(np.searchsorted(detector._names, name))]
    residuals = deepcopy(machine.residuals).float().eval()
    front = setting.frontend(detector._frontend, type(detector).__name__)
    return ReconstructionScore(front, Patches(detector._length, 1), residuals, machine.inverses, detector._form)


class PatchScore(nn.Module):
    """Scores of the outputs of a classifier and an autoencoder, averaged over patches.

    Parameters
    ----------
    front : nn.Module
        From clips to spectrograms (B, F, T).
    patches : Patches
        How they are cut.
    filtered : nn.Module
        Running median of patches (B, F, P), or the identity.
    outputs : nn.Module
        From patches (B, P, F) to logits, features and error side by side.
    score : nn.Module
        From the outputs (B, n, K + D + 1) of the patches of clips to anomaly scores (B,).
    """

    def __init__(
        self, front: nn.Module, patches: Patches, filtered: nn.Module, outputs: nn.Module, score: nn.Module
    ) -> None:
        super().__init__()
        self.front, self.patches, self.filtered, self.outputs, self.score = front, patches, filtered, outputs, score

    def forward(self, clip: Tensor) -> Tensor:
        """Anomaly score (B,) of clips."""
        patches = self.patches(self.front(clip))  # (B, n, P, F)
        seen = self.filtered(patches.flatten(0, 1).transpose(1, 2)).transpose(1, 2)
        outputs = self.outputs(seen).double()
        return self.score(outputs.reshape(patches.shape[0], patches.shape[1], -1))


class OfFeatureMean(nn.Module):
    """Back end on the mean features of a clip.

    Parameters
    ----------
    n_classes : int
        Number of classes, whose logits come before the features.
    scorer : nn.Module
        Back end.
    """

    def __init__(self, n_classes: int, scorer: nn.Module) -> None:
        super().__init__()
        self.n_classes, self.scorer = n_classes, scorer

    def forward(self, outputs: Tensor) -> Tensor:
        """Anomaly score (B,) of outputs (B, n, K + D + 1)."""
        return self.scorer(outputs[:, :, self.n_classes : -1].mean(dim=1))


class OfLogOdds(nn.Module):
    """Mean log-odds against a machine, the smallest of several.

    Parameters
    ----------
    own : sequence of ndarray of shape (K,), bool
        Classes of each machine that is compared.
    """

    def __init__(self, own: Sequence[np.ndarray]) -> None:
        super().__init__()
        self.own = [(torch.from_numpy(np.flatnonzero(mask)), torch.from_numpy(np.flatnonzero(~mask))) for mask in own]

    def forward(self, outputs: Tensor) -> Tensor:
        """Anomaly score (B,) of outputs (B, n, K + D + 1)."""
        odds = [
            (outputs[:, :, others].logsumexp(dim=2) - outputs[:, :, own].logsumexp(dim=2)).mean(dim=1)
            for own, others in self.own
        ]
        return torch.stack(odds).amin(dim=0)


class OfError(nn.Module):
    """Mean reconstruction error of the patches of a clip."""

    def forward(self, outputs: Tensor) -> Tensor:
        """Anomaly score (B,) of outputs (B, n, K + D + 1)."""
        return outputs[:, :, -1].mean(dim=1)


def joint_module(detector: JointAECNNDetector, setting: Setting, mode: str, name: str) -> nn.Module:
    """Module of the network of a JointAECNNDetector alone, for one kind of score."""
    scores = detector._scores
    if mode == "embedding":
        back_end = scores.back_ends.get(name, scores.back_ends[""])
        score: nn.Module = OfFeatureMean(len(detector.classes_), scorer_module(back_end))
    elif mode == "reconstruction":
        score = OfError()
    else:
        compared = [name] if mode == "label" else [str(machine) for machine in detector._machines]
        score = OfLogOdds([detector._machine_of_class == machine for machine in compared])
    outputs: Any = deepcopy(detector._evaluator).float().eval()
    options = outputs.objective.options
    size = options.patch_median
    outputs.objective.options = replace(options, median_filter=None)
    front: nn.Module = setting.frontend(detector._frontend, type(detector).__name__)
    if detector._median is not None:
        front = nn.Sequential(front, RunningMedian(detector._median))
    filtered = nn.Identity() if size is None else RunningMedian(size)
    return PatchScore(front, Patches(detector._length, detector._step), filtered, outputs, score)
