"""OSSCLDetector: a classifier of machines; a clip that does not look like its own machine is anomalous."""

from collections.abc import Iterable, Sequence
from contextlib import closing
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.mixture import GaussianMixture
from torch.nn import functional

from skasd._parameter_group import check_flags, refuse_idle
from skasd._parameters import check_option
from skasd._random import random_seed
from skasd.clips import Clips
from skasd.detectors._amount import TrainingAmount
from skasd.detectors._embedding import EmbeddingDetector, embeddings_of
from skasd.detectors._machine_scores import ClipOutputs, LearntClips, MachineScores
from skasd.features import LogMelTransformer
from skasd.features._frontend import frontend_of, osscl_frontend
from skasd.inputs._augmentation import check_augmentation, prepared
from skasd.inputs._clip_classes import check_class_parameters
from skasd.inputs._network_fit import NetworkFit, log_mels_of
from skasd.losses import ArcFaceHead, arcface_logits
from skasd.networks import folded
from skasd.objectives._network_options import MobileFaceNetOptions
from skasd.objectives._osscl import OSSCLOptions, train_osscl
from skasd.scoring import check_scorer
from skasd.training import ClipStore, Training, TrainingOptions

_AMOUNT = TrainingAmount(batch_size=64, max_epochs=8, least_steps=128)
_COSINES_AT_A_TIME = 2**22  # 32 MiB, compared with all machines at once


