"""OSSCLDetector: a network learns to tell machines apart; a clip that does not look like its own machine is anomalous."""

from collections.abc import Iterable, Sequence
from contextlib import closing
from typing import Any

import numpy as np
import torch
from sklearn.mixture import GaussianMixture
from torch.nn import functional

from skasd._device import torch_device
from skasd._parameters import check_option
from skasd.clips import Clips
from skasd.detectors._embedding import EmbeddingDetector
from skasd.detectors._machine_scorers import distance, fitted_back_ends
from skasd.detectors._machines import refuse_unknown_machines
from skasd.detectors._score_mode import settled_mode
from skasd.features import LogMelTransformer
from skasd.features._osscl_training import run_osscl
from skasd.inputs._augmentation import check_augmentation
from skasd.inputs._network_fit import NetworkFit, stacked_batches
from skasd.losses import ArcFaceHead, arcface_logits
from skasd.networks import OSSCLNet, folded
from skasd.objectives._osscl import OSSCLOptions
from skasd.scoring import BackEnd, check_scorer
from skasd.training import ClipStore, evaluated

_SCORE_WITH = ("auto", "label", "predicted", "embedding")
_CLIPS_PER_BATCH = 32  # when scoring: large enough for speed, and the same for all, so that rounding is too


class OSSCLDetector(EmbeddingDetector):
    r"""One-stage supervised contrastive detector.

    A network learns to tell the machines of normal clips apart [1]_; a clip is anomalous when it does not look like the
    machine that it claims to be. Use it with several machines, sections or attributes: what tells them apart is all that it
    learns. Clips without labels are put into clusters first. With other settings the same detector is STgram-MFN [2]_ or
    Noisy-ArcMix [3]_, see the :ref:`user guide <osscl_family>`.

    Parameters
    ----------
    branches : sequence of str, default=("log_mel", "tgram", "tfgram")
        Images of a clip that the network sees, as channels: ``"log_mel"``; ``"tgram"``, a strided convolution of the
        waveform; ``"tfgram"``, a deeper network of the waveform; ``"tagram"``, the log-mel with its loud frames weighted;
        ``"frequency_attention"``, self-attention over the bands of the log-mel. Where X has features and no waveforms, those
        of the log-mel alone are used.
    label_columns : sequence of str or None, default=("machine_type", "section")
        Columns of the clip table that make the class of a clip; it may lack these two. None makes clusters.
    n_clusters : int or None, default=None
        Into how many clusters of like sound the clips of each machine and domain are split, each a class of its own. None
        makes clusters, 16 at most, only where the label columns give fewer than two classes.
    score_with : {"auto", "label", "predicted", "embedding"}, default="auto"
        What the score may know. ``"label"``: how well the clip fits the machine that the table says it is.
        ``"predicted"``: how well it fits the machine that it fits best. ``"embedding"``: how far its embedding is from those
        of normal clips, by the `scorer`; of the same machine where the table tells it. ``"auto"`` is the label where
        several machines were trained on and the table tells which one a clip is of, else the embedding.
    score_margin : bool, default=True
        Whether the margin is part of the score, as published.
    scorer : estimator or None, default=None
        Back end of ``score_with="embedding"``: one of :mod:`skasd.scoring`, which know the target domain of the clip table,
        or an outlier detector or density model of scikit-learn with ``fit`` and ``score_samples``. One is fitted to the
        training clips of each machine that has several, and one to all, for clips of other machines or of none. None takes
        one Gaussian.
    margin : float, default=0.4
        Additive angular margin :math:`m`, in radians, in [0, pi / 2].
    scale : float, default=30.0
        Factor :math:`s` of the cosines, dimensionless.
    n_subcenters : int, default=1
        Centres of each class, of which the nearest counts.
    mixup_alpha : float or None, default=0.5
        Parameter :math:`\alpha` of the Beta distribution of the mixing share; None mixes no clips.
    mix_margin : {"first", "both"}, default="first"
        Which of two mixed clips the margin is on: always the first (Noisy-ArcMix), or each in its own term (ArcMix).
    contrastive_weight : float, default=1.0
        Weight :math:`w` of the supervised contrastive term; 0 leaves it out.
    temperature : float, default=0.02
        :math:`\tau` of the contrastive term, dimensionless.
    perturbation_head : bool, default=True
        Whether the embedding passes a narrow network on its way to the class centres.
    bottlenecks : {"2023", "2021"} or sequence of tuple of int, default="2023"
        Stages of the MobileFaceNet, each (expansion, channels, blocks, stride).
    embedding_dim : int, default=128
        Length of the embedding.
    frontend : LogMelTransformer or None, default=None
        Makes the log-mels of waveforms and files; None takes that of [1]_: 128 Slaney bands, 2048 / 512 samples. Its
        `duration` is the length that clips are cut and filled to; without one it is the median length of the training clips.
    augmentation : SpectrumAugmentation or None, default=None
        Of the log-mels, before mixup; see :class:`skasd.augmentations.SpectrumAugmentation`.
    max_epochs : int, default=300
        Passes over the training clips. The default is the paper's, for 34 000 clips; on a CPU 20 to 60 with a
        `learning_rate` of 1e-3 do for hundreds of clips.
    batch_size : int, default=64
        Clips of a step.
    learning_rate : float, default=1e-4
        Of AdamW, at the beginning.
    min_learning_rate : float or None, default=None
        At the end of half a cosine; None takes a tenth of `learning_rate`.
    schedule_start : int, default=0
        Epochs before the learning rate begins to fall.
    weight_decay : float, default=0.01
        Of AdamW; 0 is Adam.
    averaging_decay : float or None, default=0.9999
        Share of the running average of the weights that is kept at each step; None takes the last weights.
    sampling : {"shuffled", "balanced"}, default="shuffled"
        Whether an epoch takes every clip once, or draws as many with equal chances for every class.
    validation_fraction : float, default=0.0
        Share of the clips of each class that is held out of the training. The weights of the epoch with the lowest
        cross-entropy on them are kept, and ``contamination="auto"`` sets the threshold on them.
    patience : int or None, default=None
        Epochs without a lower held-out loss after which the training stops.
    precision : {"auto", "float32", "bfloat16"}, default="auto"
        Of the training. ``"auto"`` computes convolutions in bfloat16 where the processor can, and all in float64 if X is;
        scores are always computed in float32 or float64.
    channels_last : bool, default=True
        Whether tensors lie in memory with the channels of a place together, which is faster.
    compile : bool, default=False
        Whether the network is compiled by torch for the training, which needs a C++ compiler.
    memory_budget : float, default=8e9
        Bytes of training clips above which they go into a temporary file and are read from there.
    device : str, default="auto"
        ``"cpu"``; or a torch device such as ``"cuda"``; or ``"auto"``, an accelerator where there is one.
    callbacks : list of skorch callbacks or None, default=None
        Called during the training; ``Checkpoint`` and ``LoadInitState`` of skorch resume one that was killed.
    contamination : float or "auto", default="auto"
        Share of training clips below the threshold, in (0, 0.5]. ``"auto"`` sets it where one in ten clips falls below it
        that were held out, or of the training clips if none were.
    threshold : {"quantile", "gamma"}, default="quantile"
        Whether the threshold is a quantile of scores, or that of a gamma distribution fitted to those of held-out clips.
    random_state : int, RandomState instance or None, default=None
        Seeds weights, batches and mixing; global generators stay untouched.
    n_jobs : int or None, default=-1
        Threads that read clips and make log-mels; -1 takes all cores.
    verbose : int, default=0
        Shows progress bars from 1 on.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,), str
        Classes that the network learnt: the cells of the label columns joined with "/", or names of clusters.
    label_source_ : {"columns", "clusters"}
        Where the classes come from.
    branches_ : tuple of str
        Those of `branches` that the clips had inputs for.
    network_ : torch.nn.Module
        The averaged network, on the CPU.
    scorer_ : dict of str to BackEnd
        Fitted back ends by machine, and one for all clips (""), as far as `score_with` may ask for them.
    history_ : list of dict
        Epoch, mean loss, learning rate and seconds of each epoch.
    offset_ : float
        Threshold: ``decision_function = score_samples - offset_``.
    n_features_in_ : int
        Bands of features, or time points of a 2-D array.

    See Also
    --------
    TWFRDetector : No labels, no training loop, seconds on a CPU.
    skasd.features.TFgramTransformer : The third image alone.

    Notes
    -----
    With :math:`z` the embedding of unit length, :math:`c_j` its cosine with the centre of class :math:`j` and :math:`\ell_j`
    the logits, :math:`s c_j` but for a margin on the first class :math:`y`, the loss of a batch whose clips are mixtures
    :math:`\lambda x + (1 - \lambda) x_\pi` is that of the code of [1]_,

    .. math:: L = \lambda\, \mathrm{CE}(\ell, y) + (1 - \lambda)\, \mathrm{CE}(\ell, y_\pi) + w L_{\mathrm{sup}}(z, y),

    and the anomaly score of a clip that claims to be of class :math:`y` is its cross-entropy, the margin included:

    .. math:: A = -\log \frac{e^{\ell_y}}{\sum_j e^{\ell_j}}.

    Where a machine has several classes (clusters), that with the largest cosine counts.

    Every departure from the published code is listed in the :ref:`user guide <osscl_departures>`. The main ones: sizes
    follow the data; unused layers are left out; the average of the weights starts with a warm-up; short clips are repeated
    to the length of the others; the last epoch is kept unless clips are held out; convolutions run in bfloat16.

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
    >>> detector = OSSCLDetector(("log_mel",), max_epochs=2, random_state=0).fit(clips.data[train])
    >>> detector.classes_
    array(['fan/00', 'fan/01', 'pump/00', 'pump/01'], dtype='<U7')
    >>> detector.transform(clips.data).shape
    (160, 128)
    """

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
        augmentation: Any = None,
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
        self.augmentation = augmentation
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
        self.threshold = threshold
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    def _fit(self, clips: Clips) -> None:
        self._check_parameters()
        options = OSSCLOptions.of(self)
        fit = self._fit_of = NetworkFit.of(self, clips, self.branches)
        if self.augmentation is not None and "log_mel" not in fit.names:
            raise ValueError(f"augmentation changes log-mels, and branches={self.branches!r} have none; add 'log_mel'.")
        with closing(ClipStore(len(clips), self.memory_budget)) as store:
            classes, training = run_osscl(fit, clips, store, options, self.augmentation)
            self.branches_ = fit.branches
            self.network_: OSSCLNet = training.objective.network  # type: ignore[assignment]
            self._evaluator = folded(self.network_)
            self._head: ArcFaceHead = training.objective.head  # type: ignore[assignment]
            self.classes_, self._machine_of_class = classes.names, classes.machine
            self.label_source_ = "clusters" if classes.is_clustered else "columns"
            self.history_ = training.history
            self._n_features_out = self.embedding_dim
            self._learn_scores(store, fit.machines(clips), clips.domains(), training.held_out)

    def _learn_scores(self, store: ClipStore, machines: np.ndarray, domains: np.ndarray, held_out: np.ndarray) -> None:
        """Fit the back ends, and score the clips that were held out, or all if none were."""
        embedding, cosine = self._outputs(store.clips())
        learnt = np.setdiff1d(np.arange(len(machines)), held_out)
        self.scorer_ = self._back_ends(embedding[learnt], machines[learnt], domains[learnt])
        self._score_with, self._score_margin = self.score_with, self.margin if self.score_margin else 0.0
        rows = held_out if len(held_out) else learnt
        self._mode_of_offset: str | None = None
        self._mode_of_offset = self._mode(machines[rows])
        self._held_out = self._combined(embedding[rows], cosine[rows], machines[rows])

    def _back_ends(self, embedding: np.ndarray, machines: np.ndarray, domains: np.ndarray) -> dict[str, BackEnd]:
        """The back ends that may be asked: one for all clips, and one for each machine of several."""
        if self.score_with in ("label", "predicted"):
            return {}
        scorer = GaussianMixture(1, reg_covar=1e-3) if self.scorer is None else self.scorer
        each = self.score_with == "embedding" or not self._knows_labels()
        return fitted_back_ends(scorer, embedding, machines, domains, seed=self._fit_of.seed, each=each)

    def _anomaly_score(self, clips: Clips) -> np.ndarray:
        machines = np.full(len(clips), "") if self._score_with == "predicted" else self._fit_of.machines(clips)
        if (machines != "").any() or self._score_with == "label":
            refuse_unknown_machines(
                machines, set(self._machine_of_class), clips, self._fit_of.label_columns, "label_columns"
            )
        embedding, cosine = self._outputs(self._fit_of.read(clips, "scoring"))
        return self._combined(embedding, cosine, machines)

    def _held_out_score(self, clips: Clips) -> np.ndarray:
        return self._held_out

    def _combined(self, embedding: np.ndarray, cosine: np.ndarray, machines: np.ndarray) -> np.ndarray:
        score_with = self._mode(machines)
        if score_with == "embedding":
            return distance(self.scorer_, embedding, machines)
        is_own = self._machine_of_class == machines[:, None]  # (n_clips, n_classes)
        allowed = is_own if score_with == "label" else np.ones_like(is_own)
        return _cross_entropy(
            cosine, np.where(allowed, cosine, -np.inf).argmax(axis=1), self._score_margin, self._head.scale
        )

    def _mode(self, machines: np.ndarray) -> str:
        knows_labels = self._knows_labels()
        return settled_mode(self._score_with, machines, knows_labels=knows_labels, of_offset=self._mode_of_offset)

    def _knows_labels(self) -> bool:
        """Whether the classes tell machines apart, which a label names."""
        return len(np.unique(self._machine_of_class)) > 1

    def _embedding(self, clips: Clips) -> np.ndarray:
        return self._outputs(self._fit_of.read(clips, "embedding"))[0]

    def _outputs(self, inputs: Iterable[dict[str, np.ndarray] | None]) -> tuple[np.ndarray, np.ndarray]:
        """Embeddings (n_clips, embedding_dim) and cosines with the class centres (n_clips, n_classes)."""
        batches = stacked_batches(inputs, self._fit_of.names, _CLIPS_PER_BATCH)
        embedding = np.concatenate(list(evaluated(self._evaluator, batches, torch_device(self.device))))
        with torch.inference_mode():
            cosine = self._head.cosine(torch.from_numpy(embedding))
        return embedding, cosine.numpy().astype(np.float64)

    def _check_parameters(self) -> None:
        check_option("score_with", self.score_with, _SCORE_WITH)
        check_option("score_margin", self.score_margin, (True, False))
        check_augmentation(self.augmentation)
        if self.scorer is not None:
            check_scorer(self.scorer)


def _cross_entropy(cosine: np.ndarray, label: np.ndarray, margin: float, scale: float) -> np.ndarray:
    """Cross-entropy (n_clips,) of the classes `label`, with the margin on them."""
    target = torch.from_numpy(label)
    logits = arcface_logits(torch.from_numpy(cosine), target, margin=margin, scale=scale)
    return functional.cross_entropy(logits, target, reduction="none").numpy()
