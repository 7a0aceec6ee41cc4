"""ContrastiveSpectrumDetector: views of a clip that differ above a frequency are pulled together."""

from collections.abc import Iterable, Sequence
from contextlib import closing
from typing import Any

import numpy as np
import torch

from skasd._device import torch_device
from skasd._parameters import check_option
from skasd.augmentations import SpectrumAugmentation
from skasd.clips import Clips
from skasd.detectors._embedding import EmbeddingDetector
from skasd.detectors._machine_scorers import distance, fitted_back_ends
from skasd.detectors._machines import refuse_unknown_machines
from skasd.features import LogMelTransformer
from skasd.inputs._augmentation import check_augmentation, prepared
from skasd.inputs._network_fit import NetworkFit, stacked_batches
from skasd.losses import ArcFaceHead
from skasd.networks import folded
from skasd.objectives._contrastive_spectrum import ContrastOptions, train_contrastive_spectrum
from skasd.scoring import KMeansScorer, check_scorer
from skasd.scoring._log_odds import log_odds
from skasd.training import ClipStore, Training, evaluated

_SCORE_WITH = ("embedding", "label", "predicted")
_CLIPS_PER_BATCH = 32


class ContrastiveSpectrumDetector(EmbeddingDetector):
    r"""Contrastive learning with spectrum augmentation.

    Of a segment of each normal clip two views are made, which differ most in their high bands. A network learns embeddings
    that are close for views of one clip, and for clips of one class in different domains, and far apart for different
    classes [1]_; a clip is anomalous when its embedding is far from those of normal clips. Use it with several machines,
    sections or attributes, and where the domain shifts. Clips without labels are put into clusters first.

    The code of [1]_ is not public, and its text leaves much open: what it does not tell is an option here.

    Parameters
    ----------
    augmentation : SpectrumAugmentation or None, default=None
        How views are made, see :class:`skasd.augmentations.SpectrumAugmentation`; None takes it as it comes.
    label_columns : sequence of str or None, default=("machine_type", "section")
        Columns of the clip table that make the class of a clip; it may lack these two. None makes clusters.
    n_clusters : int or None, default=None
        Into how many clusters of like sound the clips of each machine and domain are split, each a class of its own. None
        makes clusters, 16 at most, only where the label columns give fewer than two classes.
    score_with : {"embedding", "label", "predicted"}, default="embedding"
        ``"embedding"``: how far the embedding of a clip is from those of normal clips, by the `scorer`; of the same machine
        where the table tells it. ``"label"``: how badly it fits the machine that the table says it is; ``"predicted"``: the
        machine that it fits best. These two need a `classification_weight`.
    scorer : estimator or None, default=None
        Back end of ``score_with="embedding"``, one for each machine of at least two clips, and one of all clips for the
        others: one of :mod:`skasd.scoring`, or an outlier detector or density model of scikit-learn. None takes
        :class:`skasd.scoring.KMeansScorer`, centres of the source clips and all target clips.
    contrast : {"supcon", "pairwise"}, default="supcon"
        Loss of the pairs: a softmax over all pairs, or squares of what each pair lacks.
    temperature : float, default=0.07
        :math:`\tau` of the softmax, dimensionless.
    cross_domain : bool, default=True
        Whether a clip is pulled only to those of its class in the other domain, beside its own other view; else to all of
        its class. Of a class that has one domain, each of the two views counts as a domain.
    ignore_same_domain : bool, default=True
        Whether a clip is left alone by those of its class that it is not pulled to, or pushed away from them.
    contrastive_weight : float, default=1.0
        Weight of the contrast; 0 leaves it out.
    classification_weight : float, default=0.0
        Weight of a classification by angle beside it; 0 leaves it out.
    margin : float, default=0.5
        Additive angular margin of the classification, in radians, in [0, pi / 2].
    scale : float, default=30.0
        Factor of its cosines, dimensionless.
    encoder : {"mobilefacenet", "byol_a"}, default="mobilefacenet"
        Network of the segments: that of OS-SCL, or the convolutions of BYOL-A.
    bottlenecks : {"2023", "2021"} or sequence of tuple of int, default="2023"
        Stages of the first, each (expansion, channels, blocks, stride).
    embedding_dim : int, default=128
        Length of the embedding.
    projector : {"narrow", "three_layers", "off"}, default="narrow"
        What is between the embedding and the contrast: two layers with half as many units between them, three layers, or
        nothing.
    n_segments : int, default=5
        Segments of a clip that is scored, evenly spread; its embedding is the mean of theirs. One is in the middle.
    segment_length : int or None, default=64
        Frames of a segment; None takes whole clips.
    frontend : LogMelTransformer or None, default=None
        Makes the log-mels of waveforms and files, and says where the bands of features lie; None takes 128 HTK bands,
        1024 / 512 samples. Its `duration` is the length that clips are cut and filled to; without one it is the median
        length of the training clips.
    max_epochs : int, default=100
        Passes over the training clips.
    batch_size : int, default=64
        Clips of a step, of each of which there are two views.
    learning_rate : float, default=1e-3
        Of AdamW, at the beginning.
    min_learning_rate : float or None, default=None
        At the end of half a cosine; None takes a tenth of `learning_rate`.
    weight_decay : float, default=0.01
        Of AdamW.
    averaging_decay : float or None, default=0.999
        Share of the running average of the weights that is kept at each step; None takes the last weights.
    sampling : {"class_and_domain", "balanced", "shuffled"}, default="class_and_domain"
        Whether a batch has as many clips of each class, at least two of them of the target domain; or all classes are drawn
        with equal chances; or an epoch takes every clip once.
    validation_fraction : float, default=0.0
        Share of the clips of each class and domain held out of the training, as in :class:`OSSCLDetector`.
    patience : int or None, default=None
        Epochs without a lower held-out loss after which the training stops.
    precision : {"auto", "float32", "bfloat16"}, default="auto"
        Of the convolutions, in training.
    memory_budget : float, default=8e9
        Bytes of training clips above which they go into a temporary file and are read from there.
    device : str, default="auto"
        ``"cpu"``; or a torch device such as ``"cuda"``; or ``"auto"``, an accelerator where there is one.
    callbacks : list of skorch callbacks or None, default=None
        Called during the training.
    contamination : float or "auto", default="auto"
        Share of training clips below the threshold, in (0, 0.5]; ``"auto"`` is one in ten.
    threshold : {"quantile", "gamma"}, default="quantile"
        Whether the threshold is a quantile of scores, or that of a gamma distribution fitted to those of held-out clips.
    random_state : int, RandomState instance or None, default=None
        Seeds weights, batches and views; global generators stay untouched.
    n_jobs : int or None, default=-1
        Threads that read clips and make log-mels; -1 takes all cores.
    verbose : int, default=0
        Shows progress bars from 1 on.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,), str
        Classes that the network learnt: the cells of the label columns joined with "/", or names of clusters.
    label_source_ : {"columns", "clusters"}
        Where the classes come from. Clusters are of clips of both domains.
    has_both_domains_ : ndarray of shape (n_classes,), bool
        Classes whose clips are pulled together across domains; of the others each view counts as a domain.
    network_ : torch.nn.Module
        The averaged network, on the CPU; normalises on its own.
    scorer_ : dict of str to BackEnd
        Fitted back ends by machine, and one for all clips ("").
    history_ : list of dict
        Epoch, mean loss, learning rate and seconds of each epoch.
    offset_ : float
        Threshold: ``decision_function = score_samples - offset_``.
    n_features_in_ : int
        Bands of features, or time points of a 2-D array.

    See Also
    --------
    skasd.augmentations.SpectrumAugmentation : How views are made.
    OSSCLDetector : Classifies, and contrasts beside it; takes the same augmentation.

    Notes
    -----
    With :math:`f` the encoder, :math:`g` the projector and :math:`\tilde x` the views,

    .. math:: L = w_c L_{\mathrm{contrast}}(g(f(\tilde x))) + w_a \mathrm{CE}(\ell(f(\tilde x)), y),

    see :func:`skasd.losses.cross_domain_loss`. Nothing of a clip's score depends on the clips that it is scored with: both
    normalisations are frozen. The first is learnt from all training clips, those held out too.

    Departures, as far as the text tells: no network pre-trained on other sound; segments are of equal length; no random
    resize crop unless the augmentation says so, since without it faults made up of normal clips were found better.

    References
    ----------
    .. [1] X. Meng, J. Guo, Y. Zhang, S. Huang, "Contrastive learning with spectrum information augmentation in abnormal
           sound detection", CVIPPR 2024. arXiv:2509.15570.

    Examples
    --------
    >>> from skasd.datasets import make_machine_clips
    >>> from skasd.detectors import ContrastiveSpectrumDetector
    >>> clips = make_machine_clips(("fan", "pump"), duration=1.0, random_state=0)
    >>> train = clips.data["split"] == "train"
    >>> detector = ContrastiveSpectrumDetector(segment_length=16, max_epochs=2, random_state=0).fit(clips.data[train])
    >>> detector.classes_
    array(['fan/00', 'pump/00'], dtype='<U7')
    >>> detector.score_samples(clips.data[~train]).shape
    (40,)
    """

    def __init__(
        self,
        augmentation: Any = None,
        *,
        label_columns: Sequence[str] | None = ("machine_type", "section"),
        n_clusters: int | None = None,
        score_with: str = "embedding",
        scorer: Any = None,
        contrast: str = "supcon",
        temperature: float = 0.07,
        cross_domain: bool = True,
        ignore_same_domain: bool = True,
        contrastive_weight: float = 1.0,
        classification_weight: float = 0.0,
        margin: float = 0.5,
        scale: float = 30.0,
        encoder: str = "mobilefacenet",
        bottlenecks: Any = "2023",
        embedding_dim: int = 128,
        projector: str = "narrow",
        n_segments: int = 5,
        segment_length: int | None = 64,
        frontend: LogMelTransformer | None = None,
        max_epochs: int = 100,
        batch_size: int = 64,
        learning_rate: float = 1e-3,
        min_learning_rate: float | None = None,
        weight_decay: float = 0.01,
        averaging_decay: float | None = 0.999,
        sampling: str = "class_and_domain",
        validation_fraction: float = 0.0,
        patience: int | None = None,
        precision: str = "auto",
        memory_budget: float = 8e9,
        device: str = "auto",
        callbacks: Any = None,
        contamination: float | str = "auto",
        threshold: str = "quantile",
        random_state: Any = None,
        n_jobs: int | None = -1,
        verbose: int = 0,
    ) -> None:
        self.augmentation = augmentation
        self.label_columns = label_columns
        self.n_clusters = n_clusters
        self.score_with = score_with
        self.scorer = scorer
        self.contrast = contrast
        self.temperature = temperature
        self.cross_domain = cross_domain
        self.ignore_same_domain = ignore_same_domain
        self.contrastive_weight = contrastive_weight
        self.classification_weight = classification_weight
        self.margin = margin
        self.scale = scale
        self.encoder = encoder
        self.bottlenecks = bottlenecks
        self.embedding_dim = embedding_dim
        self.projector = projector
        self.n_segments = n_segments
        self.segment_length = segment_length
        self.frontend = frontend
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.min_learning_rate = min_learning_rate
        self.weight_decay = weight_decay
        self.averaging_decay = averaging_decay
        self.sampling = sampling
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.precision = precision
        self.memory_budget = memory_budget
        self.device = device
        self.callbacks = callbacks
        self.contamination = contamination
        self.threshold = threshold
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    def _fit(self, clips: Clips) -> None:
        options = self._checked_options()
        frontend = LogMelTransformer(n_fft=1024, norm=None, mel_scale="htk", short_clips="tile")
        fit = self._fit_of = NetworkFit.of(self, clips, ("log_mel",), frontend=frontend, sampling="shuffled")
        with closing(ClipStore(len(clips), self.memory_budget)) as store:
            classes = fit.classes(clips, store, across_domains=True)
            training = self._train(store, classes.label, clips.domains() == "target", options)
            self.has_both_domains_ = training.objective.has_both.numpy()  # type: ignore[operator]
            self._machine_of_class, self._score_with = classes.machine, self.score_with
            self.classes_, self.label_source_ = classes.names, "clusters" if classes.is_clustered else "columns"
            self._keep(training)
            self._learn_scores(store, fit.machines(clips), clips.domains(), training.held_out)

    def _train(self, store: ClipStore, label: np.ndarray, is_target: np.ndarray, options: ContrastOptions) -> Training:
        inputs, fit = self._fit_of.inputs, self._fit_of
        augmentation = SpectrumAugmentation() if self.augmentation is None else self.augmentation
        length = options.length(inputs.size[1])
        return train_contrastive_spectrum(
            store,
            label,
            is_target,
            augmenter=prepared(augmentation, fit.log_mels(store), label, inputs.frontend, length),  # type: ignore[arg-type]
            size=inputs.size,
            dtype=inputs.dtype,
            options=options,
            training=fit.training,
            seed=fit.seed,
        )

    def _keep(self, training: Training) -> None:
        self.network_: torch.nn.Module = training.objective.network  # type: ignore[assignment]
        self._evaluator = folded(self.network_)
        self._head: ArcFaceHead = training.objective.head  # type: ignore[assignment]
        self.history_, self._n_features_out = training.history, self.embedding_dim

    def _learn_scores(self, store: ClipStore, machines: np.ndarray, domains: np.ndarray, held_out: np.ndarray) -> None:
        """Fit the back ends, and score the clips that were held out, or all if none were."""
        embedding = self._embedding_of(store.clips())
        learnt = np.setdiff1d(np.arange(len(machines)), held_out)
        self.scorer_ = {}
        if self.score_with == "embedding":
            scorer = KMeansScorer() if self.scorer is None else self.scorer
            rows = embedding[learnt], machines[learnt], domains[learnt]
            self.scorer_ = fitted_back_ends(scorer, *rows, seed=self._fit_of.seed)
        judged = held_out if len(held_out) else learnt
        self._held_out = self._scored(embedding[judged], machines[judged])

    def _anomaly_score(self, clips: Clips) -> np.ndarray:
        fit = self._fit_of
        machines = np.full(len(clips), "") if self._score_with == "predicted" else fit.machines(clips)
        if (machines != "").any() or self._score_with == "label":
            refuse_unknown_machines(machines, set(self._machine_of_class), clips, fit.label_columns, "label_columns")
        return self._scored(self._embedding(clips), machines)

    def _held_out_score(self, clips: Clips) -> np.ndarray:
        return self._held_out

    def _scored(self, embedding: np.ndarray, machines: np.ndarray) -> np.ndarray:
        """Anomaly score (n_clips,) of embeddings."""
        if self._score_with == "embedding":
            return distance(self.scorer_, embedding, machines)
        with torch.inference_mode():
            logits = self._head.scale * self._head.cosine(torch.from_numpy(embedding)).double().numpy()
        surprise = _cross_entropies(logits)
        is_own = self._machine_of_class == machines[:, None]
        return np.where(is_own | (self._score_with == "predicted"), surprise, np.inf).min(axis=1)

    def _embedding(self, clips: Clips) -> np.ndarray:
        return self._embedding_of(self._fit_of.read(clips, "scoring"))

    def _embedding_of(self, inputs: Iterable[dict[str, np.ndarray] | None]) -> np.ndarray:
        batches = stacked_batches(inputs, self._fit_of.names, _CLIPS_PER_BATCH)
        return np.concatenate(list(evaluated(self._evaluator, batches, torch_device(self.device))))

    def _checked_options(self) -> ContrastOptions:
        check_option("score_with", self.score_with, _SCORE_WITH)
        check_augmentation(self.augmentation, n_views=2)
        if self.scorer is not None:
            check_scorer(self.scorer)
        options = ContrastOptions.of(self)
        if self.score_with != "embedding" and not options.classification_weight:
            raise ValueError(
                f"score_with={self.score_with!r} asks a classifier, and classification_weight=0 trains none; set it to 1."
            )
        return options


def _cross_entropies(logits: np.ndarray) -> np.ndarray:
    """Cross-entropy (n_clips, n_classes) of each class, exact however small it is.

    >>> _cross_entropies(np.array([[50.0, 0.0]])).round(3)
    array([[ 0., 50.]])
    >>> _cross_entropies(np.array([[50.0, 0.0]]))[0, 0] > 0
    np.True_
    """
    one_hot = np.eye(logits.shape[1], dtype=bool)
    return np.logaddexp(0, np.stack([log_odds(logits, is_own) for is_own in one_hot], axis=1))
