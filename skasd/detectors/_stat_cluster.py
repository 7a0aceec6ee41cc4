"""StatClusterDetector: where nobody wrote down how a machine ran, clips that sound alike are classes to tell apart."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

import numpy as np

from skasd._device import torch_device
from skasd._parameters import check_integer, check_option
from skasd._random import local_random_state
from skasd.clips import Clips
from skasd.clustering import StatisticalClusterer
from skasd.clustering._clip_statistics import ClipStatistics
from skasd.detectors._embedding import EmbeddingDetector
from skasd.detectors._machine_scorers import distance, fitted_back_ends
from skasd.detectors._machines import refuse_unknown_machines
from skasd.features import LogMelTransformer
from skasd.features._mel_cpu import log_mel
from skasd.features._twfr import or_published
from skasd.inputs._attribute_classes import Labels, attributes_of, labels_of
from skasd.inputs._augmentation import check_augmentation, prepared
from skasd.inputs._network_fit import refuse_one_clip, stacked_batches
from skasd.inputs._network_inputs import NetworkInputs, default_frontend, usable_branches
from skasd.networks import folded
from skasd.networks._osscl import BRANCH_INPUTS
from skasd.objectives._self_supervised import SpectrumOptions, train_spectrum
from skasd.objectives._stat_cluster import ClusterOptions, train_clusters
from skasd.scoring import KMeansScorer, check_scorer
from skasd.training import ClipStore, Training, TrainingOptions, evaluated

SYSTEMS = {
    "clusters": "all",
    "metadata": "none",
    "auto": "missing",
    "ssl": "missing",
}  # and which machines are clustered
_MACHINE_COLUMNS = ("machine_type", "section")
_CLIPS_PER_BATCH = 32
_EPOCHS, _EPOCHS_OF_SSL = 8, 16


class StatClusterDetector(EmbeddingDetector):
    r"""The systems of DCASE 2024 that learn from attributes, or from clusters where there are none.

    A network learns to tell the classes of normal clips apart: machine, domain, and the attribute string of the clip table;
    for machines without attributes, clusters of clips that sound alike on average [1]_. A clip is anomalous when its
    embedding is far from those of normal clips of its machine.

    Parameters
    ----------
    system : {"auto", "clusters", "metadata", "ssl"}, default="auto"
        ``"clusters"`` (system 1 of the report): clusters for all machines. ``"metadata"`` (system 2): attributes where there
        are any, else the domain. ``"auto"``: attributes where there are any, else clusters. These three train a network on
        spectrograms, by angle and with a contrast. ``"ssl"`` (system 3): classes as ``"auto"``, and a network on the
        spectrum of the whole clip and on its spectrogram, with sub-clusters [2]_; it needs waveforms.
    branches : sequence of str, default=("log_mel", "tgram")
        Images of the network, as in :class:`OSSCLDetector`. Not of ``"ssl"``.
    stat_r : sequence of float or "auto", default="auto"
        Decay values of the statistics that are clustered, see :class:`skasd.features.TWFRTransformer`. ``"auto"`` takes 1,
        0.9 and 0.5; of machines that act now and then, which :class:`TWFRDetector` tells by the skewness of their levels,
        0.5 alone.
    moments : sequence of {"std", "skewness", "kurtosis"}, default=()
        More statistics of each band.
    clusterer : StatisticalClusterer or None, default=None
        Makes the clusters; None takes one as it comes.
    contrast : {"supcon", "prototype", "two_stage", "off"}, default="supcon"
        Beside the classification: a contrast of clips of equal and other classes; or of clips with prototypes made of the
        statistics of the classes; or, in two stages, of clips alone first, for a third of `max_epochs` at five times the
        `learning_rate`, and then classification alone. Not of ``"ssl"``.
    contrastive_weight : float, default=0.1
        Weight :math:`w` of the contrast.
    temperature : float, default=0.1
        :math:`\tau` of the contrast, dimensionless.
    margin : float, default=0.7
        Additive angular margin, in radians, in [0, pi / 2]. Not of ``"ssl"``.
    scale : float, default=30.0
        Factor of the cosines, dimensionless. Not of ``"ssl"``, where it follows from the number of classes.
    bottlenecks : {"2023", "2021"} or sequence of tuple of int, default="2023"
        Stages of the network, as in :class:`OSSCLDetector`. Not of ``"ssl"``.
    embedding_dim : int, default=128
        Length of the embedding; of ``"ssl"``, that of each branch.
    n_ffts : sequence of int, default=(1024,)
        Windows of the spectrograms of ``"ssl"``, in samples. Several, such as (256, 1024, 4096), have a branch each.
    frequency_attention : {"off", "gate", "token"}, default="off"
        Of ``"ssl"``: whether bands are weighted by what all bands are like, or self-attention over bands makes a second
        image of the spectrogram. The other systems have it as a branch.
    head : {"sub_cluster_adacos", "adacos", "adaproj"}, default="sub_cluster_adacos"
        Loss of ``"ssl"``.
    n_subclusters : int, default=16
        Centres of each class of ``"ssl"``; ``"adacos"`` has one.
    trainable_centers : bool, default=True
        Whether these are learnt.
    dynamic_scale : bool, default=False
        Whether the scale of ``"ssl"`` follows the batches; for replication, since it saturates with sub-clusters. Not of
        ``"adaproj"``.
    mixup_probability : float, default=0.5
        Share of the clips of ``"ssl"`` that are mixed with another.
    feature_exchange : bool, default=False
        Whether half of the clips of ``"ssl"`` exchange the embedding of a branch, as classes of their own.
    statistics_exchange : bool, default=False
        Whether the frames of half of the clips of ``"ssl"`` get the mean and the spread over frequency of those of another
        clip, as classes of their own. It takes a second pass over the spectrograms.
    subspace_loss : bool, default=False
        Whether each branch of ``"ssl"`` has a loss of its own besides.
    label_text : {"off", "init", "align"}, default="off"
        Whether the spelling of the classes of ``"ssl"`` is where their centres begin, or is aligned with, in training only.
    scorer : estimator or None, default=None
        Back end, one for each machine of at least two clips, and one of all clips for the others: one of
        :mod:`skasd.scoring`, or an outlier detector or density model of scikit-learn. None takes
        :class:`skasd.scoring.KMeansScorer`.
    frontend : LogMelTransformer or None, default=None
        Makes the log-mels of waveforms, those of the statistics too. None takes that of :class:`OSSCLDetector` for the
        network, and for the statistics that of :class:`TWFRDetector`, whose frames are half as long: impulses smear less.
    augmentation : SpectrumAugmentation or None, default=None
        Of the log-mels, see :class:`skasd.augmentations.SpectrumAugmentation`. Not of ``"ssl"``.
    max_epochs : int or None, default=None
        Passes over the training clips; None takes 16 for ``"ssl"``, as a later toolkit has it, and 8 for the others, whose
        number is not published: a thousand clips of ten seconds then take less than ten minutes on two cores.
    batch_size : int, default=64
        Clips of a step.
    learning_rate : float, default=1e-3
        Of AdamW, at the beginning. The report has 1e-4, without telling for how long.
    min_learning_rate : float or None, default=None
        At the end of half a cosine; None takes a tenth of `learning_rate`.
    weight_decay : float, default=0.01
        Of AdamW.
    averaging_decay : float or None, default=None
        Share of the running average of the weights that is kept at each step; None takes the last weights.
    sampling : {"shuffled", "balanced"}, default="shuffled"
        Whether an epoch takes every clip once, or draws as many with equal chances for every class.
    validation_fraction : float, default=0.0
        Share of the clips of each class held out of the training, as in :class:`OSSCLDetector`.
    patience : int or None, default=None
        Epochs without a lower held-out loss after which the training stops.
    precision : {"auto", "float32", "bfloat16"}, default="auto"
        Of the training.
    memory_budget : float, default=8e9
        Bytes of training clips above which they go into a temporary file and are read from there.
    device : str, default="auto"
        ``"cpu"``; or a torch device such as ``"cuda"``; or ``"auto"``, an accelerator where there is one.
    callbacks : list of skorch callbacks or None, default=None
        Called during the training; of two stages, the second.
    contamination : float or "auto", default="auto"
        Share of training clips below the threshold, in (0, 0.5]; ``"auto"`` is one in ten.
    threshold : {"quantile", "gamma"}, default="quantile"
        Whether the threshold is a quantile of scores, or that of a gamma distribution fitted to those of held-out clips.
    random_state : int, RandomState instance or None, default=None
        Seeds clusters, weights, batches and mixing; global generators stay untouched.
    n_jobs : int or None, default=-1
        Threads that read clips; -1 takes all cores.
    verbose : int, default=0
        Shows progress bars from 1 on.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,), str
        Classes that the network learnt, such as ``"valve/00 | source | pat_01"``.
    labels_ : ndarray of shape (n_clips,), int64
        Class of each training clip.
    label_source_ : dict of str to {"attributes", "clusters", "domain"}
        Where the classes of each machine come from.
    network_ : torch.nn.Module
        The network, on the CPU.
    scorer_ : dict of str to BackEnd
        Fitted back ends by machine, and one for all clips ("").
    history_ : list of dict
        Epoch, mean loss, learning rate and seconds of each epoch; of two stages, the second.
    offset_ : float
        Threshold: ``decision_function = score_samples - offset_``.
    n_features_in_ : int
        Bands of features, or time points of a 2-D array.

    See Also
    --------
    skasd.clustering.StatisticalClusterer : The clusters alone.
    EnsembleDetector : System 4 of the report, the mean of the others.
    OSSCLDetector : Learns the machines, not their states.

    Notes
    -----
    The report gives neither statistics, clusters, networks, losses nor epochs of its systems; what it leaves open is filled
    in from the systems that it builds on: log-mel and Tgram as in STgram-MFN, two stages as in CLP-SCF, and the classifier
    of [2]_ in the sizes of a later toolkit. Attributes of clips that are scored are never looked at.

    Departures: clips of ``"ssl"`` are cut and filled to the median length, not to 12 s; the kernels over the spectrum are
    halved where clips are shorter than 4.4 s. No language model: labels are text by their letters.

    References
    ----------
    .. [1] J. Tian et al., "Self-supervised anomalous sound detection with statistical clustering and contrastive learning",
           DCASE 2024 technical report.
    .. [2] K. Wilkinghoff, "Self-supervised learning for anomalous sound detection", ICASSP 2024. arXiv:2312.09578.

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

    def __init__(
        self,
        system: str = "auto",
        *,
        branches: Sequence[str] = ("log_mel", "tgram"),
        stat_r: Sequence[float] | str = "auto",
        moments: Sequence[str] = (),
        clusterer: StatisticalClusterer | None = None,
        contrast: str = "supcon",
        contrastive_weight: float = 0.1,
        temperature: float = 0.1,
        margin: float = 0.7,
        scale: float = 30.0,
        bottlenecks: Any = "2023",
        embedding_dim: int = 128,
        n_ffts: Sequence[int] = (1024,),
        frequency_attention: str = "off",
        head: str = "sub_cluster_adacos",
        n_subclusters: int = 16,
        trainable_centers: bool = True,
        dynamic_scale: bool = False,
        mixup_probability: float = 0.5,
        feature_exchange: bool = False,
        statistics_exchange: bool = False,
        subspace_loss: bool = False,
        label_text: str = "off",
        scorer: Any = None,
        frontend: LogMelTransformer | None = None,
        augmentation: Any = None,
        max_epochs: int | None = None,
        batch_size: int = 64,
        learning_rate: float = 1e-3,
        min_learning_rate: float | None = None,
        weight_decay: float = 0.01,
        averaging_decay: float | None = None,
        sampling: str = "shuffled",
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
        self.system = system
        self.branches = branches
        self.stat_r = stat_r
        self.moments = moments
        self.clusterer = clusterer
        self.contrast = contrast
        self.contrastive_weight = contrastive_weight
        self.temperature = temperature
        self.margin = margin
        self.scale = scale
        self.bottlenecks = bottlenecks
        self.embedding_dim = embedding_dim
        self.n_ffts = n_ffts
        self.frequency_attention = frequency_attention
        self.head = head
        self.n_subclusters = n_subclusters
        self.trainable_centers = trainable_centers
        self.dynamic_scale = dynamic_scale
        self.mixup_probability = mixup_probability
        self.feature_exchange = feature_exchange
        self.statistics_exchange = statistics_exchange
        self.subspace_loss = subspace_loss
        self.label_text = label_text
        self.scorer = scorer
        self.frontend = frontend
        self.augmentation = augmentation
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
        self._check_parameters()
        refuse_one_clip(clips)
        self._seed = local_random_state(self.random_state).randint(2**31 - 1)
        self._learn_inputs(clips)
        machines, domains = clips.group_names(_MACHINE_COLUMNS, _MACHINE_COLUMNS), clips.domains()
        with closing(ClipStore(len(clips), self.memory_budget)) as store:
            rows: list[np.ndarray] = []
            store.fill(self._with_statistics(clips, rows))
            statistics = self._statistics.of_machines(np.array(rows), machines)
            labels = self._labels(machines, domains, attributes_of(clips), statistics)
            _warn_of_one_class(labels)
            training = self._train(store, labels, statistics)
            self._keep(training, labels)
            embedding = self._embedding_of(store.clips())
        scorer = KMeansScorer() if self.scorer is None else self.scorer
        learnt = np.setdiff1d(np.arange(len(clips)), training.held_out)
        self.scorer_ = fitted_back_ends(scorer, embedding[learnt], machines[learnt], domains[learnt], seed=self._seed)
        judged = training.held_out if len(training.held_out) else learnt
        self._held_out = distance(self.scorer_, embedding[judged], machines[judged])

    def _learn_inputs(self, clips: Clips) -> None:
        """Which inputs the network has, and how long they are."""
        if self.system == "ssl":
            self._names: tuple[str, ...] = ("waveform",)
            if len(usable_branches(("tgram", "log_mel"), clips)) < 2:
                raise ValueError('system="ssl" sees spectra of whole clips; give waveforms or paths, not features.')
        else:
            self._branches = usable_branches(self.branches, clips)
            self._names = tuple(dict.fromkeys(BRANCH_INPUTS[branch] for branch in self._branches))
        own = self.frontend is not None or clips.kind == "feature"
        self._statistics_of = None if own else or_published(None)._definition()
        names = tuple(dict.fromkeys((*self._names, "log_mel" if own else "waveform")))
        self._inputs = NetworkInputs.learn(clips, names, default_frontend(self.frontend), self.precision)
        self._n_jobs, self._verbose = self.n_jobs, self.verbose

    def _with_statistics(self, clips: Clips, rows: list[np.ndarray]) -> Iterator[dict[str, np.ndarray] | None]:
        """Inputs of the network, while the statistics of each clip are added to a list."""
        for clip in self._read(clips, "reading"):
            if clip is None:
                yield None
                continue
            definition = self._statistics_of
            spectrogram = clip["log_mel"] if definition is None else log_mel(clip["waveform"], definition)
            rows.append(self._statistics.of_clip(spectrogram))
            yield {name: clip[name] for name in self._names}

    def _read(self, clips: Clips, title: str) -> Iterator[dict[str, np.ndarray] | None]:
        return self._inputs.of(clips, n_jobs=self._n_jobs, verbose=self._verbose, title=title)

    def _labels(
        self, machines: np.ndarray, domains: np.ndarray, attributes: np.ndarray, statistics: np.ndarray
    ) -> Labels:
        return labels_of(
            machines,
            domains,
            attributes,
            statistics,
            clusters_for=SYSTEMS[self.system],
            clusterer=StatisticalClusterer() if self.clusterer is None else self.clusterer,
            seed=self._seed,
        )

    def _train(self, store: ClipStore, labels: Labels, statistics: np.ndarray) -> Training:
        shared: dict[str, Any] = {
            "dtype": self._inputs.dtype,
            "training": self._training_options(),
            "seed": self._seed,
        }
        if self.system == "ssl":
            sample_rate = self._inputs.frontend.sample_rate
            options = _options(SpectrumOptions, self)
            return train_spectrum(
                store, labels.label, labels.names.tolist(), sample_rate=sample_rate, options=options, **shared
            )
        return train_clusters(
            store,
            labels.label,
            statistics,
            branches=self._branches,
            size=self._inputs.size,
            hop_length=self._inputs.frontend.hop_length,
            options=_options(ClusterOptions, self),
            augmenter=self._augmenter(store, labels),
            **shared,
        )

    def _augmenter(self, store: ClipStore, labels: Labels) -> Any:
        log_mels = (clip["log_mel"] for clip in store.clips())
        return prepared(self.augmentation, log_mels, labels.label, self._inputs.frontend)

    def _training_options(self) -> TrainingOptions:
        usual = _EPOCHS_OF_SSL if self.system == "ssl" else _EPOCHS
        return TrainingOptions.of(self, max_epochs=usual if self.max_epochs is None else self.max_epochs)

    def _keep(self, training: Training, labels: Labels) -> None:
        self.network_ = training.objective.network
        self._evaluator = folded(self.network_)  # type: ignore[arg-type]
        self.classes_, self.labels_, self.label_source_ = labels.names, labels.label, labels.source
        self.history_ = training.history

    def _anomaly_score(self, clips: Clips) -> np.ndarray:
        machines = clips.group_names(_MACHINE_COLUMNS, _MACHINE_COLUMNS)
        if (machines != "").any():
            refuse_unknown_machines(machines, self.label_source_, clips, _MACHINE_COLUMNS, None)
        return distance(self.scorer_, self._embedding(clips), machines)

    def _held_out_score(self, clips: Clips) -> np.ndarray:
        return self._held_out

    def _embedding(self, clips: Clips) -> np.ndarray:
        return self._embedding_of(self._read(clips, "scoring"))

    def _embedding_of(self, inputs: Any) -> np.ndarray:
        batches = stacked_batches(inputs, self._names, _CLIPS_PER_BATCH)
        embedding = np.concatenate(list(evaluated(self._evaluator, batches, torch_device(self.device))))
        self._n_features_out = embedding.shape[1]
        return embedding

    def _check_parameters(self) -> None:
        check_option("system", self.system, SYSTEMS)
        self._statistics = ClipStatistics.checked(self.stat_r, self.moments)
        _options(SpectrumOptions, self)
        _options(ClusterOptions, self)
        self._training_options()
        self._check_augmentation()
        if self.clusterer is not None and not isinstance(self.clusterer, StatisticalClusterer):
            what = type(self.clusterer).__name__
            raise TypeError(f"clusterer={self.clusterer!r} is a {what}; a StatisticalClusterer or None is expected.")
        if self.scorer is not None:
            check_scorer(self.scorer)
        if self.n_jobs is not None:
            check_integer("n_jobs", self.n_jobs, low=-np.inf, other="None")

    def _check_augmentation(self) -> None:
        check_augmentation(self.augmentation)
        if self.augmentation is not None and (
            self.system == "ssl" or "log_mel" not in {BRANCH_INPUTS[name] for name in self.branches}
        ):
            raise ValueError(
                "augmentation changes log-mels, and the network sees none; give a branch that does, or None."
            )


def _warn_of_one_class(labels: Labels) -> None:
    if len(labels.names) == 1 and set(labels.source.values()) == {"domain"}:
        warnings.warn(
            f"All clips are of one class, {str(labels.names[0])!r}, and there is nothing to tell apart: no attributes, and "
            "one domain of one machine. system='auto' makes clusters.",
            stacklevel=4,
        )


def _options(kind: Any, estimator: Any) -> Any:
    """Options from the parameters of an estimator, checked."""
    given = vars(estimator)
    options = kind(**{name: given[name] for name in kind.__dataclass_fields__})
    options.check()
    return options
