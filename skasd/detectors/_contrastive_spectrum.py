"""ContrastiveSpectrumDetector: contrastive learning between views of a clip that differ most in the high bands."""

from collections.abc import Iterable, Sequence
from contextlib import closing
from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch

from skasd._parameter_group import refuse_idle
from skasd._random import random_seed
from skasd.augmentations import SpectrumAugmentation
from skasd.clips import Clips
from skasd.detectors._amount import TrainingAmount
from skasd.detectors._embedding import EmbeddingDetector, embeddings_of
from skasd.detectors._machine_scores import ClipOutputs, LearntClips, MachineScores
from skasd.features import LogMelTransformer
from skasd.features._frontend import frontend_of
from skasd.inputs._augmentation import check_augmentation, check_bands, prepared
from skasd.inputs._clip_classes import ClipClasses, check_class_parameters
from skasd.inputs._network_fit import NetworkFit, log_mels_of
from skasd.losses import ArcFaceHead
from skasd.networks import folded
from skasd.objectives._contrastive_spectrum import ContrastOptions, train_contrastive_spectrum
from skasd.objectives._network_options import SegmentNetOptions
from skasd.scoring import KMeansScorer, check_scorer
from skasd.scoring._log_odds import cross_entropies
from skasd.training import ClipStore, Training, TrainingOptions, TrainingPlan

_AMOUNT = TrainingAmount(batch_size=64, max_epochs=8, least_steps=128)


