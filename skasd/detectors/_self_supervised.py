"""SelfSupervisedDetector: scores the embeddings of a classifier of spectra and spectrograms with sub-clusters."""

import warnings
from collections.abc import Iterable
from contextlib import closing
from typing import Any, ClassVar

import numpy as np

from skasd._parameters import check_option
from skasd._random import random_seed
from skasd.clips import MACHINE_COLUMNS, Clips, noted_feature
from skasd.clustering import ClipStatistics, StatisticalClusterer
from skasd.detectors._amount import TrainingAmount
from skasd.detectors._embedding import EmbeddingDetector, embeddings_of
from skasd.detectors._machine_scores import ClipOutputs, LearntClips, MachineScores
from skasd.features import LogMelTransformer
from skasd.features._frontend import frontend_of, osscl_frontend, twfr_frontend
from skasd.inputs._attribute_fit import AttributeFit, check_clusterer
from skasd.networks import folded
from skasd.objectives._network_options import DualBranchNetOptions
from skasd.objectives._self_supervised import SelfSupervisedOptions, train_self_supervised
from skasd.scoring import KMeansScorer, LocalDensityScorer, check_scorer
from skasd.training import ClipStore, TrainingOptions

_RESOLUTIONS = (256, 1024, 4096)  # window lengths, in samples
_REPORT_RATE, _NYQUIST = 19_200, 8_000.0  # Hz; the recordings of the challenge have nothing above 8 kHz
_AMOUNT = TrainingAmount(batch_size=64, max_epochs=16, least_steps=320)


