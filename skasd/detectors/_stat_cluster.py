"""StatClusterDetector: a classifier of attributes, or of clusters of similar clips for machines without attributes."""

import warnings
from collections.abc import Iterable, Sequence
from contextlib import closing
from typing import Any, ClassVar

import numpy as np

from skasd._parameter_group import refuse_idle
from skasd._parameters import check_option
from skasd._random import random_seed
from skasd.clips import MACHINE_COLUMNS, Clips
from skasd.clustering import ClipStatistics, StatisticalClusterer
from skasd.detectors._amount import TrainingAmount
from skasd.detectors._embedding import EmbeddingDetector, embeddings_of
from skasd.detectors._machine_scores import ClipOutputs, LearntClips, MachineScores
from skasd.features._frontend import frontend_of, osscl_frontend, twfr_frontend
from skasd.inputs._attribute_classes import Labels
from skasd.inputs._attribute_fit import AttributeFit, check_clusterer
from skasd.inputs._augmentation import check_augmentation, prepared
from skasd.inputs._network_fit import log_mels_of
from skasd.inputs._network_inputs import branch_inputs, usable_branches
from skasd.networks import folded
from skasd.objectives._network_options import MobileFaceNetOptions
from skasd.objectives._stat_cluster import ClusterOptions, train_clusters
from skasd.scoring import KMeansScorer, check_scorer
from skasd.training import ClipStore, Training, TrainingOptions, TrainingPlan

_AMOUNT = TrainingAmount(batch_size=64, max_epochs=8, least_steps=128)
SYSTEMS = {"clusters": "all", "metadata": "none", "auto": "missing"}  # and which machines are clustered


