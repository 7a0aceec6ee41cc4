"""OSSCLDetector: a network learns to tell machines apart; a clip that does not look like its own machine is anomalous."""

from collections.abc import Iterable, Sequence
from contextlib import closing
from typing import Any

import numpy as np
import torch
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.mixture import GaussianMixture
from sklearn.utils.validation import check_is_fitted
from torch.nn import functional

from skasd._device import torch_device
from skasd._osscl import OSSCLOptions
from skasd._parameters import check_option
from skasd.base import BaseDetector
from skasd.clips import Clips, check_clips
from skasd.detectors._machines import refuse_unknown_machines
from skasd.features import LogMelTransformer
from skasd.features._osscl_training import OSSCLFit, stacked_batches
from skasd.losses import ArcFaceHead, arcface_logits
from skasd.networks import OSSCLNet
from skasd.scoring import BackEnd, check_scorer
from skasd.training import ClipStore, reused_memory

_SCORE_WITH = ("auto", "label", "predicted", "embedding")
_CLIPS_PER_BATCH = 32  # when scoring: large enough for speed, and the same for all, so that rounding is too


class OSSCLDetector(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseDetector):
    """One-stage supervised contrastive detector."""

    def __init__(
        self,
        branches: Sequence[str] = ("log_mel", "tgram", "tfgram"),
        *,
        label_columns: Sequence[str] | None = ("machine_type", "section"),
        n_clusters: int | None = None,
        score_with: str = "auto",
        score_margin: bool = True,
        scorer: Any = None,
        margin: float = 0.4,
        scale: float = 30.0,
        n_subcenters: int = 1,
        mixup_alpha: float | None = 0.5,
        mix_margin: str = "first",
        contrastive_weight: float = 1.0,
        temperature: float = 0.02,
        perturbation_head: bool = True,
        bottlenecks: Any = "2023",
        embedding_dim: int = 128,
        frontend: LogMelTransformer | None = None,
        max_epochs: int = 300,
        batch_size: int = 64,
        learning_rate: float = 1e-4,
        min_learning_rate: float | None = None,
        schedule_start: int = 0,
        weight_decay: float = 0.01,
        averaging_decay: float | None = 0.9999,
        sampling: str = "shuffled",
        validation_fraction: float = 0.0,
        patience: int | None = None,
        precision: str = "auto",
        channels_last: bool = True,
        compile: bool = False,
        memory_budget: float = 8e9,
        device: str = "auto",
        callbacks: Any = None,
        contamination: float | str = "auto",
        random_state: Any = None,
        n_jobs: int | None = -1,
        verbose: int = 0,
    ) -> None:
        self.branches = branches
        self.label_columns = label_columns
        self.n_clusters = n_clusters
        self.score_with = score_with
        self.score_margin = score_margin
        self.scorer = scorer
        self.margin = margin
        self.scale = scale
        self.n_subcenters = n_subcenters
        self.mixup_alpha = mixup_alpha
        self.mix_margin = mix_margin
        self.contrastive_weight = contrastive_weight
        self.temperature = temperature
        self.perturbation_head = perturbation_head
        self.bottlenecks = bottlenecks
        self.embedding_dim = embedding_dim
        self.frontend = frontend
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.min_learning_rate = min_learning_rate
        self.schedule_start = schedule_start
        self.weight_decay = weight_decay
        self.averaging_decay = averaging_decay
        self.sampling = sampling
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.precision = precision
        self.channels_last = channels_last
        self.compile = compile
        self.memory_budget = memory_budget
        self.device = device
        self.callbacks = callbacks
        self.contamination = contamination
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def transform(self, X: Any) -> np.ndarray:
        """Embeddings of the clips.

        Parameters
        ----------
        X : array, list of paths or clip table
            Clips.

        Returns
        -------
        embedding : ndarray of shape (n_clips, embedding_dim)
            Of unit length.
        """
        check_is_fitted(self)
        clips = check_clips(self, X, reset=False, feature=self._input_feature)
        embedding, _ = self._outputs(self._fit_of.read(clips, "embedding"))
        return embedding

    def _fit(self, clips: Clips) -> None:
        self._check_parameters()
        fit = self._fit_of = OSSCLFit.of(self, clips, OSSCLOptions.of(self))
        with closing(ClipStore(len(clips), self.memory_budget)) as store:
            classes, training = fit.run(clips, store)
            self.branches_ = fit.branches
            self.network_: OSSCLNet = training.objective.network  # type: ignore[assignment]
            self._head: ArcFaceHead = training.objective.head  # type: ignore[assignment]
            self.classes_, self._machine_of_class = classes.names, classes.machine
            self.label_source_ = "clusters" if classes.is_clustered else "columns"
            self.history_ = training.history
            self._n_features_out = self.embedding_dim
            self._learn_scores(store, fit.machines(clips), training.held_out)

    def _learn_scores(self, store: ClipStore, machines: np.ndarray, held_out: np.ndarray) -> None:
        """Fit the back ends, and score the clips that were held out, or all if none were."""
        embedding, cosine = self._outputs(store.clips())
        learnt = np.setdiff1d(np.arange(len(machines)), held_out)
        self.scorer_ = {}
        for name in {"", *machines[learnt].tolist()}:
            rows = learnt if name == "" else learnt[machines[learnt] == name]
            self.scorer_[name] = BackEnd(self._own_scorer(), seed=self._fit_of.seed).fit(embedding[rows])
        self._score_with, self._score_margin = self.score_with, self.margin if self.score_margin else 0.0
        rows = held_out if len(held_out) else learnt
        self._held_out = self._combined(embedding[rows], cosine[rows], machines[rows])

    def _own_scorer(self) -> Any:
        return GaussianMixture(1, reg_covar=1e-3) if self.scorer is None else self.scorer

    def _anomaly_score(self, clips: Clips) -> np.ndarray:
        machines = self._fit_of.machines(clips)
        if (machines != "").any() or self._score_with == "label":
            refuse_unknown_machines(
                machines, set(self._machine_of_class), clips, self._fit_of.label_columns, "label_columns"
            )
        embedding, cosine = self._outputs(self._fit_of.read(clips, "scoring"))
        return self._combined(embedding, cosine, machines)

    def _held_out_score(self, clips: Clips) -> np.ndarray:
        return self._held_out

    def _combined(self, embedding: np.ndarray, cosine: np.ndarray, machines: np.ndarray) -> np.ndarray:
        score_with = self._score_with
        if score_with == "auto":
            score_with = "label" if (machines != "").all() and self.label_source_ == "columns" else "embedding"
        if score_with == "embedding":
            return self._distance(embedding, machines)
        is_own = self._machine_of_class == machines[:, None]  # (n_clips, n_classes)
        allowed = is_own if score_with == "label" else np.ones_like(is_own)
        return _cross_entropy(
            cosine, np.where(allowed, cosine, -np.inf).argmax(axis=1), self._score_margin, self._head.scale
        )

    def _distance(self, embedding: np.ndarray, machines: np.ndarray) -> np.ndarray:
        scores = np.empty(len(embedding))
        for name in np.unique(machines):
            scores[machines == name] = self.scorer_[str(name)].anomaly_score(embedding[machines == name])
        return scores

    def _outputs(self, inputs: Iterable[dict[str, np.ndarray] | None]) -> tuple[np.ndarray, np.ndarray]:
        """Embeddings (n_clips, embedding_dim) and cosines with the class centres (n_clips, n_classes)."""
        device = torch_device(self.device)
        network, head = self.network_.to(device), self._head.to(device)
        dtype = torch.from_numpy(np.empty(0, self._fit_of.inputs.dtype)).dtype
        outputs = []
        try:
            with torch.inference_mode(), reused_memory():
                for batch in stacked_batches(inputs, self._fit_of.names, _CLIPS_PER_BATCH):
                    embedding = network({name: torch.from_numpy(x).to(device, dtype) for name, x in batch.items()})
                    outputs.append((embedding.cpu().numpy(), head.cosine(embedding).cpu().numpy()))
        finally:
            self.network_.to("cpu")
            self._head.to("cpu")
        embedding, cosine = (np.concatenate(values) for values in zip(*outputs, strict=True))
        return embedding, cosine.astype(np.float64)

    def _check_parameters(self) -> None:
        check_option("score_with", self.score_with, _SCORE_WITH)
        check_option("score_margin", self.score_margin, (True, False))
        if self.scorer is not None:
            check_scorer(self.scorer)


def _cross_entropy(cosine: np.ndarray, label: np.ndarray, margin: float, scale: float) -> np.ndarray:
    """Cross-entropy (n_clips,) of the classes `label`, with the margin on them."""
    target = torch.from_numpy(label)
    logits = arcface_logits(torch.from_numpy(cosine), target, margin=margin, scale=scale)
    return functional.cross_entropy(logits, target, reduction="none").numpy()
