"""Modules of the detectors whose network computes an embedding of a clip.

Axes: B clips, n time points, F bands, T frames, D dimensions of the embedding, C classes, M machines.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from skasd.detectors import JointAECNNDetector, OSSCLDetector
from skasd.detectors._beside import WEIGHT, FewScores, StatisticsBeside
from skasd.detectors._embedding import EmbeddingDetector
from skasd.detectors._experts import Normal
from skasd.export._back_ends import scorer_module
from skasd.export._log_mel import check_channel, spectrogram_module
from skasd.export._network_parts import exportable
from skasd.export._patches import joint_module
from skasd.export._reading import Fitted
from skasd.export._refusal import refused
from skasd.export._setting import Setting
from skasd.export._statistical import statistics_module
from skasd.inputs._network_inputs import NetworkInputs
from skasd.losses import arcface_logits


class OfWaveforms(nn.Module):
    """Inputs of a network from waveforms of any length.

    Parameters
    ----------
    inputs : NetworkInputs
        Sizes, and the front end.
    names : sequence of {"log_mel", "waveform"}
        Inputs of the network.
    who : str
        Name of the detector, for messages.
    """

    def __init__(self, inputs: NetworkInputs, names: Sequence[str], who: str) -> None:
        super().__init__()
        check_channel(inputs.frontend, who)
        self.names = tuple(names)
        self.fitted = Fitted(inputs.n_timepoints or 1, inputs.frontend.reader.short_clips)
        self.log_mel = spectrogram_module(inputs.frontend, who) if "log_mel" in self.names else nn.Identity()

    def forward(self, clip: Tensor) -> dict[str, Tensor]:
        """Inputs of waveforms (B, n)."""
        waveform = self.fitted(clip)
        return {name: self.log_mel(waveform) if name == "log_mel" else waveform for name in self.names}


class OfFeatures(nn.Module):
    """Input of a network from features of any number of frames, which are cut or repeated.

    Parameters
    ----------
    n_frames : int
        Number of frames of the input.
    """

    def __init__(self, n_frames: int) -> None:
        super().__init__()
        self.n_frames = n_frames

    def forward(self, feature: Tensor) -> dict[str, Tensor]:
        """Inputs of features (B, F, T)."""
        return {"log_mel": feature[:, :, torch.arange(self.n_frames) % feature.shape[2]]}


class Embedded(nn.Module):
    """Anomaly score of the embedding of a clip.

    Parameters
    ----------
    inputs : nn.Module
        From clips to the inputs of the network.
    network : nn.Module
        From these to embeddings (B, D).
    scorer : nn.Module
        From embeddings to anomaly scores (B,).
    """

    def __init__(self, inputs: nn.Module, network: nn.Module, scorer: nn.Module) -> None:
        super().__init__()
        self.inputs, self.network, self.scorer = inputs, network, scorer

    def forward(self, clip: Tensor) -> Tensor:
        """Anomaly score (B,) of clips."""
        return self.scorer(self.network(self.inputs(clip)).double())


class ClassMismatch(nn.Module):
    """Cross-entropy of the best class of the machine that fits a clip best.

    Parameters
    ----------
    weight : Tensor of shape (C, K, D)
        Centres of the classes, of unit length; the nearest of K counts.
    own : sequence of ndarray of shape (C,), bool
        Classes of each machine that is compared.
    margin, scale : float
        Those of the logits.
    """

    weight: Tensor

    def __init__(self, weight: Tensor, own: Sequence[np.ndarray], *, margin: float, scale: float) -> None:
        super().__init__()
        self.register_buffer("weight", weight)
        self.masks = [torch.from_numpy(np.where(mask, 0.0, -np.inf)) for mask in own]
        self.margin, self.scale = margin, scale

    def forward(self, embedding: Tensor) -> Tensor:
        """Anomaly score (B,) of embeddings (B, D)."""
        n_classes, n_centers, n_dims = self.weight.shape
        unit = nn.functional.normalize(embedding)
        cosine = (unit @ self.weight.reshape(-1, n_dims).T).reshape(-1, n_classes, n_centers).amax(dim=2)
        mismatches = []
        for mask in self.masks:
            best = (cosine + mask).argmax(dim=1)
            logits = arcface_logits(cosine, best, margin=self.margin, scale=self.scale)
            others = torch.where(torch.arange(n_classes) == best[:, None], -torch.inf, logits).logsumexp(dim=1)
            own_logit = logits.gather(1, best[:, None])[:, 0]
            largest = torch.maximum(others, own_logit)
            both = (others - largest).exp() + (own_logit - largest).exp()
            mismatches.append(largest + both.log() - own_logit)
        return torch.stack(mismatches).amin(dim=0)


class WithStatistics(nn.Module):
    """A network as one more expert beside statistics.

    Parameters
    ----------
    network, statistics : nn.Module
        From clips to anomaly scores (B,).
    scales : sequence of Normal and FewScores
        What the score of the network is normalised by, one after another.
    """

    def __init__(self, network: nn.Module, statistics: nn.Module, scales: Sequence[Normal | FewScores]) -> None:
        super().__init__()
        self.network, self.statistics, self.scales = network, statistics, tuple(scales)

    def forward(self, clip: Tensor) -> Tensor:
        """Anomaly score (B,) of clips."""
        relative = self.network(clip)
        for scale in self.scales:
            relative = _relative(relative, scale)
        both = torch.stack([self.statistics(clip), relative + WEIGHT])
        return both.logsumexp(dim=0) - float(np.logaddexp(0, WEIGHT))


def _relative(score: Tensor, scale: Normal | FewScores) -> Tensor:
    """Scores (B,) on this scale, as calling it computes them."""
    if isinstance(scale, Normal):
        return (score - scale.mean) / scale.spread
    spread, freedom, factor = scale.student
    t = (score.double() - scale.mean) / spread  # in float32, 1 + a small square is 1
    return (factor * t.sign() * (freedom * (1 + t.square() / freedom).log()).sqrt()).to(score.dtype)


def embedding_module(detector: EmbeddingDetector, setting: Setting) -> nn.Module:
    """Module from clips to the scores of a detector with an embedding."""
    detector._follow_score_with()
    names = np.array([setting.machine.name(detector._scores.columns)])
    mode = detector._scores.settled(detector.score_with, names)
    detector._scores._refuse_unlearnt(mode)
    made_by: Any = joint_module if isinstance(detector, JointAECNNDetector) else _network_module
    network = made_by(detector, setting, mode, str(names[0]))
    beside: StatisticsBeside | None = detector._statistics if detector.score_with == "auto" else None
    if beside is None or str(names[0]) not in detector._scores.machines:
        return network
    scales: list[Normal | FewScores] = [beside._learnt[name] for name in names if name in beside._learnt]
    scales.append(beside._held_out.get(str(names[0]), beside._held_out[""]))
    return WithStatistics(network, statistics_module(beside.detector, setting), scales)


def _network_module(detector: Any, setting: Setting, mode: str, name: str) -> nn.Module:
    """Module of the network alone, for one kind of score."""
    fit = detector._network_fit if hasattr(detector, "_network_fit") else detector._attribute_fit
    sizes, who = fit.inputs, type(detector).__name__
    if setting.kind == "waveform":
        inputs: nn.Module = OfWaveforms(sizes, fit.names, who)
    elif tuple(fit.names) == ("log_mel",):
        inputs = OfFeatures(sizes.size[1])
    else:
        raise refused(
            f"a {who} whose parameter branches={fit.names} reads waveforms beside features",
            "fit it on waveforms, with frontend= in place of the transformer before it",
        )
    n_bands, n_frames = sizes.size
    network = exportable(detector._evaluator, sizes.n_timepoints, n_frames, n_bands)
    return Embedded(inputs, network, _scorer(detector, mode, name))


def _scorer(detector: Any, mode: str, name: str) -> nn.Module:
    """Module from embeddings to anomaly scores, for one kind of score."""
    scores = detector._scores
    if mode == "embedding":
        return scorer_module(scores.back_ends.get(name, scores.back_ends[""]))
    compared = [name] if mode == "label" else [str(machine) for machine in np.unique(detector._machine_of_class)]
    own = [detector._machine_of_class == machine for machine in compared]
    margin = detector._score_margin if isinstance(detector, OSSCLDetector) else 0.0
    head = detector._head
    weight = nn.functional.normalize(head.weight.detach().float()).double()
    return ClassMismatch(weight.unflatten(0, (head.n_classes, -1)), own, margin=float(margin), scale=float(head.scale))
