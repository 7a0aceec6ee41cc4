"""OSSCLDetector: a network learns to tell machines apart; a clip that does not look like its own machine is anomalous."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np
import torch
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.mixture import GaussianMixture
from sklearn.utils.validation import check_is_fitted
from torch.nn import functional

from skasd._clip_classes import ClipClasses, check_class_parameters, machine_names
from skasd._device import torch_device
from skasd._osscl import OSSCLOptions, train_osscl
from skasd._parameters import check_integer, check_option
from skasd._random import local_random_state
from skasd.base import BaseDetector
from skasd.clips import Clips, check_clips
from skasd.detectors._machines import refuse_unknown_machines
from skasd.features import LogMelTransformer
from skasd.features._network_inputs import NetworkInputs, default_frontend, usable_branches
from skasd.losses import ArcFaceHead, arcface_logits
from skasd.networks import OSSCLNet
from skasd.networks._osscl import BRANCH_INPUTS
from skasd.scoring import BackEnd, check_scorer
from skasd.training import ClipStore, TrainingOptions, reused_memory

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
        embedding, _ = self._outputs(self._read(clips, "embedding"))
        return embedding

    def _fit(self, clips: Clips) -> None:
        self._check_parameters()
        options, training = OSSCLOptions.of(self), TrainingOptions.of(self)
        seed = local_random_state(self.random_state).randint(2**31 - 1)
        _refuse_one_clip(clips)
        self.branches_ = usable_branches(self.branches, clips)
        self._learn_inputs(clips)
        store = ClipStore(len(clips), self.memory_budget)
        try:
            self._fit_from(store, clips, options, training, seed)
        finally:
            store.close()
        self._n_features_out = self.embedding_dim

    def _learn_inputs(self, clips: Clips) -> None:
        names = tuple({BRANCH_INPUTS[branch]: None for branch in self.branches_})
        with_log_mel = tuple({**dict.fromkeys(names), "log_mel": None})  # which clusters are made of
        self._names = names
        self._inputs = NetworkInputs.learn(clips, with_log_mel, default_frontend(self.frontend), self.precision)

    def _fit_from(
        self, store: ClipStore, clips: Clips, options: OSSCLOptions, training: TrainingOptions, seed: int
    ) -> None:
        levels: list[np.ndarray] = []
        store.fill(_with_levels(self._read(clips, "reading"), levels, self._names))
        self._label_columns = () if self.label_columns is None else tuple(self.label_columns)
        machines = machine_names(clips, self._label_columns)
        classes = ClipClasses.of(machines, np.array(levels, dtype=np.float64), self.n_clusters, seed=seed)
        result = train_osscl(
            store,
            classes.label,
            branches=self.branches_,
            size=self._inputs.size,
            hop_length=self._inputs.frontend.hop_length,
            dtype=self._inputs.dtype,
            options=options,
            training=training,
            seed=seed,
        )
        self.network_: OSSCLNet = result.objective.network  # type: ignore[assignment]
        self._head: ArcFaceHead = result.objective.head  # type: ignore[assignment]
        self.classes_, self._machine_of_class = classes.names, classes.machine
        self.label_source_ = "clusters" if classes.is_clustered else "columns"
        self.history_ = result.history
        self._learn_scores(store, machines, result.held_out, seed)

    def _learn_scores(self, store: ClipStore, machines: np.ndarray, held_out: np.ndarray, seed: int) -> None:
        """Fit the back ends, and score the clips that were held out, or all if none were."""
        embedding, cosine = self._outputs(store.clips())
        learnt = np.setdiff1d(np.arange(len(machines)), held_out)
        self.scorer_ = {}
        for name in {"", *machines[learnt].tolist()}:
            rows = learnt if name == "" else learnt[machines[learnt] == name]
            self.scorer_[name] = BackEnd(self._own_scorer(), seed=seed).fit(embedding[rows])
        self._score_with, self._score_margin = self.score_with, self.margin if self.score_margin else 0.0
        rows = held_out if len(held_out) else learnt
        self._held_out = self._combined(embedding[rows], cosine[rows], machines[rows])

    def _own_scorer(self) -> Any:
        return GaussianMixture(1, reg_covar=1e-3) if self.scorer is None else self.scorer

    def _anomaly_score(self, clips: Clips) -> np.ndarray:
        machines = machine_names(clips, self._label_columns)
        if (machines != "").any() or self._score_with == "label":
            refuse_unknown_machines(machines, set(self._machine_of_class), clips, self._label_columns, "label_columns")
        embedding, cosine = self._outputs(self._read(clips, "scoring"))
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

    def _read(self, clips: Clips, title: str) -> Iterator[dict[str, np.ndarray]]:
        return self._inputs.of(clips, n_jobs=self.n_jobs, verbose=self.verbose, title=title)

    def _outputs(self, inputs: Iterable[dict[str, np.ndarray] | None]) -> tuple[np.ndarray, np.ndarray]:
        """Embeddings (n_clips, embedding_dim) and cosines with the class centres (n_clips, n_classes)."""
        device = torch_device(self.device)
        network, head = self.network_.to(device), self._head.to(device)
        dtype = torch.from_numpy(np.empty(0, self._inputs.dtype)).dtype
        outputs = []
        try:
            with torch.inference_mode(), reused_memory():
                for batch in _batched(inputs, self._names):
                    embedding = network({name: torch.from_numpy(x).to(device, dtype) for name, x in batch.items()})
                    outputs.append((embedding.cpu().numpy(), head.cosine(embedding).cpu().numpy()))
        finally:
            self.network_.to("cpu")
            self._head.to("cpu")
        embedding, cosine = (np.concatenate(values) for values in zip(*outputs, strict=True))
        return embedding, cosine.astype(np.float64)

    def _check_parameters(self) -> None:
        check_class_parameters(self.label_columns, self.n_clusters)
        check_option("score_with", self.score_with, _SCORE_WITH)
        check_option("score_margin", self.score_margin, (True, False))
        if self.scorer is not None:
            check_scorer(self.scorer)
        if self.n_jobs is not None:
            check_integer("n_jobs", self.n_jobs, low=-np.inf, other="None")


def _refuse_one_clip(clips: Clips) -> None:
    if len(clips) < 2:
        raise ValueError("1 sample, that is normal clip, given to fit; batch normalisation needs at least 2.")


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


def _batched(inputs: Iterable[dict[str, np.ndarray] | None], names: tuple[str, ...]) -> Iterator[dict[str, np.ndarray]]:
    """Inputs of some clips at a time, stacked."""
    clips = iter(inputs)
    while batch := list(islice(clips, _CLIPS_PER_BATCH)):
        read = [clip for clip in batch if clip is not None]  # what cannot be read raises after the last
        if read:
            yield {name: np.stack([clip[name] for clip in read]) for name in names}


def _cross_entropy(cosine: np.ndarray, label: np.ndarray, margin: float, scale: float) -> np.ndarray:
    """Cross-entropy (n_clips,) of the classes `label`, with the margin on them."""
    target = torch.from_numpy(label)
    logits = arcface_logits(torch.from_numpy(cosine), target, margin=margin, scale=scale)
    return functional.cross_entropy(logits, target, reduction="none").numpy()
