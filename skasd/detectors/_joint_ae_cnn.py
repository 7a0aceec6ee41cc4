"""JointAECNNDetector: a classifier of patches, tied to an autoencoder of the same patches while it learns."""

from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from skasd._device import torch_device
from skasd._parameters import check_integer, check_option
from skasd._random import local_random_state
from skasd.clips import Clips
from skasd.detectors._embedding import EmbeddingDetector
from skasd.detectors._machine_scorers import distance, fitted_back_ends
from skasd.detectors._machines import refuse_unknown_machines
from skasd.detectors._score_mode import settled_mode
from skasd.features import LogMelTransformer
from skasd.features._median_filter import check_window, filtered
from skasd.inputs._augmentation import check_augmentation, prepared
from skasd.inputs._clip_classes import ClipClasses, check_class_parameters, machine_names
from skasd.inputs._network_fit import refuse_one_clip
from skasd.inputs._network_inputs import dtype_of
from skasd.inputs._patches import checked_frontend, outputs_of_clips, spectrograms_of
from skasd.networks import folded
from skasd.objectives._joint_ae_cnn import JointOptions, PatchOutputs, train_joint
from skasd.scoring import KNNScorer, check_scorer
from skasd.scoring._log_odds import log_odds
from skasd.training import PatchStore, TrainingOptions

_SCORE_WITH = ("auto", "label", "predicted", "embedding", "reconstruction")
_TOP_DB = 120.0
_FLOOR = float(np.finfo(np.float64).eps)  # of the power, in the baselines