class ContrastiveSpectrumDetector(EmbeddingDetector):
    r"""Contrastive learning with spectrum augmentation.

    The augmentation makes two views of a segment of each normal clip, which differ most in their high bands. A network
    learns embeddings that are close for views of the same clip and for clips of the same class in different domains, and far
    apart for different classes [1]_; a clip is anomalous if its embedding is far from those of normal clips. Use it with
    several machines, sections or attributes, and under domain shift. Clips without labels are clustered first.

    The code of [1]_ is not public, and the paper leaves many details open, which are options here.

    Parameters
    ----------
    augmentation : SpectrumAugmentation or None, default=None
        Augmentation that makes the views, see :class:`skasd.augmentations.SpectrumAugmentation`; None uses its defaults.
    label_columns : sequence of str or None, default=("machine_type", "section")
        Columns of the clip table that define the class of a clip; the table may lack these two. None uses clusters.
    n_clusters : int or None, default=None
        Number of clusters of similar clips into which each machine is split, across domains; each becomes a class. None
        clusters, into at most 16, only if the label columns give fewer than two classes.
    score_with : {"auto", "embedding", "label", "predicted"}, default="auto"
        Anomaly score. ``"embedding"``: distance of the embedding from those of normal clips of the same machine (of all
        clips if the table names no machine), measured by the `scorer`. ``"label"``: how badly the clip fits the machine that
        the table names; ``"predicted"``: how badly it fits the machine that it fits best. The last two need a
        `classification_weight` above 0. ``"auto"`` is ``"embedding"`` with the statistics of :class:`StatisticsDetector`
        beside it, if at least 8 clips are held out, see :ref:`networks_statistics`. It can be changed after ``fit``.
    scorer : estimator or None, default=None
        Back end of the embedding: one of :mod:`skasd.scoring`, or an outlier detector or density model of
        scikit-learn. One is fitted for each machine with at least two clips, and one to all clips for the others. None uses
        :class:`skasd.scoring.KMeansScorer`: distance to the nearest k-means centre of the source clips or to the nearest
        target clip.
    contrast : {"supcon", "pairwise"}, default="supcon"
        Form of the contrastive loss: a softmax over all pairs, or squared errors of each pair.
    temperature : float, default=0.07
        Temperature :math:`\tau` of the softmax, dimensionless.
    same_domain : {"ignore", "push", "pull"}, default="ignore"
        Treatment of pairs of clips of one class in the same domain: they are ignored, pushed apart, or pulled together. A
        clip is always pulled to its other view and to its class in the other domain; in a class with a single domain, the
        two views count as two domains.
    contrastive_weight : float, default=1.0
        Weight of the contrastive loss; 0 leaves it out.
    classification_weight : float, default=0.0
        Weight of an additional classification loss with angular margin (ArcFace); 0 leaves it out.
    margin : float, default=0.5
        Additive angular margin of the classification, in radians, in [0, pi / 2].
    scale : float, default=30.0
        Factor that multiplies the cosines of the classification, dimensionless.
    network : SegmentNetOptions or None, default=None
        Encoder, and the segments that are its input; see :class:`skasd.objectives.SegmentNetOptions`.
    frontend : LogMelTransformer, NoiseReducedLogMel, torch.nn.Module, callable or None, default=None
        Front end that computes log-mels of waveforms and files, see :ref:`features_frontend`; if X contains features, it
        gives the frequencies of their bands. None uses 128 HTK bands without norm, window 1024 and hop 512 samples. Clips
        are cut or filled to its `duration`, or to the median length of the training clips if it has none.
    feature : str, default="auto"
        Column of a clip table that is read as the log-mel. ``"auto"`` is the one that the last transformer wrote, or else
        the only feature column.
    max_epochs : int or "auto", default="auto"
        Number of passes over the training clips; the paper does not state it. ``"auto"`` is the number that gives 128
        training steps, and at least 8.
    batch_size : int or "auto", default="auto"
        Clips per training step, each with two views. ``"auto"`` is an eighth of the training clips, at least 8 and at most
        64.
    learning_rate : float, default=1e-3
        Initial learning rate of AdamW.
    training : TrainingOptions or None, default=None
        Rarely changed settings of the training: learning rate schedule, weight decay, exponential moving average (EMA) of
        the weights, validation set and early stopping, precision, memory, callbacks; see
        :class:`skasd.training.TrainingOptions`. The defaults here are a cosine schedule, weight decay 0.01, an EMA decay of
        0.999 and ``sampling="class_and_domain"``.
    device : str, default="auto"
        Device on which the network runs: ``"cpu"``, a torch device such as ``"cuda"``, or ``"auto"`` for an accelerator
        (GPU) if there is one.
    contamination : float or "auto", default="auto"
        Accepted share of false alarms among new normal clips, in (0, 0.5]; ``"auto"`` is 10 %. It is set on the scores of
        clips that the network was not trained on, see `training`.
    threshold : {"quantile", "gamma"}, default="quantile"
        Whether the threshold is a quantile of scores, or the quantile of a gamma distribution fitted to the scores of
        held-out clips.
    random_state : int, RandomState instance or None, default=None
        Seeds the clusters, the weights, the batches and the views. The global random generators stay untouched.
    n_jobs : int or None, default=-1
        Number of threads that read clips and compute spectrograms; -1 uses all cores.
    verbose : int, default=0
        Shows progress bars if 1 or larger.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,), str
        Classes that the network was trained on: the label columns joined with "/", or names of clusters.
    label_source_ : {"columns", "clusters"}
        Origin of the classes. A cluster may contain clips of both domains.
    has_both_domains_ : ndarray of shape (n_classes,), bool
        Whether the clips of each class are pulled together across domains; in the other classes, the two views count as two
        domains.
    network_ : torch.nn.Module
        Network with averaged weights, on the CPU; it contains the normalisations.
    scorer_ : dict of str to BackEnd
        Fitted back ends by machine, and one for all clips (""); empty if fitted with ``score_with`` ``"label"`` or
        ``"predicted"``.
    history_ : list of dict
        Number, mean loss, learning rate and duration in seconds of each epoch.
    training_ : TrainingPlan
        All hyperparameters of the training.
    score_with_ : str
        Kind of score from which the threshold was computed.
    offset_ : float
        Threshold: ``decision_function = score_samples - offset_``.
    n_features_in_ : int
        Number of bands of features, or of time points of a 2-D array.

    See Also
    --------
    skasd.augmentations.SpectrumAugmentation : Makes the views.
    OSSCLDetector : Combines classification and a contrastive loss; takes the same augmentation.

    Notes
    -----
    With :math:`f` the encoder, :math:`g` the projector and :math:`\tilde x` the views,

    .. math:: L = w_c L_{\mathrm{contrast}}(g(f(\tilde x))) + w_a \mathrm{CE}(\ell(f(\tilde x)), y),

    see :func:`skasd.losses.cross_domain_loss`. The score of a clip does not depend on the clips that are scored with it,
    since both normalisations are frozen. The first is computed from all training clips, including the validation set.

    Known departures from the paper: the network is not pre-trained on other sounds; all segments have the same length; there
    is no random resize crop unless the augmentation sets it, since synthetic faults made from normal clips were detected
    better without it; batch normalisation has a warm-up, see `training`.

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
    >>> detector = ContrastiveSpectrumDetector(max_epochs=2, random_state=0)
    >>> detector = detector.set_params(network__segment_length=16)
    >>> detector.fit(clips.data[train]).classes_
    array(['fan/00', 'pump/00'], dtype='<U7')
    >>> detector.score_samples(clips.data[~train]).shape
    (40,)
    """

    _score_withs: ClassVar = ("auto", "embedding", "label", "predicted")
    _parameter_groups: ClassVar = {"network": SegmentNetOptions, "training": TrainingOptions}
    _usual_training: ClassVar = {"ema_decay": 0.999, "sampling": "class_and_domain"}
    _samplings: ClassVar = ("class_and_domain", "balanced", "shuffled")

    _default_frontend = staticmethod(
        partial(LogMelTransformer, n_fft=1024, norm=None, mel_scale="htk", short_clips="tile")
    )

    def __init__(
        self,
        augmentation: Any = None,
        *,
        label_columns: Sequence[str] | None = ("machine_type", "section"),
        n_clusters: int | None = None,
        score_with: str = "auto",
        scorer: Any = None,
        contrast: str = "supcon",
        temperature: float = 0.07,
        same_domain: str = "ignore",
        contrastive_weight: float = 1.0,
        classification_weight: float = 0.0,
        margin: float = 0.5,
        scale: float = 30.0,
        network: SegmentNetOptions | None = None,
        frontend: Any = None,
        feature: str = "auto",
        max_epochs: int | str = "auto",
        batch_size: int | str = "auto",
        learning_rate: float = 1e-3,
        training: TrainingOptions | None = None,
        device: str = "auto",
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
        self.same_domain = same_domain
        self.contrastive_weight = contrastive_weight
        self.classification_weight = classification_weight
        self.margin = margin
        self.scale = scale
        self.network = network
        self.frontend = frontend
        self.feature = feature
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.training = training
        self.device = device
        self.contamination = contamination
        self.threshold = threshold
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    def _learn(self, clips: Clips) -> MachineScores:
        options, seed = self._checked_options(), random_seed(self.random_state)
        plan = self._plan(**_AMOUNT.chosen(self.batch_size, self.max_epochs, len(clips)))
        frontend = frontend_of(self.frontend, self._default_frontend())
        check_bands(self._views(), frontend)
        fit = self._network_fit = NetworkFit.learn(
            clips,
            ("log_mel",),
            frontend,
            precision=plan.precision,
            label_columns=self.label_columns,
        )
        reading: dict[str, Any] = {
            "n_clusters": self.n_clusters,
            "seed": seed,
            "n_jobs": self.n_jobs,
            "verbose": self.verbose,
        }
        with closing(ClipStore(len(clips), plan.memory_budget)) as store:
            classes = fit.classes(clips, store, across_domains=True, **reading)
            training = self._train(store, classes.label, clips.domains() == "target", options, plan, seed)
            self._keep(training, classes, plan)
            outputs = self._run(store.clips())
        learnt = LearntClips(outputs, fit.machines(clips), clips.domains(), training.held_out, store.recordings)
        return MachineScores(
            learnt,
            columns=fit.label_columns,
            parameter="label_columns",
            back_end=(KMeansScorer() if self.scorer is None else self.scorer)
            if self.score_with in ("auto", "embedding")
            else None,
            seed=seed,
            auto="embedding",
            refit=dict.fromkeys(("label", "predicted"), " and classification_weight=1"),
        )

    def _train(
        self,
        store: ClipStore,
        label: np.ndarray,
        is_target: np.ndarray,
        options: ContrastOptions,
        plan: TrainingPlan,
        seed: int,
    ) -> Training:
        inputs = self._network_fit.inputs
        length = options.network.length(inputs.size[1])
        augmenter = prepared(self._views(), log_mels_of(store), label, inputs.frontend, length)
        return train_contrastive_spectrum(
            store,
            label,
            is_target,
            augmenter=augmenter,  # type: ignore[arg-type]
            size=inputs.size,
            dtype=inputs.dtype,
            options=options,
            plan=plan,
            seed=seed,
        )

    def _views(self) -> Any:
        """How views are made."""
        return SpectrumAugmentation() if self.augmentation is None else self.augmentation

    def _keep(self, training: Training, classes: ClipClasses, plan: TrainingPlan) -> None:
        self.network_: torch.nn.Module = training.objective.network  # type: ignore[assignment]
        self._evaluator = folded(self.network_)
        self._head: ArcFaceHead | None = training.objective.head if self.classification_weight else None  # type: ignore
        self.has_both_domains_ = training.objective.has_both.numpy()  # type: ignore[operator]
        self.classes_, self._machine_of_class = classes.names, classes.machine
        self.label_source_ = "clusters" if classes.is_clustered else "columns"
        self.history_, self.training_ = training.history, plan

    def _outputs(self, clips: Clips) -> ClipOutputs:
        return self._run(self._network_fit.read(clips, n_jobs=self.n_jobs, verbose=self.verbose))

    def _run(self, inputs: Iterable[dict[str, np.ndarray] | None]) -> ClipOutputs:
        embedding = embeddings_of(self._evaluator, inputs, self._network_fit.names, self.device)
        if self._head is None:
            return ClipOutputs(embedding)
        with torch.inference_mode():
            logits = self._head.scale * self._head.cosine(torch.from_numpy(embedding)).double().numpy()
        surprise = cross_entropies(logits)
        machines = np.unique(self._machine_of_class)
        of_machine = [surprise[:, self._machine_of_class == machine].min(axis=1) for machine in machines]
        return ClipOutputs(embedding, np.stack(of_machine, axis=1))

    def _checked_options(self) -> ContrastOptions:
        check_class_parameters(self.label_columns, self.n_clusters)
        self._check_score_with()
        check_augmentation(self.augmentation, n_views=2)
        if self.scorer is not None:
            check_scorer(self.scorer)
        if self.score_with in ("label", "predicted"):
            refuse_idle(self, ["scorer"], f"score_with={self.score_with!r}")
        options = ContrastOptions.of(self)
        if self.score_with in ("label", "predicted") and not options.classification_weight:
            raise ValueError(
                f"score_with={self.score_with!r} needs a classifier, but classification_weight=0 trains none; set it to 1."
            )
        return options
