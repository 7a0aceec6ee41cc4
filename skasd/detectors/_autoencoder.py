"""AutoencoderDetector: the DCASE baseline, which scores a clip by how badly an autoencoder reconstructs it."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn

from skasd._device import torch_device
from skasd._parameter_group import refuse_idle
from skasd._parameters import check_columns, check_integer, check_number, check_option
from skasd._random import random_seed
from skasd._threads import one_blas_thread
from skasd.base import NormalScores
from skasd.clips import MACHINE_COLUMNS, Clips, Recordings
from skasd.clips._normal_levels import NormalLevels
from skasd.detectors._embedding import NetworkDetector
from skasd.detectors._machines import refuse_unknown_machines
from skasd.detectors._patch_outputs import outputs_of_clips, placed
from skasd.features import LogMelTransformer
from skasd.features._frontend import frontend_of
from skasd.inputs._network_inputs import network_dtype
from skasd.objectives._autoencoder import Residuals, train_autoencoder
from skasd.scoring._residual_mahalanobis import (
    CENTERINGS,
    RESIDUALS,
    covariance_of_batches,
    mahalanobis_parts,
    mahalanobis_score,
    shrunk_inverse,
)
from skasd.training import PatchStore, TrainingOptions, TrainingPlan, evaluated
from skasd.training._hold_out import held_out_clips

_SCORES = ("mse", "mahalanobis")
_FLOOR = float(np.finfo(np.float64).eps)  # lower limit of the power in the baselines


class AutoencoderDetector(NetworkDetector):
    r"""Dense autoencoder of the DCASE baselines of 2020 to 2026.

    A few frames at a time are compressed to eight numbers and reconstructed. The network is trained on normal sounds only,
    so a large reconstruction error indicates an anomaly [1]_, [2]_. There is one autoencoder for each machine type, trained
    on all its sections and domains.

    Parameters
    ----------
    score_by : {"mse", "mahalanobis"}, default="mse"
        Anomaly score: the mean squared reconstruction error of a clip; or the squared Mahalanobis distance of its residual,
        with the covariance of normal clips of the source or of the target domain, whichever gives the smaller distance.
    residual : {"clip_mean", "frame", "frame_minimum"}, default="clip_mean"
        How ``"mahalanobis"`` combines frames: the distance of the mean residual of the clip, as in the baselines; the mean
        distance of the frames, in the domain where it is smaller; or the mean over frames of the smaller distance of each.
    centering : {"batch", "global"}, default="batch"
        Mean that is subtracted for the covariance: that of each batch, as in the baselines, or that of all residuals.
    shrinkage : float, default=0.0
        Shrinkage :math:`\lambda` of the covariance, dimensionless: this share of the mean variance is added to the diagonal.
    n_context : int, default=5
        Number of consecutive frames in a patch, which are reconstructed together.
    group_columns : sequence of str, default=("machine_type",)
        Columns of the clip table that define a machine, each of which has its own autoencoder. The table may lack
        `machine_type` and `section`.
    frontend : LogMelTransformer, NoiseReducedLogMel, torch.nn.Module, callable or None, default=None
        Front end that computes spectrograms of waveforms and files, see :ref:`features_frontend`; features are used as they
        are. None uses the front end of the baselines until 2022: 128 Slaney bands, window 1024 and hop 512 samples, padded
        by reflection. Those since 2023 pad with zeros: ``LogMelTransformer(amin=2.22e-16, pad_mode="constant")``.
    feature : str, default="auto"
        Column of a clip table that is read as the spectrogram. ``"auto"`` is the one that the last transformer wrote, or
        else the only feature column.
    max_epochs : int, default=100
        Number of passes over the patches.
    batch_size : int, default=256
        Patches per training step; the baselines used 512 until 2022.
    learning_rate : float, default=1e-3
        Initial learning rate of Adam.
    training : TrainingOptions or None, default=None
        Rarely changed settings of the training: learning rate schedule, weight decay, exponential moving average (EMA) of
        the weights, validation set and early stopping, precision, memory, callbacks; see
        :class:`skasd.training.TrainingOptions`. The defaults here are a constant learning rate, no weight decay, no EMA,
        float32, and a tenth of the clips of each domain as validation set, rounded to whole clips.
    device : str, default="auto"
        Device on which the network runs: ``"cpu"``, a torch device such as ``"cuda"``, or ``"auto"`` for an accelerator
        (GPU) if there is one.
    contamination : float or "auto", default="auto"
        Accepted share of false alarms among new normal clips, in (0, 0.5]; ``"auto"`` is 10 %. It is set on the scores of
        clips of the validation set.
    threshold : {"quantile", "gamma"}, default="quantile"
        Whether the threshold is a quantile of scores, or the quantile of a gamma distribution fitted to the scores of
        held-out clips.
    random_state : int, RandomState instance or None, default=None
        Seeds the weights, the order of the patches and the validation set. The global random generators stay untouched.
    n_jobs : int or None, default=-1
        Number of threads that read clips and compute spectrograms; -1 uses all cores.
    verbose : int, default=0
        Shows progress bars if 1 or larger.

    Attributes
    ----------
    networks_ : dict of str to torch.nn.Module
        Autoencoders by machine, on the CPU.
    covariances_ : dict of str to ndarray of shape (2, n_mels, n_mels)
        Covariances of the residuals of source and target clips, by machine; of shape (0, n_mels, n_mels) for ``"mse"``.
    histories_ : dict of str to list of dict
        Number, losses, learning rate and duration in seconds of each epoch, by machine.
    training_ : TrainingPlan
        All hyperparameters of the trainings.
    offset_ : float
        Threshold: ``decision_function = score_samples - offset_``.
    n_features_in_ : int
        Number of bands of features, or of time points of a 2-D array.

    See Also
    --------
    TWFRDetector : Needs no network and seconds on a CPU, and is better on most machines.
    JointAECNNDetector : Couples an autoencoder to a classifier.

    Notes
    -----
    The network has layers of 128, 128, 128, 128, 8, 128, 128, 128 and 128 units, each with batch normalisation and ReLU,
    and a linear output layer: 267 928 parameters for patches of 5 x 128. With :math:`r_i` the rows (frames) of the residuals
    of all patches of a clip and :math:`\bar r` their mean, the scores are :math:`\overline{r^2}` and, as the code of [2]_
    computes it, :math:`\min_d \bar r^\top \Sigma_d^{-1} \bar r`, in which residuals of opposite signs cancel over the clip.

    Departures from the baselines: both ends of a clip are padded by reflection, where the baselines since 2023 pad with
    zeros; the bias of the last layer is initialised with the mean frame, since levels far from 0 dB would otherwise take
    tens of thousands of steps to learn; the momentum of batch normalisation is 0.1, not 0.01, with a warm-up; the
    validation set consists of whole clips, not patches, so that it shares no frames with the training set; the epoch with
    the lowest validation loss is kept; thresholds are computed from scores of clips, while those of 2023 and later are
    computed from means over 256 patches and are far lower; without target clips the covariance of the source is used, and
    the pseudo-inverse replaces the inverse of a singular covariance.

    References
    ----------
    .. [1] Y. Koizumi et al., "Description and discussion on DCASE2020 Challenge Task 2", DCASE Workshop 2020.
           arXiv:2006.05822.
    .. [2] N. Harada, D. Niizumi, Y. Ohishi, D. Takeuchi, M. Yasuda, "First-shot anomaly sound detection for machine
           condition monitoring: a domain generalization baseline", EUSIPCO 2023. arXiv:2303.00455.

    Examples
    --------
    >>> from skasd.datasets import make_machine_clips
    >>> from skasd.detectors import AutoencoderDetector
    >>> clips = make_machine_clips(("fan",), duration=1.0, random_state=0)
    >>> train = clips.data["split"] == "train"
    >>> detector = AutoencoderDetector(max_epochs=2, random_state=0).fit(clips.data[train])
    >>> detector.score_samples(clips.data[~train]).shape
    (20,)
    """

    _usual_training: ClassVar = {
        "schedule": "constant",
        "weight_decay": 0.0,
        "ema_decay": None,
        "validation_fraction": 0.1,
        "precision": "float32",
    }
    _idle_training: ClassVar = ("channels_last",)

    _default_frontend = staticmethod(partial(LogMelTransformer, amin=_FLOOR))

    def __init__(
        self,
        score_by: str = "mse",
        *,
        residual: str = "clip_mean",
        centering: str = "batch",
        shrinkage: float = 0.0,
        n_context: int = 5,
        group_columns: Sequence[str] = ("machine_type",),
        frontend: Any = None,
        feature: str = "auto",
        max_epochs: int = 100,
        batch_size: int = 256,
        learning_rate: float = 1e-3,
        training: TrainingOptions | None = None,
        device: str = "auto",
        contamination: float | str = "auto",
        threshold: str = "quantile",
        random_state: Any = None,
        n_jobs: int | None = -1,
        verbose: int = 0,
    ) -> None:
        self.score_by = score_by
        self.residual = residual
        self.centering = centering
        self.shrinkage = shrinkage
        self.n_context = n_context
        self.group_columns = group_columns
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

    def _fit(self, clips: Clips) -> NormalScores:
        _check_parameters(self)
        self.training_ = self._plan()
        if len(clips) < 2:
            raise ValueError("fit was given 1 sample (normal clip); a threshold needs at least 2.")
        self._columns, self._length = tuple(self.group_columns), self.n_context
        self._form = (self.score_by, self.residual)
        self._seed = random_seed(self.random_state)
        self._frontend = frontend_of(self.frontend, self._default_frontend())
        names, is_target = clips.group_names(self._columns, MACHINE_COLUMNS), clips.domains() == "target"
        self._names, number = np.unique(names, return_inverse=True)
        memory = self.training_.memory_budget
        with closing(PatchStore(len(clips), memory, length=self.n_context, step=1)) as store:
            store.fill(self._spectrograms(clips))
            levels = np.array([spectrogram.mean(axis=1) for spectrogram in store.clips()])
            origin = store.recordings = Recordings.of(clips, levels, names)
            rows = [np.flatnonzero(number == value) for value in range(len(self._names))]
            self._machines = [
                self._fit_machine(store.part(some), is_target[some], network_dtype(clips, "auto"), str(name))
                for some, name in zip(rows, self._names, strict=True)
            ]
            pairs = list(zip(rows, self._machines, strict=True))
            judged = np.sort(np.concatenate([some[machine.judged] for some, machine in pairs]))
            scores = self._scores(store.part(judged).clips(), number[judged])
        named = dict(zip(map(str, self._names), self._machines, strict=True))
        self.networks_ = {name: machine.residuals.network for name, machine in named.items()}
        self.covariances_ = {name: machine.covariances for name, machine in named.items()}
        self.histories_ = {name: machine.history for name, machine in named.items()}
        is_learnt = any(len(machine.judged) == len(some) for some, machine in pairs)
        return self._as_asked(NormalScores(scores, origin.number[judged], is_learnt, origin.n_copies, judged))

    def _fit_machine(self, store: PatchStore, is_target: np.ndarray, dtype: np.dtype, name: str) -> "_Machine":
        if len(store.start) < 2:
            raise ValueError(
                f"The training clips of {name or 'the machine'} give only one patch of {store.length} frames; batch "
                "normalisation needs at least two. Give more or longer clips."
            )
        domain = is_target.astype(np.int64)
        training = train_autoencoder(store, domain, dtype, self._plan_for(store, domain), seed=self._seed)
        residuals = Residuals(training.objective.network).eval()  # type: ignore[arg-type]
        judged = training.held_out if len(training.held_out) else np.arange(len(domain))
        covariances = np.empty((0, store.n_bands, store.n_bands))
        if self.score_by == "mahalanobis":
            learnt = np.setdiff1d(np.arange(len(domain)), training.held_out)
            covariances = self._covariances(residuals, store, learnt, domain)
        inverses = np.array([shrunk_inverse(covariance, self.shrinkage) for covariance in covariances])
        return _Machine(residuals, covariances, inverses, training.history, judged)

    def _plan_for(self, store: PatchStore, domain: np.ndarray) -> TrainingPlan:
        """The plan for these clips; the usual validation set is left out where it would have no clip."""
        if self._group("training").validation_fraction == "auto":
            try:
                held_out_clips(domain, self.training_, store.recordings, self._seed)
            except ValueError:
                return replace(self.training_, validation_fraction=0.0, patience=None)
        return self.training_

    def _covariances(
        self, residuals: nn.Module, store: PatchStore, learnt: np.ndarray, domain: np.ndarray
    ) -> np.ndarray:
        """Covariances (2, F, F) of the residuals of source and target clips; a missing domain gets that of the other."""
        order = np.random.RandomState(self._seed).permutation(store.rows_of(learnt))
        of_patch = domain[store.clip[order]]
        found = [self._covariance(residuals, store, order, of_patch == value) for value in np.unique(of_patch)]
        return np.array([found[0], found[-1]])

    def _covariance(
        self, residuals: nn.Module, store: PatchStore, order: np.ndarray, is_chosen: np.ndarray
    ) -> np.ndarray:
        """Covariance (F, F) of the residuals of the chosen patches, in batches as in training."""
        patches = store.on(torch.device("cpu"), torch.float64, np.zeros(store.n_clips, dtype=np.int64))

        def batches() -> Iterator[np.ndarray]:
            for cut in range(0, len(order), self.batch_size):
                part = slice(cut, cut + self.batch_size)
                rows = torch.from_numpy(order[part][is_chosen[part]])
                if len(rows):
                    yield patches.take(rows)[0]["patch"].numpy()

        made = evaluated(residuals, batches(), torch_device(self.device))
        return covariance_of_batches(made, centering=self.centering)

    def _anomaly_score(self, clips: Clips) -> np.ndarray:
        names = clips.group_names(self._columns, MACHINE_COLUMNS)
        refuse_unknown_machines(names, self._names, clips, self._columns, "group_columns")
        return self._scores(self._spectrograms(clips), np.searchsorted(self._names, names))

    def _anomaly_map(self, clips: Clips, normal: Sequence[NormalLevels]) -> list[np.ndarray]:
        names = clips.group_names(self._columns, MACHINE_COLUMNS)
        refuse_unknown_machines(names, self._names, clips, self._columns, "group_columns")
        number = np.searchsorted(self._names, names)
        spectrograms = [clip for clip in self._spectrograms(clips) if clip is not None]
        pairs = zip(number, _residuals(self, spectrograms, number), spectrograms, strict=True)
        split = partial(_parts, score_by=self._form[0], form=self._form[1])
        return [placed(split(residual, self._machines[of]), clip.shape[1]) for of, residual, clip in pairs]

    def _scores(self, spectrograms: Iterable[np.ndarray | None], number: np.ndarray) -> np.ndarray:
        """Anomaly score (n_clips,) of the clips; `number` is the index of the machine of each clip."""
        residuals = _residuals(self, spectrograms, number)
        score_by, form = self._form
        with one_blas_thread():
            if score_by == "mse":
                return np.array([np.square(residual, dtype=np.float64).mean() for residual in residuals])
            inverses = (self._machines[value].inverses for value in number)
            return np.array([mahalanobis_score(residual, next(inverses), form) for residual in residuals])

    def _spectrograms(self, clips: Clips) -> Iterator[np.ndarray | None]:
        return self._frontend.map(clips, np.asarray, n_jobs=self.n_jobs, verbose=self.verbose)


def _residuals(
    detector: AutoencoderDetector, spectrograms: Iterable[np.ndarray | None], number: np.ndarray
) -> Iterator[np.ndarray]:
    """Residuals (n_patches, P, F) of each clip; `number` is the index of the machine of each clip."""
    networks = [machine.residuals for machine in detector._machines]
    place = {"length": detector._length, "step": 1, "device": torch_device(detector.device)}
    return outputs_of_clips(networks, number, spectrograms, **place)


def _check_parameters(detector: AutoencoderDetector) -> None:
    check_option("score_by", detector.score_by, _SCORES)
    check_option("residual", detector.residual, RESIDUALS)
    check_option("centering", detector.centering, CENTERINGS)
    check_number("shrinkage", detector.shrinkage, low=0)
    check_integer("n_context", detector.n_context, low=1)
    check_columns("group_columns", detector.group_columns)
    if detector.score_by == "mse":
        refuse_idle(detector, ("residual", "centering", "shrinkage"), "score_by='mse'")


def _parts(residual: np.ndarray, machine: "_Machine", *, score_by: str, form: str) -> np.ndarray:
    """Parts (n_patches, P, F) that the score of a clip with these residuals splits into."""
    residual = residual.astype(np.float64)
    if score_by == "mse":
        return np.square(residual) / residual.size
    return mahalanobis_parts(residual, machine.inverses, form)


@dataclass(frozen=True)
class _Machine:
    """The fitted parts of one machine, and the positions of the clips that determine the threshold."""

    residuals: Residuals
    covariances: np.ndarray
    inverses: np.ndarray
    history: list[dict[str, Any]]
    judged: np.ndarray