class JointAECNNDetector(EmbeddingDetector):
    r"""Classifier of sections, tied to an autoencoder, on patches of a median-filtered log-mel.

    MobileNetV2 tells apart the sections, or machines, that patches of two seconds come from; a dense autoencoder reproduces
    the same patches; a contrast pulls what both make of a patch together [1]_. A clip is anomalous when its patches do not
    look like the section it claims to be. With other settings it is the MobileNetV2 baseline of 2021 and 2022 [2]_, see
    :meth:`settings`.

    Parameters
    ----------
    label_columns : sequence of str or None, default=("machine_type", "section")
        Columns of the clip table that make the class of a clip; it may lack these two. None makes clusters.
    n_clusters : int or None, default=None
        Into how many clusters of like sound the clips of each machine and domain are split, each a class of its own. None
        makes clusters, 16 at most, only where the label columns give fewer than two classes.
    score_with : {"auto", "label", "predicted", "embedding", "reconstruction"}, default="auto"
        ``"label"``: the odds against what the table says that the clip is. ``"predicted"``: the same for what it fits best.
        ``"embedding"``: how far the mean of the features of its patches is from those of normal clips, by the `scorer`; of
        the same machine where the table tells it. ``"reconstruction"``: the error of the autoencoder. ``"auto"`` is the
        label where several machines were trained on and the table tells which one a clip is of, else the embedding.
    scorer : estimator or None, default=None
        Back end of the embedding: one of :mod:`skasd.scoring`, or an outlier detector or density model of scikit-learn. None
        takes :class:`skasd.scoring.KNNScorer`.
    median_filter : int or None, default=31
        Frames of a running median over time before everything else; odd. None for none.
    median_level : {"clip", "patch"}, default="clip"
        Whether the clip is filtered, or each patch by itself.
    patch_length, patch_step : int, default=64, 8
        Frames of a patch, and from one to the next.
    score_step : int or None, default=None
        The latter where clips are scored; None is the same.
    backbone : {"mobilenet_v2", "efficientnet_b0"}, default="mobilenet_v2"
        Network of the classifier.
    width : float, default=1.0
        Factor of the numbers of channels of MobileNetV2.
    image_channels : int, default=1
        How often a patch is repeated as a channel of its image.
    pooling : {"gamp", "mean"}, default="gamp"
        Of the features: mean over frequency, then mean and maximum over time, added; or the mean.
    dropout : float, default=0.5
        Share of the features that the classifier is not given in training.
    autoencoder : bool, default=True
        Whether there is one.
    normalise_features : bool, default=False
        Whether classifier and decoder are given vectors of unit length.
    reconstruction_weight, contrastive_weight : float, default=1.0
        Weights of the autoencoder's error and of the contrast beside the classification.
    contrastive_form : {"symmetric", "one_way", "one_way_with_positive"}, default="symmetric"
        See :func:`skasd.losses.two_view_loss`; ``"one_way"`` is Eq. (4) of [1]_.
    normalise_projection : bool, default=True
        Whether the views that are contrasted have unit length.
    temperature : float, default=0.07
        :math:`\rho` of the contrast, dimensionless.
    mixup_alpha : float or None, default=None
        Patches are mixed with shares from a beta distribution with this parameter; None mixes none.
    time_mask, frame_shift : int, default=0
        Frames of each patch that are masked, and by how many it is shifted, at most.
    augmentation : SpectrumAugmentation or None, default=None
        Of the patches, before these, see :class:`skasd.augmentations.SpectrumAugmentation`.
    frontend : LogMelTransformer or None, default=None
        Makes the spectrograms of waveforms and files; None takes that of [1]_: 128 HTK bands without norm, 1024 / 512
        samples, not centred, 120 dB at most below the maximum. Not used on features.
    max_epochs : int, default=100
        Passes over the patches.
    batch_size : int, default=32
        Patches of a step.
    learning_rate : float, default=1e-4
        Of Adam, at the beginning.
    schedule : {"halved_epochs", "halved_steps", "constant", "cosine"}, default="halved_epochs"
        Whether it is halved after 30, 60 and 90 epochs, or steps; or stays; or falls to a tenth along half a cosine.
    weight_decay : float, default=0.0
        Of AdamW.
    averaging_decay : float or None, default=None
        Share of the running average of the weights that is kept at each step; None takes the last weights.
    sampling : {"shuffled", "balanced"}, default="shuffled"
        Whether an epoch takes every patch once, or draws as many with equal chances for every class.
    validation_fraction : float, default=0.0
        Share of the clips of each class held out of the training, as in :class:`OSSCLDetector`.
    patience : int or None, default=None
        Epochs without a lower held-out loss after which the training stops.
    precision : {"auto", "float32", "bfloat16"}, default="auto"
        Of the training.
    memory_budget : float, default=8e9
        Bytes of training frames above which they go into a temporary file and are read from there.
    device : str, default="auto"
        ``"cpu"``; or a torch device such as ``"cuda"``; or ``"auto"``, an accelerator where there is one.
    callbacks : list of skorch callbacks or None, default=None
        Called during the training.
    contamination : float or "auto", default="auto"
        Share of training clips below the threshold, in (0, 0.5]; ``"auto"`` is one in ten.
    threshold : {"quantile", "gamma"}, default="quantile"
        Whether the threshold is a quantile of scores, or that of a gamma distribution fitted to those of held-out clips.
    random_state : int, RandomState instance or None, default=None
        Seeds clusters, weights, order of patches and augmentation; global generators stay untouched.
    n_jobs : int or None, default=-1
        Threads that read clips; -1 takes all cores.
    verbose : int, default=0
        Shows progress bars from 1 on.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,), str
        Classes that the network learnt: the cells of the label columns joined with "/", or names of clusters.
    label_source_ : {"columns", "clusters"}
        Where the classes come from.
    network_ : torch.nn.Module
        Both networks, on the CPU.
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
    AutoencoderDetector : The autoencoder alone, as the baselines have it.
    OSSCLDetector : A newer classifier of whole clips.
    skasd.features.MedianFilter : The filter as a step of a pipeline; give ``median_filter=None`` then.

    Notes
    -----
    With :math:`z` the logits of a patch and :math:`y` the class that it claims to be, a clip scores the mean over patches of

    .. math:: A = \ln \frac{1 - p_y}{p_y} = \ln \sum_{k \ne y} e^{z_k} - z_y,

    from the logits, so that sure patches still differ. Where a machine has several classes (clusters), :math:`p_y` is the
    sum of theirs. The loss is classification, reconstruction and contrast, one to one to one.

    Departures from the paper: one network for all clips given, so give the clips of one machine type for its setting; the
    filter runs over the clip, not each patch; the views are scaled to unit length before they are contrasted, without which
    the loss falls by growing them; the autoencoder begins at the mean frame; training and scoring see the same patches,
    which in the code they do not; the last epoch is kept, where the code keeps the best by test AUC. :meth:`settings` gives
    the paper's and the code's choices.

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
    >>> detector = JointAECNNDetector(width=0.1, max_epochs=1, random_state=0).fit(clips.data[train])
    >>> detector.classes_
    array(['fan/00', 'fan/01'], dtype='<U6')
    >>> detector.score_samples(clips.data[~train]).shape
    (40,)
    """

    def __init__(
        self,
        label_columns: Sequence[str] | None = ("machine_type", "section"),
        *,
        n_clusters: int | None = None,
        score_with: str = "auto",
        scorer: Any = None,
        median_filter: int | None = 31,
        median_level: str = "clip",
        patch_length: int = 64,
        patch_step: int = 8,
        score_step: int | None = None,
        backbone: str = "mobilenet_v2",
        width: float = 1.0,
        image_channels: int = 1,
        pooling: str = "gamp",
        dropout: float = 0.5,
        autoencoder: bool = True,
        normalise_features: bool = False,
        reconstruction_weight: float = 1.0,
        contrastive_weight: float = 1.0,
        contrastive_form: str = "symmetric",
        normalise_projection: bool = True,
        temperature: float = 0.07,
        mixup_alpha: float | None = None,
        time_mask: int = 0,
        frame_shift: int = 0,
        augmentation: Any = None,
        frontend: LogMelTransformer | None = None,
        max_epochs: int = 100,
        batch_size: int = 32,
        learning_rate: float = 1e-4,
        schedule: str = "halved_epochs",
        weight_decay: float = 0.0,
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
        self.label_columns = label_columns
        self.n_clusters = n_clusters
        self.score_with = score_with
        self.scorer = scorer
        self.median_filter = median_filter
        self.median_level = median_level
        self.patch_length = patch_length
        self.patch_step = patch_step
        self.score_step = score_step
        self.backbone = backbone
        self.width = width
        self.image_channels = image_channels
        self.pooling = pooling
        self.dropout = dropout
        self.autoencoder = autoencoder
        self.normalise_features = normalise_features
        self.reconstruction_weight = reconstruction_weight
        self.contrastive_weight = contrastive_weight
        self.contrastive_form = contrastive_form
        self.normalise_projection = normalise_projection
        self.temperature = temperature
        self.mixup_alpha = mixup_alpha
        self.time_mask = time_mask
        self.frame_shift = frame_shift
        self.augmentation = augmentation
        self.frontend = frontend
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.schedule = schedule
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

    @classmethod
    def settings(cls, name: str) -> dict[str, Any]:
        """Parameters that make the detector what a publication says.

        Parameters
        ----------
        name : {"paper", "code", "baseline_2021"}
            What the paper writes; what its code does; or the MobileNetV2 baseline of 2021 and 2022.

        Returns
        -------
        parameters : dict
            For the constructor.

        Examples
        --------
        >>> from skasd.detectors import JointAECNNDetector
        >>> JointAECNNDetector(**JointAECNNDetector.settings("code")).contrastive_weight
        0.0005
        """
        check_option("name", name, _SETTINGS)
        chosen = dict(_SETTINGS[name])
        if name == "baseline_2021":
            chosen["frontend"] = LogMelTransformer(amin=_FLOOR)
        return chosen

    def _fit(self, clips: Clips) -> None:
        self._check_parameters()
        refuse_one_clip(clips)
        seed = local_random_state(self.random_state).randint(2**31 - 1)
        self._learn_settings()
        machines, domains = machine_names(clips, self._label_columns), clips.domains()
        with closing(
            PatchStore(len(clips), self.memory_budget, length=self.patch_length, step=self.patch_step)
        ) as store:
            store.fill(self._spectrograms(clips))
            levels = np.array([spectrogram.mean(axis=1) for spectrogram in store.clips()], dtype=np.float64)
            classes = ClipClasses.of(machines, levels, self.n_clusters, domain=domains, seed=seed)
            self._refuse_one_machine(classes)
            training = train_joint(
                store,
                classes.label,
                dtype=dtype_of(clips) if self.precision == "auto" else np.dtype(np.float32),
                options=JointOptions.of(self),
                training=TrainingOptions.of(self),
                seed=seed,
                augmenter=self._augmenter(store, classes.label),
            )
            self._keep(training, classes)
            outputs = self._outputs(store.clips(), len(clips))
        learnt = np.setdiff1d(np.arange(len(clips)), training.held_out)
        self.scorer_ = {}
        if self.score_with in ("auto", "embedding"):
            scorer = KNNScorer() if self.scorer is None else self.scorer
            rows = outputs.embedding[learnt], machines[learnt], domains[learnt]
            self.scorer_ = fitted_back_ends(scorer, *rows, seed=seed)
        judged = training.held_out if len(training.held_out) else learnt
        self._mode_of_offset: str | None = None
        self._mode_of_offset = self._mode(machines[judged])
        self._held_out = self._combined(outputs.of(judged), machines[judged])

    def _learn_settings(self) -> None:
        """What scoring goes by, whatever becomes of the parameters after the fit."""
        self._label_columns = () if self.label_columns is None else tuple(self.label_columns)
        self._score_with, self._length = self.score_with, self.patch_length
        self._step = self.patch_step if self.score_step is None else self.score_step
        self._median = self.median_filter if self.median_level == "clip" else None
        default = LogMelTransformer(norm=None, mel_scale="htk", center=False, top_db=_TOP_DB)
        self._frontend = checked_frontend(self.frontend, default)

    def _augmenter(self, store: PatchStore, label: np.ndarray) -> Any:
        sizes = {"n_frames": self.patch_length, "n_of_epoch": len(store.start)}
        return prepared(self.augmentation, store.clips(), label, self._frontend, **sizes)

    def _keep(self, training: Any, classes: ClipClasses) -> None:
        self.network_ = training.objective.network
        self._evaluator = folded(PatchOutputs(training.objective))
        self.classes_, self._machine_of_class = classes.names, classes.machine
        self._machines = np.unique(classes.machine)
        self.label_source_ = "clusters" if classes.is_clustered else "columns"
        self.history_ = training.history

    def _refuse_one_machine(self, classes: ClipClasses) -> None:
        if self.score_with in ("label", "predicted") and len(np.unique(classes.machine)) < 2:
            raise ValueError(
                f"score_with={self.score_with!r} asks how well a clip fits its machine and no other, and all clips are of "
                f"{str(classes.machine[0]) or 'one machine'!r}; give clips of several, or score_with='embedding'."
            )

    def _spectrograms(self, clips: Clips) -> Any:
        median = np.asarray if self._median is None else partial(filtered, size=self._median, axis="time")
        return spectrograms_of(clips, median, self._frontend, n_jobs=self.n_jobs, verbose=self.verbose)

    def _embedding(self, clips: Clips) -> np.ndarray:
        """Means over the patches of each clip of what the classifier is given."""
        return self._outputs(self._spectrograms(clips), len(clips)).embedding

    def _outputs(self, spectrograms: Iterable[np.ndarray | None], n_clips: int) -> "_Outputs":
        made = outputs_of_clips(
            [self._evaluator],
            np.zeros(n_clips, dtype=int),
            spectrograms,
            length=self._length,
            step=self._step,
            device=torch_device(self.device),
        )
        n_classes = len(self.classes_)
        clips = [self._of_clip(output, n_classes) for output in made]
        odds, embedding, error = (np.array(values) for values in zip(*clips, strict=True))
        self._n_features_out = embedding.shape[1]
        return _Outputs(odds, embedding, error)

    def _of_clip(self, output: np.ndarray, n_classes: int) -> tuple[np.ndarray, np.ndarray, float]:
        """Odds against each machine (M,), embedding (D,) and error of a clip from the outputs of its patches."""
        logits, features, error = output[:, :n_classes].astype(np.float64), output[:, n_classes:-1], output[:, -1]
        odds = np.zeros(len(self._machines))
        if len(self._machines) > 1:
            odds = np.array([log_odds(logits, self._machine_of_class == name).mean() for name in self._machines])
        return odds, features.mean(axis=0), float(error.astype(np.float64).mean())

    def _anomaly_score(self, clips: Clips) -> np.ndarray:
        machines = machine_names(clips, self._label_columns)
        if self._score_with in ("predicted", "reconstruction"):
            machines = np.full(len(clips), "")
        if (machines != "").any() or self._score_with == "label":
            refuse_unknown_machines(machines, set(self._machine_of_class), clips, self._label_columns, "label_columns")
        return self._combined(self._outputs(self._spectrograms(clips), len(clips)), machines)

    def _held_out_score(self, clips: Clips) -> np.ndarray:
        return self._held_out

    def _combined(self, outputs: "_Outputs", machines: np.ndarray) -> np.ndarray:
        score_with = self._mode(machines)
        if score_with == "embedding":
            return distance(self.scorer_, outputs.embedding, machines)
        if score_with == "reconstruction":
            return outputs.error
        if score_with == "predicted":
            return outputs.odds.min(axis=1)
        return outputs.odds[np.arange(len(machines)), np.searchsorted(self._machines, machines)]

    def _mode(self, machines: np.ndarray) -> str:
        knows_labels = len(self._machines) > 1
        return settled_mode(self._score_with, machines, knows_labels=knows_labels, of_offset=self._mode_of_offset)

    def _check_parameters(self) -> None:
        check_class_parameters(self.label_columns, self.n_clusters)
        check_option("score_with", self.score_with, _SCORE_WITH)
        if self.score_with == "reconstruction" and not self.autoencoder:
            raise ValueError("score_with='reconstruction' needs an autoencoder; set autoencoder=True.")
        if self.scorer is not None:
            check_scorer(self.scorer)
        if self.median_filter is not None:
            check_window("median_filter", self.median_filter)
        check_option("median_level", self.median_level, ("clip", "patch"))
        check_integer("patch_length", self.patch_length, low=1)
        check_integer("patch_step", self.patch_step, low=1)
        if self.score_step is not None:
            check_integer("score_step", self.score_step, low=1, other="None")
        JointOptions.of(self)
        check_augmentation(self.augmentation)
        TrainingOptions.of(self)
        if self.n_jobs is not None:
            check_integer("n_jobs", self.n_jobs, low=-np.inf, other="None")


@dataclass(frozen=True)
class _Outputs:
    """What the networks say of clips: odds against each machine (n, M), embedding (n, D), error of the autoencoder (n,)."""

    odds: np.ndarray
    embedding: np.ndarray
    error: np.ndarray

    def of(self, rows: np.ndarray) -> "_Outputs":
        return _Outputs(self.odds[rows], self.embedding[rows], self.error[rows])


_SETTINGS: dict[str, dict[str, Any]] = {
    "paper": {"contrastive_form": "one_way", "normalise_projection": False},
    "code": {
        "contrastive_weight": 0.0005,
        "normalise_projection": False,
        "normalise_features": True,
        "median_level": "patch",
        "learning_rate": 1e-5,
        "schedule": "halved_steps",
    },
    "baseline_2021": {
        "autoencoder": False,
        "width": 0.5,
        "image_channels": 3,
        "pooling": "mean",
        "dropout": 0.0,
        "median_filter": None,
        "score_step": 1,
        "max_epochs": 20,
        "learning_rate": 1e-5,
        "schedule": "constant",
    },
}
