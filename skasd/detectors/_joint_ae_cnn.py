"""JointAECNNDetector: a classifier of patches, coupled to an autoencoder of the same patches during training."""

from collections.abc import Iterable, Sequence
from contextlib import closing
from functools import partial
from typing import Any, ClassVar

import numpy as np

from skasd._device import torch_device
from skasd._parameter_group import refuse_idle
from skasd._parameters import check_integer, check_option
from skasd._random import random_seed
from skasd.clips import Clips, Recordings
from skasd.detectors._embedding import EmbeddingDetector
from skasd.detectors._machine_scores import ClipOutputs, LearntClips, MachineScores
from skasd.detectors._patch_outputs import outputs_of_clips
from skasd.features import LogMelTransformer
from skasd.features._frontend import frontend_of
from skasd.features._median_filter import check_window, filtered
from skasd.inputs._augmentation import check_augmentation, prepared
from skasd.inputs._clip_classes import ClipClasses, check_class_parameters, machine_names
from skasd.inputs._network_fit import refuse_one_clip
from skasd.inputs._network_inputs import network_dtype
from skasd.networks import folded
from skasd.objectives._joint_ae_cnn import JointOptions, PatchOptions, PatchOutputs, train_joint
from skasd.objectives._network_options import JointNetOptions
from skasd.scoring import KNNScorer, check_scorer
from skasd.scoring._log_odds import log_odds
from skasd.training import PatchStore, Training, TrainingOptions, TrainingPlan

_LEAST_CLIPS = 240  # seen in a training with max_epochs="auto"
_TOP_DB = 120.0
_FLOOR = float(np.finfo(np.float64).eps)  # lower limit of the power in the baselines