class OSSCLDetector(EmbeddingDetector):
    r"""One-stage supervised contrastive detector.

    A network is trained to classify normal clips by machine [1]_; a clip is anomalous if it does not look like the machine
    that it is labelled with. Use it with several machines, sections or attributes: it learns only the differences between
    them. Clips without labels are clustered first. With other settings the detector is STgram-MFN [2]_ or Noisy-ArcMix [3]_,
    see the :ref:`user guide <osscl_family>`.

    Parameters
    ----------
    branches : sequence of str, default=("log_mel", "tgram", "tfgram")
        Input images of the network, as channels: ``"log_mel"``; ``"tgram"``, a strided convolution of the waveform;
        ``"tfgram"``, a deeper network on the waveform; ``"tagram"``, the log-mel with its loud frames weighted;
        ``"frequency_attention"``, self-attention over the bands of the log-mel. If X contains features without waveforms,
        only the branches computed from the log-mel are used.
    label_columns : sequence of str or None, default=("machine_type", "section")
        Columns of the clip table that define the class of a clip; the table may lack these two. None uses clusters.
    n_clusters : int or None, default=None
        Number of clusters of similar clips into which each machine and domain is split; each becomes a class. None
        clusters, into at most 16, only if the label columns give fewer than two classes.
    score_with : {"auto", "label", "predicted", "embedding"}, default="auto"
        Anomaly score. ``"label"``: how badly the clip fits the machine that the table names. ``"predicted"``: how badly it
        fits the machine that it fits best. ``"embedding"``: distance of its embedding from those of normal clips of the same
        machine (of all clips if the table names no machine), measured by the `scorer`. ``"auto"`` is the label if several
        machines were trained on and the table names the machine of each clip, else the embedding; in both cases with the
        statistics of :class:`StatisticsDetector` beside it, if at least 8 clips are held out, see
        :ref:`networks_statistics`. It can be changed after ``fit``.
    score_margin : bool, default=True
        Whether the score includes the margin, as published.
    scorer : estimator or None, default=None
        Back end of ``score_with="embedding"``: one of :mod:`skasd.scoring`, which use the domains of the clip table, or an
        outlier detector or density model of scikit-learn with ``fit`` and ``score_samples``. One is fitted for each machine
        with at least two clips, and one to all clips for the others. None uses one Gaussian. With ``score_with="auto"`` it
        scores only clips whose machine the table does not name.
    margin : float, default=0.4
        Additive angular margin :math:`m`, in radians, in [0, pi / 2].
    mixup_alpha : float or None, default=0.5
        Parameter :math:`\alpha` of the Beta distribution from which mixing ratios are drawn. None disables mixup.
    mix_margin : {"first", "both"}, default="first"
        Whether the margin applies to the class of the first of two mixed clips (Noisy-ArcMix), or to the class of each clip
        in its own term of the loss (ArcMix).
    contrastive_weight : float, default=1.0
        Weight :math:`w` of the supervised contrastive loss; 0 leaves it out.
    temperature : float, default=0.02
        Temperature :math:`\tau` of the contrastive loss, dimensionless.
    network : MobileFaceNetOptions or None, default=None
        Network and class centres; see :class:`skasd.objectives.MobileFaceNetOptions`.
    frontend : LogMelTransformer, NoiseReducedLogMel, torch.nn.Module, callable or None, default=None
        Front end that computes log-mels of waveforms and files, see :ref:`features_frontend`. None uses the front end of
        [1]_: 128 Slaney bands, window 2048 and hop 512 samples. Clips are cut or filled to its `duration`, or to the median
        length of the training clips if it has none.
    feature : str, default="auto"
        Column of a clip table that is read as the log-mel. ``"auto"`` is the one that the last transformer wrote, or else
        the only feature column.
    augmentation : SpectrumAugmentation or None, default=None
        Augmentation of the log-mels, before mixup; see :class:`skasd.augmentations.SpectrumAugmentation`.
    max_epochs : int or "auto", default="auto"
        Number of passes over the training clips. ``"auto"`` is the number that gives 128 training steps, and at least 8. The
        paper has 300, for 34 000 clips, see :meth:`settings`.
    batch_size : int or "auto", default="auto"
        Clips per training step. ``"auto"`` is an eighth of the training clips, at least 8 and at most the published 64, so
        that 60 clips are not trained in one step an epoch.
    learning_rate : float, default=1e-3
        Initial learning rate of AdamW. The paper has 1e-4, for many more steps.
    training : TrainingOptions or None, default=None
        Rarely changed settings of the training: learning rate schedule, weight decay, exponential moving average (EMA) of
        the weights, validation set and early stopping, precision, memory, callbacks; see
        :class:`skasd.training.TrainingOptions`. The defaults here are a cosine schedule, weight decay 0.01 and an EMA decay
        of 0.9999.
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
        Classes that the network was trained on: the label columns joined with "/", or names of clusters.
    label_source_ : {"columns", "clusters"}
        Origin of the classes.
    branches_ : tuple of str
        Branches for which the training clips have inputs.
    network_ : torch.nn.Module
        Network with averaged weights, on the CPU.
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
    TWFRDetector : Needs no labels, no training loop, and seconds on a CPU.
    skasd.features.TFgramTransformer : Computes only the third image.

    Notes
    -----
    With :math:`z` the embedding of unit length, :math:`c_j` its cosine with the centre of class :math:`j` and :math:`\ell_j`
    the logits, :math:`s c_j` except for the margin on the first class :math:`y`, the loss of a batch of mixed clips
    :math:`\lambda x + (1 - \lambda) x_\pi` is, as in the code of [1]_,

    .. math:: L = \lambda\, \mathrm{CE}(\ell, y) + (1 - \lambda)\, \mathrm{CE}(\ell, y_\pi) + w L_{\mathrm{sup}}(z, y),

    and the anomaly score of a clip labelled with class :math:`y` is its cross-entropy, including the margin:

    .. math:: A = -\log \frac{e^{\ell_y}}{\sum_j e^{\ell_j}}.

    If a machine has several classes (clusters), the one with the largest cosine is used.

    All departures from the published code are listed in the :ref:`user guide <osscl_departures>`. The main ones: sizes are
    derived from the data; unused layers are left out; the exponential moving average of the weights and batch normalisation
    have a warm-up; short clips are repeated to the length of the others; the last epoch is kept unless clips are held out;
    convolutions run in bfloat16 if the processor supports it.

    References
    ----------
    .. [1] S. Huang, Z. Fang, L. He, "Noise supervised contrastive learning and feature-perturbed for anomalous sound
           detection", ICASSP 2025. arXiv:2509.13853. Code: github.com/huangswt/OS-SCL.
    .. [2] Y. Liu, J. Guan, Q. Zhu, W. Wang, "Anomalous sound detection using spectral-temporal information fusion", ICASSP
           2022. arXiv:2201.05510.
    .. [3] S. Choi, J.-W. Choi, "Noisy-ArcMix: additive noisy angular margin loss combined with mixup for anomalous sound
           detection", ICASSP 2024. arXiv:2310.06364.

    Examples
    --------
    >>> from skasd.datasets import make_machine_clips
    >>> from skasd.detectors import OSSCLDetector
    >>> clips = make_machine_clips(("fan", "pump"), n_sections=2, duration=1.0, random_state=0)
    >>> train = clips.data["split"] == "train"
    >>> detector = OSSCLDetector(("log_mel",), max_epochs=1, random_state=0).fit(clips.data[train])
    >>> detector.classes_
    array(['fan/00', 'fan/01', 'pump/00', 'pump/01'], dtype='<U7')
    >>> detector.transform(clips.data).shape
    (160, 128)
    """

    _score_withs: ClassVar = ("auto", "label", "predicted", "embedding")
    _parameter_groups: ClassVar = {"network": MobileFaceNetOptions, "training": TrainingOptions}

    _default_frontend = staticmethod(osscl_frontend)

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
        mixup_alpha: float | None = 0.5,
        mix_margin: str = "first",
        contrastive_weight: float = 1.0,
        temperature: float = 0.02,
        network: MobileFaceNetOptions | None = None,
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
        self.branches = branches
        self.label_columns = label_columns
        self.n_clusters = n_clusters
        self.score_with = score_with
        self.score_margin = score_margin
        self.scorer = scorer
        self.margin = margin
        self.mixup_alpha = mixup_alpha
        self.mix_margin = mix_margin
        self.contrastive_weight = contrastive_weight
        self.temperature = temperature
        self.network = network
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

    @classmethod
    def settings(cls, name: str) -> dict[str, Any]:
        """Parameters of a publication.

        Parameters
        ----------
        name : {"paper"}
            ``"paper"``: 300 epochs in batches of 64 clips at a learning rate of 1e-4, on all clips but a validation set of
            5 %, with its front end. Scores that know the machine are those of ``score_with="label"``.

        Returns
        -------
        parameters : dict
            Arguments of the constructor.

        Examples
        --------
        >>> from skasd.detectors import OSSCLDetector
        >>> OSSCLDetector(**OSSCLDetector.settings("paper")).max_epochs
        300
        """
        check_option("name", name, ("paper",))
        return {
            "score_with": "label",
            "frontend": LogMelTransformer(n_fft=2048, pad_mode="constant", duration=10.0),
            "max_epochs": 300,
            "batch_size": 64,
            "learning_rate": 1e-4,
            "training": TrainingOptions(validation_fraction=0.05, precision="float32"),
        }

    def _learn(self, clips: Clips) -> MachineScores:
        options = self._checked_options()
        plan = self._plan(**_AMOUNT.chosen(self.batch_size, self.max_epochs, len(clips)))
        seed = random_seed(self.random_state)
        frontend = frontend_of(self.frontend, self._default_frontend())
        fit = self._network_fit = NetworkFit.learn(
            clips, self.branches, frontend, precision=plan.precision, label_columns=self.label_columns
        )
        if self.augmentation is not None and "log_mel" not in fit.names:
            raise ValueError(f"augmentation acts on log-mels, but branches={self.branches!r} have none; add 'log_mel'.")
        reading: dict[str, Any] = {
            "n_clusters": self.n_clusters,
            "seed": seed,
            "n_jobs": self.n_jobs,
            "verbose": self.verbose,
        }
        with closing(ClipStore(len(clips), plan.memory_budget)) as store:
            classes = fit.classes(clips, store, **reading)
            training = train_osscl(
                store,
                classes.label,
                branches=fit.branches,
                size=fit.inputs.size,
                hop_length=fit.inputs.hop_length,
                dtype=fit.inputs.dtype,
                options=options,
                plan=plan,
                seed=seed,
                augmenter=prepared(self.augmentation, log_mels_of(store), classes.label, frontend),
            )
            self._keep(training, fit)
            self.training_, self.classes_, self._machine_of_class = plan, classes.names, classes.machine
            self.label_source_ = "clusters" if classes.is_clustered else "columns"
            outputs = self._run(store.clips())
        learnt = LearntClips(outputs, fit.machines(clips), clips.domains(), training.held_out, store.recordings)
        scorer = GaussianMixture(1, reg_covar=1e-3) if self.scorer is None else self.scorer
        return MachineScores(
            learnt,
            columns=fit.label_columns,
            parameter="label_columns",
            back_end=scorer if self.score_with in ("auto", "embedding") else None,
            seed=seed,
        )

    def _keep(self, training: Training, fit: NetworkFit) -> None:
        self.branches_, self.history_ = fit.branches, training.history
        self.network_: torch.nn.Module = training.objective.network  # type: ignore[assignment]
        self._evaluator = folded(self.network_)
        self._head: ArcFaceHead = training.objective.head  # type: ignore[assignment]
        self._score_margin = self.margin if self.score_margin else 0.0

    def _outputs(self, clips: Clips) -> ClipOutputs:
        return self._run(self._network_fit.read(clips, n_jobs=self.n_jobs, verbose=self.verbose))

    def _run(self, inputs: Iterable[dict[str, np.ndarray] | None]) -> ClipOutputs:
        embedding = embeddings_of(self._evaluator, inputs, self._network_fit.names, self.device)
        with torch.inference_mode():
            cosine = self._head.cosine(torch.from_numpy(embedding)).numpy().astype(np.float64)
        own = np.unique(self._machine_of_class)[:, None] == self._machine_of_class  # (machines, classes)
        n_clips = max(1, _COSINES_AT_A_TIME // own.size)
        parts = [self._cross_entropy(cosine[start : start + n_clips], own) for start in range(0, len(cosine), n_clips)]
        return ClipOutputs(embedding, np.concatenate(parts))

    def _cross_entropy(self, cosine: np.ndarray, own: np.ndarray) -> np.ndarray:
        """Cross-entropy (n_clips, n_machines) of the class of each machine with the largest cosine, margin included."""
        target = torch.from_numpy(np.where(own, cosine[:, None], -np.inf).argmax(axis=2).ravel())
        repeated = torch.from_numpy(cosine).repeat_interleave(len(own), dim=0)
        logits = arcface_logits(repeated, target, margin=self._score_margin, scale=self._head.scale)
        return functional.cross_entropy(logits, target, reduction="none").numpy().reshape(-1, len(own))

    def _checked_options(self) -> OSSCLOptions:
        check_class_parameters(self.label_columns, self.n_clusters)
        self._check_score_with()
        check_flags(self, "score_margin")
        check_augmentation(self.augmentation)
        if self.scorer is not None:
            check_scorer(self.scorer)
        if self.score_with in ("label", "predicted"):
            refuse_idle(self, ["scorer"], f"score_with={self.score_with!r}")
        if self.score_with == "embedding":
            refuse_idle(self, ["score_margin"], "score_with='embedding'")
        return OSSCLOptions.of(self)