class SelfSupervisedDetector(EmbeddingDetector):
    r"""Self-supervised classifier of spectra and spectrograms with sub-clusters.

    One branch of the network takes the spectrum of the whole clip, the others take its spectrograms; together they are
    trained to classify normal clips, with several centres per class [1]_. A class combines machine, domain and the attribute
    string of the clip table; machines without attributes have clusters of similar clips instead. A clip is anomalous if its
    embedding is far from those of normal clips of its machine. This is system 3 of [2]_. It needs waveforms.

    Parameters
    ----------
    head : {"sub_cluster_adacos", "adacos", "adaproj"}, default="sub_cluster_adacos"
        Classification loss.
    n_subclusters : int, default=16
        Number of centres per class; ``"adacos"`` has one.
    trainable_centers : bool, default=True
        Whether the centres are trained or keep their random initial values.
    dynamic_scale : bool, default=False
        Whether the scale of the logits is adapted in each batch, as published; with sub-clusters it saturates.
    mixup_probability : float, default=0.5
        Probability that a training clip is mixed with another clip, in [0, 1].
    feature_exchange : bool, default=False
        Whether half of the clips keep the embedding of the first branch and take those of the others from another clip; the
        results form additional classes.
    statistics_exchange : bool, default=False
        Whether the frames of half of the clips get the mean and the standard deviation over frequency of another clip; the
        results form additional classes. It takes a second forward pass.
    subspace_loss : bool, default=False
        Whether each branch has an additional loss of its own.
    label_text : {"off", "init", "align"}, default="off"
        Use of text embeddings of the class names: none, initialisation of the centres, or alignment with the embeddings
        during training.
    network : DualBranchNetOptions or None, default=None
        Branches of the network; see :class:`skasd.objectives.DualBranchNetOptions`.
    statistics : ClipStatistics or None, default=None
        Statistics by which clips are clustered; see :class:`skasd.clustering.ClipStatistics`. None uses its defaults.
    clusterer : StatisticalClusterer or None, default=None
        Clustering algorithm; None uses :class:`skasd.clustering.StatisticalClusterer` with its defaults.
    score_with : {"auto", "embedding"}, default="auto"
        Anomaly score. ``"embedding"``: distance of the embedding from those of normal clips of its machine, measured by the
        `scorer`, as published. ``"auto"`` has the statistics of :class:`StatisticsDetector` beside it, if at least 8 clips
        are held out, see :ref:`networks_statistics`. It can be changed after ``fit``.
    scorer : estimator or None, default=None
        Back end on the embeddings: one of :mod:`skasd.scoring`, or an outlier detector or density model of scikit-learn. One
        is fitted for each machine with at least two clips, and one to all clips for the others. None uses
        :class:`skasd.scoring.KMeansScorer`.
    frontend : LogMelTransformer, NoiseReducedLogMel, torch.nn.Module, callable or None, default=None
        Front end that computes the spectrograms for the statistics, see :ref:`features_frontend`; its `sample_rate`,
        `duration` and `short_clips` also determine how clips are read. None uses the front end of :class:`TWFRDetector` for
        the statistics.
    max_epochs : int or "auto", default="auto"
        Number of passes over the training clips. ``"auto"`` is the number that gives 320 training steps, and at least the 16
        of a published toolkit.
    batch_size : int or "auto", default="auto"
        Clips per training step. ``"auto"`` is an eighth of the training clips, at least 8 and at most the published 64, so
        that 60 clips are not trained in one step an epoch. The published setting is ``max_epochs=16, batch_size=64``.
    learning_rate : float, default=1e-3
        Initial learning rate of AdamW.
    training : TrainingOptions or None, default=None
        Rarely changed settings of the training: learning rate schedule, weight decay, exponential moving average (EMA) of
        the weights, validation set and early stopping, precision, memory, callbacks; see
        :class:`skasd.training.TrainingOptions`. The defaults here are a cosine schedule and weight decay 0.01, without EMA.
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
        Seeds the clusters, the weights, the batches and mixup. The global random generators stay untouched.
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
        Number, mean loss, learning rate and duration in seconds of each epoch.
    training_ : TrainingPlan
        All hyperparameters of the training.
    score_with_ : str
        Kind of score from which the threshold was computed.
    offset_ : float
        Threshold: ``decision_function = score_samples - offset_``.
    n_features_in_ : int
        Number of time points of a 2-D array.

    See Also
    --------
    StatClusterDetector : Systems 1 and 2 of the same report.
    stat_cluster_ensemble : System 4 of the report, the mean of the others.

    Notes
    -----
    The layers are those of [3]_. Attention over frequency, text of the classes and a sample rate of 19.2 kHz belong to
    system 3 of [2]_ and are off by default; :meth:`settings` has them. Batch normalisation has a warm-up, see `training`.
    Scoring never uses the attributes of a clip. All departures from the publications are listed in the :ref:`user guide
    <stat_cluster_departures>`.

    References
    ----------
    .. [1] K. Wilkinghoff, "Self-supervised learning for anomalous sound detection", ICASSP 2024. arXiv:2312.09578.
    .. [2] J. Tian et al., "Self-supervised anomalous sound detection with statistical clustering and contrastive learning",
           DCASE 2024 technical report, system 3.
    .. [3] T. Fujimura et al., "ASDKit: a toolkit for comprehensive evaluation of anomalous sound detection methods", 2025.
           arXiv:2507.10264.

    Examples
    --------
    >>> from skasd.datasets import make_machine_clips
    >>> from skasd.detectors import SelfSupervisedDetector
    >>> clips = make_machine_clips(("fan", "valve"), duration=1.0, random_state=0)
    >>> train = clips.data["split"] == "train"
    >>> detector = SelfSupervisedDetector(max_epochs=1, random_state=0).fit(clips.data[train])
    >>> detector.label_source_
    {'fan/00': 'attributes', 'valve/00': 'attributes'}
    >>> detector.score_samples(clips.data[~train]).shape
    (40,)
    """

    feature = None  # spectra of whole clips need waveforms
    _parameter_groups: ClassVar = {
        "network": DualBranchNetOptions,
        "statistics": ClipStatistics,
        "training": TrainingOptions,
    }
    _usual_training: ClassVar = {"ema_decay": None}
    _idle_training: ClassVar = ("channels_last",)

    _default_frontend = staticmethod(osscl_frontend)

    def __init__(
        self,
        head: str = "sub_cluster_adacos",
        *,
        n_subclusters: int = 16,
        trainable_centers: bool = True,
        dynamic_scale: bool = False,
        mixup_probability: float = 0.5,
        feature_exchange: bool = False,
        statistics_exchange: bool = False,
        subspace_loss: bool = False,
        label_text: str = "off",
        network: DualBranchNetOptions | None = None,
        statistics: ClipStatistics | None = None,
        clusterer: StatisticalClusterer | None = None,
        score_with: str = "auto",
        scorer: Any = None,
        frontend: Any = None,
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
        self.head = head
        self.n_subclusters = n_subclusters
        self.trainable_centers = trainable_centers
        self.dynamic_scale = dynamic_scale
        self.mixup_probability = mixup_probability
        self.feature_exchange = feature_exchange
        self.statistics_exchange = statistics_exchange
        self.subspace_loss = subspace_loss
        self.label_text = label_text
        self.network = network
        self.statistics = statistics
        self.clusterer = clusterer
        self.score_with = score_with
        self.scorer = scorer
        self.frontend = frontend
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

    @classmethod
    def settings(cls, name: str) -> dict[str, Any]:
        """Parameters of a publication.

        Parameters
        ----------
        name : {"report", "toolkit", "multi_resolution"}
            ``"report"`` has the parts of system 3 of the DCASE 2024 report that are off by default: attention over
            frequency, the names of the classes as text, and clips at 19.2 kHz. Files are resampled to that rate; arrays and
            waveforms in a table must have it. ``"toolkit"`` is the training of ASDKit: batches of 64 clips, 16 epochs, and a
            constant learning rate. ``"multi_resolution"`` has the spectrum of the whole clip beside spectrograms of three
            window lengths (256, 1024 and 4096 samples), and scores by the distance to the nearest normal clips relative to
            the density around them, :class:`skasd.scoring.LocalDensityScorer`, so that source and target domains share one
            scale; without statistics beside the network.

        Returns
        -------
        parameters : dict
            Arguments of the constructor.

        Examples
        --------
        >>> from skasd.detectors import SelfSupervisedDetector
        >>> detector = SelfSupervisedDetector(**SelfSupervisedDetector.settings("report"))
        >>> detector.network.frequency_attention, detector.label_text, detector.frontend.sample_rate
        ('token', 'align', 19200)
        """
        check_option("name", name, _SETTINGS)
        return _SETTINGS[name]()

    def _learn(self, clips: Clips) -> MachineScores:
        if (column := noted_feature(clips.table)) is not None:
            warnings.warn(
                f"The column {column!r} that the last transformer wrote is not used: SelfSupervisedDetector computes "
                "spectra of the waveforms.",
                stacklevel=4,
            )
        check_clusterer(self.clusterer)
        self._check_score_with()
        if self.scorer is not None:
            check_scorer(self.scorer)
        plan = self._plan(**_AMOUNT.chosen(self.batch_size, self.max_epochs, len(clips)))
        options, seed = SelfSupervisedOptions.of(self), random_seed(self.random_state)
        fit = self._attribute_fit = AttributeFit.learn(
            clips,
            ("waveform",),
            frontend_of(self.frontend, self._default_frontend()),
            statistics=self._group("statistics"),
            statistics_frontend=frontend_of(None, twfr_frontend()) if self.frontend is None else None,
            precision=plan.precision,
        )
        with closing(ClipStore(len(clips), plan.memory_budget)) as store:
            statistics = fit.filled(clips, store, n_jobs=self.n_jobs, verbose=self.verbose)
            labels = fit.labels(clips, statistics, clusters_for="missing", clusterer=self.clusterer, seed=seed)
            training = train_self_supervised(
                store,
                labels.label,
                labels.names.tolist(),
                sample_rate=fit.inputs.frontend.reader.sample_rate,
                dtype=fit.inputs.dtype,
                options=options,
                plan=plan,
                seed=seed,
            )
            self.network_ = training.objective.network
            self._evaluator = folded(self.network_)  # type: ignore[arg-type]
            self.classes_, self.labels_, self.label_source_ = labels.names, labels.label, labels.source
            self.history_, self.training_ = training.history, plan
            outputs = self._run(store.clips())
        return MachineScores(
            LearntClips(outputs, fit.machines(clips), clips.domains(), training.held_out, store.recordings),
            columns=MACHINE_COLUMNS,
            parameter=None,
            back_end=KMeansScorer() if self.scorer is None else self.scorer,
            seed=seed,
            auto="embedding",
        )

    def _outputs(self, clips: Clips) -> ClipOutputs:
        return self._run(self._attribute_fit.read(clips, n_jobs=self.n_jobs, verbose=self.verbose))

    def _run(self, inputs: Iterable[dict[str, np.ndarray] | None]) -> ClipOutputs:
        return ClipOutputs(embeddings_of(self._evaluator, inputs, self._attribute_fit.names, self.device))


def _of_report() -> dict[str, Any]:
    return {
        "network": DualBranchNetOptions(frequency_attention="token"),
        "label_text": "align",
        "frontend": LogMelTransformer(_REPORT_RATE, norm=None, mel_scale="htk", f_max=_NYQUIST),
    }


def _of_toolkit() -> dict[str, Any]:
    return {"batch_size": 64, "max_epochs": 16, "training": TrainingOptions(schedule="constant")}


def _of_multi_resolution() -> dict[str, Any]:
    return {
        "network": DualBranchNetOptions(n_ffts=_RESOLUTIONS),
        "scorer": LocalDensityScorer(),
        "score_with": "embedding",
    }


_SETTINGS = {"report": _of_report, "toolkit": _of_toolkit, "multi_resolution": _of_multi_resolution}