class JointAECNNDetector(EmbeddingDetector):
    r"""Classifier of sections, coupled to an autoencoder, on patches of a median-filtered log-mel.

    MobileNetV2 classifies patches of two seconds by section or machine; a dense autoencoder reconstructs the same patches; a
    contrastive loss pulls the representations of a patch in both networks together [1]_. A clip is anomalous if its patches
    do not look like the section that it is labelled with. With other settings the detector is the MobileNetV2 baseline of
    2021 and 2022 [2]_, see :meth:`settings`.

    Parameters
    ----------
    label_columns : sequence of str or None, default=("machine_type", "section")
        Columns of the clip table that define the class of a clip; the table may lack these two. None uses clusters.
    n_clusters : int or None, default=None
        Number of clusters of similar clips into which each machine and domain is split; each becomes a class. None
        clusters, into at most 16, only if the label columns give fewer than two classes.
    score_with : {"auto", "label", "predicted", "embedding", "reconstruction"}, default="auto"
        Anomaly score. ``"label"``: log-odds against the machine that the table names. ``"predicted"``: log-odds against the
        machine that the clip fits best. ``"embedding"``: distance of the mean features of its patches from those of normal
        clips of the same machine (of all clips if the table names no machine), measured by the `scorer`.
        ``"reconstruction"``: reconstruction error of the autoencoder. ``"auto"`` is the label if several machines were
        trained on and the table names the machine of each clip, else the embedding; in both cases with the statistics of
        :class:`StatisticsDetector` beside it, if at least 8 clips are held out, see :ref:`networks_statistics`. It can be
        changed after ``fit``.
    scorer : estimator or None, default=None
        Back end on the embedding: one of :mod:`skasd.scoring`, or an outlier detector or density model of scikit-learn. One
        is fitted for each machine with at least two clips, and one to all clips for the others. None uses
        :class:`skasd.scoring.KNNScorer`. With ``score_with="auto"`` it scores only clips whose machine the table does not
        name.
    median_filter : int or None, default=31
        Window of a running median over time that is applied to the spectrograms, in frames; odd. None applies no filter.
    patches : PatchOptions or None, default=None
        Length, step and augmentation of the patches; see :class:`skasd.objectives.PatchOptions`.
    network : JointNetOptions or None, default=None
        Classifier and autoencoder; see :class:`skasd.objectives.JointNetOptions`.
    reconstruction_weight : float, default=1.0
        Weight of the reconstruction error of the autoencoder in the loss.
    contrastive_weight : float, default=1.0
        Weight of the contrastive loss; 0 leaves it out.
    contrastive_form : {"symmetric", "one_way", "one_way_with_positive"}, default="symmetric"
        Form of the contrastive loss, see :func:`skasd.losses.two_view_loss`; ``"one_way"`` is Eq. (4) of [1]_.
    temperature : float, default=0.07
        Temperature :math:`\rho` of the contrastive loss, dimensionless.
    mixup_alpha : float or None, default=None
        Parameter of the Beta distribution from which mixing ratios of patches are drawn. None disables mixup.
    augmentation : SpectrumAugmentation or None, default=None
        Augmentation of the patches, before mixup and masking; see :class:`skasd.augmentations.SpectrumAugmentation`.
    frontend : LogMelTransformer, NoiseReducedLogMel, torch.nn.Module, callable or None, default=None
        Front end that computes spectrograms of waveforms and files, see :ref:`features_frontend`; features are used as they
        are. None uses the front end of [1]_: 128 HTK bands without norm, window 1024 and hop 512 samples, frames not
        centred, dynamic range 120 dB.
    feature : str, default="auto"
        Column of a clip table that is read as the spectrogram. ``"auto"`` is the one that the last transformer wrote, or
        else the only feature column.
    max_epochs : int or "auto", default="auto"
        Number of passes over the patches. ``"auto"`` is the number in which 240 clips are seen, and at least 1, as each clip
        has many patches; eight hundred clips of six seconds take about five minutes on two cores. The paper has 100, see
        :meth:`settings`.
    batch_size : int, default=32
        Patches per training step.
    learning_rate : float, default=1e-4
        Initial learning rate of Adam.
    training : TrainingOptions or None, default=None
        Rarely changed settings of the training: learning rate schedule, weight decay, exponential moving average (EMA) of
        the weights, validation set and early stopping, precision, memory, callbacks; see
        :class:`skasd.training.TrainingOptions`. The defaults here are a learning rate halved after 30, 60 and 90 epochs, no
        weight decay and no EMA.
    device : str, default="auto"
        Device on which the networks run: ``"cpu"``, a torch device such as ``"cuda"``, or ``"auto"`` for an accelerator
        (GPU) if there is one.
    contamination : float or "auto", default="auto"
        Accepted share of false alarms among new normal clips, in (0, 0.5]; ``"auto"`` is 10 %. It is set on the scores of
        clips that the network was not trained on, see `training`.
    threshold : {"quantile", "gamma"}, default="quantile"
        Whether the threshold is a quantile of scores, or the quantile of a gamma distribution fitted to the scores of
        held-out clips.
    random_state : int, RandomState instance or None, default=None
        Seeds the clusters, the weights, the order of the patches and the augmentation. The global random generators stay
        untouched.
    n_jobs : int or None, default=-1
        Number of threads that read clips and compute spectrograms; -1 uses all cores.
    verbose : int, default=0
        Shows progress bars if 1 or larger.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,), str
        Classes that the network was trained on: the label columns joined with "/", or names of clusters.
    label_source_ : {"columns", "clusters"}
        Origin of the classes.
    network_ : torch.nn.Module
        Both networks, on the CPU.
    scorer_ : dict of str to BackEnd
        Fitted back ends by machine, and one for all clips (""); empty unless fitted with ``score_with`` ``"auto"`` or
        ``"embedding"``.
    history_ : list of dict
        Number, mean loss, learning rate and duration in seconds of each epoch.
    training_ : TrainingPlan
        All hyperparameters of the training.
    score_with_ : str
        Kind of score from which the threshold was computed, with ``"auto"`` replaced.
    offset_ : float
        Threshold: ``decision_function = score_samples - offset_``.
    n_features_in_ : int
        Number of bands of features, or of time points of a 2-D array.

    See Also
    --------
    AutoencoderDetector : Only an autoencoder, as in the baselines.
    OSSCLDetector : A newer classifier of whole clips.
    skasd.features.MedianFilter : The filter as a step of a pipeline; use it with ``median_filter=None``.

    Notes
    -----
    With :math:`z` the logits of a patch and :math:`y` the labelled class of its clip, the clip is scored by the mean over
    patches of

    .. math:: A = \ln \frac{1 - p_y}{p_y} = \ln \sum_{k \ne y} e^{z_k} - z_y,

    computed from the logits, so that patches with a probability of nearly one still differ. If a machine has several
    classes (clusters), :math:`p_y` is the sum of their probabilities. The loss is the sum of the classification,
    reconstruction and contrastive losses, by default with equal weights.

    Departures from the paper and its code: one network is trained for all clips, so give the clips of one machine type to
    reproduce the paper; the median filter is applied to the clip, not to each patch; the inputs of the contrastive loss are
    normalised to unit length, since longer vectors would lower the loss; the output of the autoencoder is initialised with
    the mean frame; training and scoring use the same patches, unlike the code; the last epoch is kept, while the code keeps
    the epoch with the best test AUC; batch normalisation has a warm-up, see `training`. :meth:`settings` returns the choices
    of the paper and of the code.

    References
    ----------
    .. [1] X. Cai, H. Dinkel, Z. Yan, Y. Wang, J. Zhang, Z. Wu, Y. Wang, "A contrastive semi-supervised learning framework
           for anomaly sound detection", DCASE Workshop 2021.
    .. [2] Y. Kawaguchi et al., "Description and discussion on DCASE 2021 Challenge Task 2", DCASE Workshop 2021.
           arXiv:2106.04492.

    Examples
    --------
    >>> from skasd.datasets import make_machine_clips
    >>> from skasd.detectors import JointAECNNDetector
    >>> clips = make_machine_clips(("fan",), n_sections=2, duration=2.0, random_state=0)
    >>> train = clips.data["split"] == "train"
    >>> detector = JointAECNNDetector(max_epochs=1, random_state=0).set_params(network__width=0.1)
    >>> detector.fit(clips.data[train]).classes_
    array(['fan/00', 'fan/01'], dtype='<U6')
    >>> detector.score_samples(clips.data[~train]).shape
    (40,)
    """

    _score_withs: ClassVar = ("auto", "label", "predicted", "embedding", "reconstruction")
    _parameter_groups: ClassVar = {"patches": PatchOptions, "network": JointNetOptions, "training": TrainingOptions}
    _usual_training: ClassVar = {"schedule": "halved_epochs", "weight_decay": 0.0, "ema_decay": None}

    _default_frontend = staticmethod(
        partial(LogMelTransformer, norm=None, mel_scale="htk", center=False, top_db=_TOP_DB)
    )

    def __init__(
        self,
        label_columns: Sequence[str] | None = ("machine_type", "section"),
        *,
        n_clusters: int | None = None,
        score_with: str = "auto",
        scorer: Any = None,
        median_filter: int | None = 31,
        patches: PatchOptions | None = None,
        network: JointNetOptions | None = None,
        reconstruction_weight: float = 1.0,
        contrastive_weight: float = 1.0,
        contrastive_form: str = "symmetric",
        temperature: float = 0.07,
        mixup_alpha: float | None = None,
        augmentation: Any = None,
        frontend: Any = None,
        feature: str = "auto",
        max_epochs: int | str = "auto",
        batch_size: int = 32,
        learning_rate: float = 1e-4,
        training: TrainingOptions | None = None,
        device: str = "auto",
        contamination: float | str = "auto",
        threshold: str = "quantile",
        random_state: Any = None,
        n_jobs: int | None = -1,
        verbose: int = 0,
    ) -> None:
        self.label_columns = label_columns
        self.n_clusters = n_clusters
        self.score_with = score_with
        self.scorer = scorer
        self.median_filter = median_filter
        self.patches = patches
        self.network = network
        self.reconstruction_weight = reconstruction_weight
        self.contrastive_weight = contrastive_weight
        self.contrastive_form = contrastive_form
        self.temperature = temperature
        self.mixup_alpha = mixup_alpha
        self.augmentation = augmentation
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

    @classmethod
    def settings(cls, name: str) -> dict[str, Any]:
        """Parameters that reproduce a publication.

        Parameters
        ----------
        name : {"paper", "code", "baseline_2021"}
            Publication: the paper as written; its code; or the MobileNetV2 baseline of 2021 and 2022.

        Returns
        -------
        parameters : dict
            Arguments of the constructor.

        Examples
        --------
        >>> from skasd.detectors import JointAECNNDetector
        >>> JointAECNNDetector(**JointAECNNDetector.settings("code")).contrastive_weight
        0.0005
        """
        check_option("name", name, _SETTINGS)
        return _SETTINGS[name]()

    def _learn(self, clips: Clips) -> MachineScores:
        options, plan = self._checked_options(), self._plan(max_epochs=self._epochs(len(clips)))
        refuse_one_clip(clips)
        seed = random_seed(self.random_state)
        self._remember(options)
        machines, domains = machine_names(clips, self._label_columns), clips.domains()
        patches = {"length": options.patches.length, "step": options.patches.step}
        with closing(PatchStore(len(clips), plan.memory_budget, **patches)) as store:
            store.fill(self._spectrograms(clips))
            levels = np.array([spectrogram.mean(axis=1) for spectrogram in store.clips()], dtype=np.float64)
            store.recordings = Recordings.of(clips, levels, machines)
            classes = ClipClasses.of(machines, levels, self.n_clusters, domain=domains, seed=seed)
            _refuse_one_machine(self.score_with, classes)
            training = train_joint(
                store,
                classes.label,
                dtype=network_dtype(clips, plan.precision),
                options=options,
                plan=plan,
                seed=seed,
                augmenter=prepared(
                    self.augmentation, store.clips(), classes.label, self._frontend, self._length, len(store.start)
                ),
            )
            self._keep(training, classes, plan)
            outputs = self._run(store.clips(), len(clips))
        scorer = KNNScorer() if self.scorer is None else self.scorer
        return MachineScores(
            LearntClips(outputs, machines, domains, training.held_out, store.recordings),
            columns=self._label_columns,
            parameter="label_columns",
            back_end=scorer if self.score_with in ("auto", "embedding") else None,
            seed=seed,
            refit={
                **dict.fromkeys(("label", "predicted"), " to clips of several machines"),
                "reconstruction": " and network__autoencoder=True",
            },
        )

    def _epochs(self, n_clips: int) -> int:
        """Number of epochs for so many training clips."""
        if isinstance(self.max_epochs, str) and self.max_epochs == "auto":
            return max(1, -(-_LEAST_CLIPS // n_clips))
        check_integer("max_epochs", self.max_epochs, low=1, other="'auto'")
        return self.max_epochs

    def _remember(self, options: JointOptions) -> None:
        """Store what scoring needs, so that changing parameters after ``fit`` has no effect on it."""
        patches = options.patches
        self._label_columns = () if self.label_columns is None else tuple(self.label_columns)
        self._median, self._length = options.clip_median, patches.length
        self._step = patches.step if patches.score_step is None else patches.score_step
        self._frontend = frontend_of(self.frontend, self._default_frontend())

    def _keep(self, training: Training, classes: ClipClasses, plan: TrainingPlan) -> None:
        self.network_ = training.objective.network
        self._evaluator = folded(PatchOutputs(training.objective))  # type: ignore[arg-type]
        self.classes_, self._machine_of_class = classes.names, classes.machine
        self._machines = np.unique(classes.machine)
        self.label_source_ = "clusters" if classes.is_clustered else "columns"
        self.history_, self.training_ = training.history, plan
        self._has_autoencoder = self._group("network").autoencoder

    def _spectrograms(self, clips: Clips) -> Any:
        median = np.asarray if self._median is None else partial(filtered, size=self._median, axis="time")
        return self._frontend.map(clips, median, n_jobs=self.n_jobs, verbose=self.verbose)

    def _outputs(self, clips: Clips) -> ClipOutputs:
        return self._run(self._spectrograms(clips), len(clips))

    def _run(self, spectrograms: Iterable[np.ndarray | None], n_clips: int) -> ClipOutputs:
        made = outputs_of_clips(
            [self._evaluator],
            np.zeros(n_clips, dtype=int),
            spectrograms,
            length=self._length,
            step=self._step,
            device=torch_device(self.device),
        )
        own = [self._machine_of_class == machine for machine in self._machines]
        odds, embedding, error = (
            np.array(values) for values in zip(*(_of_clip(some, own) for some in made), strict=True)
        )
        return ClipOutputs(embedding, odds if len(own) > 1 else None, error if self._has_autoencoder else None)

    def _checked_options(self) -> JointOptions:
        check_class_parameters(self.label_columns, self.n_clusters)
        self._check_score_with()
        if self.scorer is not None:
            check_scorer(self.scorer)
        if self.score_with not in ("auto", "embedding"):
            refuse_idle(self, ["scorer"], f"score_with={self.score_with!r}")
        if self.median_filter is not None:
            check_window("median_filter", self.median_filter)
        check_augmentation(self.augmentation)
        options = JointOptions.of(self)
        if self.score_with == "reconstruction" and not options.network.autoencoder:
            raise ValueError("score_with='reconstruction' needs an autoencoder; set network__autoencoder=True.")
        return options


def _of_clip(output: np.ndarray, own: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray, float]:
    """Log-odds (M,) against each machine, embedding (D,) and error of a clip from the outputs of its patches.

    `own` has the mask of the classes of each machine; the logits of the classes come first in the outputs.
    """
    n_classes = len(own[0])
    logits, features, error = output[:, :n_classes].astype(np.float64), output[:, n_classes:-1], output[:, -1]
    odds = [log_odds(logits, of_machine).mean() for of_machine in own] if len(own) > 1 else [0.0]
    return np.array(odds), features.mean(axis=0), float(error.astype(np.float64).mean())


def _refuse_one_machine(score_with: str, classes: ClipClasses) -> None:
    if score_with in ("label", "predicted") and len(np.unique(classes.machine)) < 2:
        raise ValueError(
            f"score_with={score_with!r} needs clips of several machines to compare, but all clips are of "
            f"{str(classes.machine[0]) or 'one machine'!r}; give clips of others too, or use score_with='embedding'."
        )


def _of_paper() -> dict[str, Any]:
    return {"contrastive_form": "one_way", "network": JointNetOptions(normalise_projection=False), "max_epochs": 100}


def _of_code() -> dict[str, Any]:
    return {
        "contrastive_weight": 0.0005,
        "network": JointNetOptions(normalise_projection=False, normalise_features=True),
        "patches": PatchOptions(median_level="patch"),
        "max_epochs": 100,
        "learning_rate": 1e-5,
        "training": TrainingOptions(schedule="halved_steps"),
    }


def _of_baseline_2021() -> dict[str, Any]:
    return {
        "network": JointNetOptions(autoencoder=False, width=0.5, image_channels=3, pooling="mean", dropout=0.0),
        "median_filter": None,
        "patches": PatchOptions(score_step=1),
        "max_epochs": 20,
        "learning_rate": 1e-5,
        "training": TrainingOptions(schedule="constant"),
        "frontend": LogMelTransformer(amin=_FLOOR),
    }


_SETTINGS = {"paper": _of_paper, "code": _of_code, "baseline_2021": _of_baseline_2021}