class StatClusterDetector(EmbeddingDetector):
    r"""Systems 1 and 2 of a DCASE 2024 report: a classifier of attributes, or of clusters if there are no attributes.

    A network is trained to classify normal clips. A class combines machine, domain and the attribute string of the clip
    table; machines without attributes have clusters of similar clips instead [1]_. A clip is anomalous if its embedding is
    far from those of normal clips of its machine. System 3 of the report is :class:`SelfSupervisedDetector`, system 4 is
    the ensemble of all, :func:`stat_cluster_ensemble`.

    Parameters
    ----------
    system : {"auto", "clusters", "metadata"}, default="auto"
        Origin of the classes. ``"clusters"`` (system 1): clusters for all machines. ``"metadata"`` (system 2): attributes,
        or only the domain for machines without any. ``"auto"``: attributes, or clusters for machines without any.
    branches : sequence of str, default=("log_mel", "tgram")
        Input images of the network, as in :class:`OSSCLDetector`.
    statistics : ClipStatistics or None, default=None
        Statistics by which clips are clustered; see :class:`skasd.clustering.ClipStatistics`. None uses its defaults.
    clusterer : StatisticalClusterer or None, default=None
        Clustering algorithm; None uses :class:`skasd.clustering.StatisticalClusterer` with its defaults.
    contrast : {"supcon", "prototype", "two_stage", "off"}, default="supcon"
        Contrastive loss in addition to the classification: between clips (supervised contrastive loss); between clips and
        prototypes computed from the statistics of the classes; in a first stage of its own, for a third of `max_epochs` at
        five times the `learning_rate`, followed by `max_epochs` of classification; or none.
    contrastive_weight : float, default=0.1
        Weight :math:`w` of the contrastive loss for ``"supcon"`` and ``"prototype"``.
    temperature : float, default=0.1
        Temperature :math:`\tau` of the contrastive loss, dimensionless.
    margin : float, default=0.7
        Additive angular margin, in radians, in [0, pi / 2].
    network : MobileFaceNetOptions or None, default=None
        Network and class centres; see :class:`skasd.objectives.MobileFaceNetOptions`.
    score_with : {"auto", "embedding"}, default="auto"
        Anomaly score. ``"embedding"``: distance of the embedding from those of normal clips of its machine, measured by the
        `scorer`, as published. ``"auto"`` has the statistics of :class:`StatisticsDetector` beside it, if at least 8 clips
        are held out, see :ref:`networks_statistics`. It can be changed after ``fit``.
    scorer : estimator or None, default=None
        Back end on the embeddings: one of :mod:`skasd.scoring`, or an outlier detector or density model of scikit-learn. One
        is fitted for each machine with at least two clips, and one to all clips for the others. None uses
        :class:`skasd.scoring.KMeansScorer`.
    frontend : LogMelTransformer, NoiseReducedLogMel, torch.nn.Module, callable or None, default=None
        Front end that computes log-mels of waveforms and files, for the network and the statistics, see
        :ref:`features_frontend`. None uses the front end of :class:`OSSCLDetector` for the network, and that of
        :class:`TWFRDetector`, whose frames are half as long and blur impulses less, for the statistics.
    feature : str, default="auto"
        Column of a clip table that is read as the log-mel. ``"auto"`` is the one that the last transformer wrote, or else
        the only feature column.
    augmentation : SpectrumAugmentation or None, default=None
        Augmentation of the log-mels; see :class:`skasd.augmentations.SpectrumAugmentation`.
    max_epochs : int or "auto", default="auto"
        Number of passes over the training clips. ``"auto"`` is the number that gives 128 training steps, and at least 8. The
        report does not state it; with 8, a thousand clips of ten seconds take less than ten minutes on two cores.
    batch_size : int or "auto", default="auto"
        Clips per training step. ``"auto"`` is an eighth of the training clips, at least 8 and at most 64, so that 60 clips
        are not trained in one step an epoch.
    learning_rate : float, default=1e-3
        Initial learning rate of AdamW. The report uses 1e-4, for an unknown number of epochs.
    training : TrainingOptions or None, default=None
        Rarely changed settings of the training: learning rate schedule, weight decay, exponential moving average (EMA) of
        the weights, validation set and early stopping, precision, memory, callbacks; see
        :class:`skasd.training.TrainingOptions`. The defaults here are a cosine schedule and weight decay 0.01, without EMA.
        With ``contrast="two_stage"``, callbacks are called only in the second stage.
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
        Seeds the clusters, the weights and the batches. The global random generators stay untouched.
    n_jobs : int or None, default=-1
        Number of threads that read clips and compute spectrograms; -1 uses all cores.
    verbose : int, default=0
        Shows progress bars if 1 or larger.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,), str
        Classes that the network was trained on, such as ``"valve/00 | source | pat_01"``.
    labels_ : ndarray of shape (n_clips,), int64
        Class of each training clip.
    label_source_ : dict of str to {"attributes", "clusters", "domain"}
        Origin of the classes of each machine.
    network_ : torch.nn.Module
        The network, on the CPU.
    scorer_ : dict of str to BackEnd
        Fitted back ends by machine, and one for all clips ("").
    history_ : list of dict
        Number, mean loss, learning rate and duration in seconds of each epoch; with two stages, only of the second.
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
    skasd.clustering.StatisticalClusterer : Only the clustering.
    SelfSupervisedDetector : System 3 of the report.
    stat_cluster_ensemble : System 4 of the report, the mean of the others.
    OSSCLDetector : Classifies machines, not their operating states.

    Notes
    -----
    The report does not specify the statistics, clustering, networks, losses and epochs of its systems. Here they follow the
    systems that it builds on: log-mel and Tgram as in STgram-MFN, two stages as in CLP-SCF. Scoring never uses the
    attributes of a clip.

    References
    ----------
    .. [1] J. Tian et al., "Self-supervised anomalous sound detection with statistical clustering and contrastive learning",
           DCASE 2024 technical report.

    Examples
    --------
    >>> from skasd.datasets import make_machine_clips
    >>> from skasd.detectors import StatClusterDetector
    >>> clips = make_machine_clips(("fan", "valve"), duration=1.0, random_state=0)
    >>> train = clips.data["split"] == "train"
    >>> detector = StatClusterDetector("metadata", branches=("log_mel",), max_epochs=1, random_state=0)
    >>> detector.fit(clips.data[train]).label_source_
    {'fan/00': 'attributes', 'valve/00': 'attributes'}
    >>> detector.score_samples(clips.data[~train]).shape
    (40,)
    """

    _parameter_groups: ClassVar = {
        "statistics": ClipStatistics,
        "network": MobileFaceNetOptions,
        "training": TrainingOptions,
    }
    _usual_training: ClassVar = {"ema_decay": None}

    _default_frontend = staticmethod(osscl_frontend)

    def __init__(
        self,
        system: str = "auto",
        *,
        branches: Sequence[str] = ("log_mel", "tgram"),
        statistics: ClipStatistics | None = None,
        clusterer: StatisticalClusterer | None = None,
        contrast: str = "supcon",
        contrastive_weight: float = 0.1,
        temperature: float = 0.1,
        margin: float = 0.7,
        network: MobileFaceNetOptions | None = None,
        score_with: str = "auto",
        scorer: Any = None,
        frontend: Any = None,
        feature: str = "auto",
        augmentation: Any = None,
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
        self.system = system
        self.branches = branches
        self.statistics = statistics
        self.clusterer = clusterer
        self.contrast = contrast
        self.contrastive_weight = contrastive_weight
        self.temperature = temperature
        self.margin = margin
        self.network = network
        self.score_with = score_with
        self.scorer = scorer
        self.frontend = frontend
        self.feature = feature
        self.augmentation = augmentation
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
        options = self._checked_options()
        plan = self._plan(**_AMOUNT.chosen(self.batch_size, self.max_epochs, len(clips)))
        seed = random_seed(self.random_state)
        branches = usable_branches(self.branches, clips)
        fit = self._attribute_fit = AttributeFit.learn(
            clips,
            branch_inputs(branches),
            frontend_of(self.frontend, self._default_frontend()),
            statistics=self._group("statistics"),
            statistics_frontend=frontend_of(None, twfr_frontend()) if self.frontend is None else None,
            precision=plan.precision,
        )
        with closing(ClipStore(len(clips), plan.memory_budget)) as store:
            statistics = fit.filled(clips, store, n_jobs=self.n_jobs, verbose=self.verbose)
            labels = fit.labels(
                clips, statistics, clusters_for=SYSTEMS[self.system], clusterer=self.clusterer, seed=seed
            )
            _warn_of_one_class(labels)
            training = train_clusters(
                store,
                labels.label,
                statistics,
                branches=branches,
                size=fit.inputs.size,
                hop_length=fit.inputs.hop_length,
                dtype=fit.inputs.dtype,
                options=options,
                plan=plan,
                seed=seed,
                augmenter=prepared(self.augmentation, log_mels_of(store), labels.label, fit.inputs.frontend),
            )
            self._keep(training, labels, plan)
            outputs = self._run(store.clips())
        return MachineScores(
            LearntClips(outputs, fit.machines(clips), clips.domains(), training.held_out, store.recordings),
            columns=MACHINE_COLUMNS,
            parameter=None,
            back_end=KMeansScorer() if self.scorer is None else self.scorer,
            seed=seed,
            auto="embedding",
        )

    def _keep(self, training: Training, labels: Labels, plan: TrainingPlan) -> None:
        self.network_ = training.objective.network
        self._evaluator = folded(self.network_)  # type: ignore[arg-type]
        self.classes_, self.labels_, self.label_source_ = labels.names, labels.label, labels.source
        self.history_, self.training_ = training.history, plan

    def _outputs(self, clips: Clips) -> ClipOutputs:
        return self._run(self._attribute_fit.read(clips, n_jobs=self.n_jobs, verbose=self.verbose))

    def _run(self, inputs: Iterable[dict[str, np.ndarray] | None]) -> ClipOutputs:
        return ClipOutputs(embeddings_of(self._evaluator, inputs, self._attribute_fit.names, self.device))

    def _checked_options(self) -> ClusterOptions:
        check_option("system", self.system, SYSTEMS)
        self._check_score_with()
        check_clusterer(self.clusterer)
        if self.system == "metadata":
            idle = ["clusterer"] if self.contrast == "prototype" else ["clusterer", "statistics"]
            refuse_idle(self, idle, "system='metadata'")
        if self.scorer is not None:
            check_scorer(self.scorer)
        check_augmentation(self.augmentation)
        if self.augmentation is not None and "log_mel" not in branch_inputs(self.branches):
            raise ValueError(f"augmentation acts on log-mels, but branches={self.branches!r} have none; add 'log_mel'.")
        return ClusterOptions.of(self)


def _warn_of_one_class(labels: Labels) -> None:
    if len(labels.names) == 1 and set(labels.source.values()) == {"domain"}:
        warnings.warn(
            f"All clips are of one class, {str(labels.names[0])!r}, so there is nothing to classify: they have no "
            "attributes, and are of one machine and domain. Use system='auto', which clusters them.",
            stacklevel=5,
        )
