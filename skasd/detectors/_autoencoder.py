"""AutoencoderDetector: the baseline of every challenge; what a small network cannot reproduce is anomalous."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from skasd._device import torch_device
from skasd._parameters import check_integer, check_number, check_option
from skasd._random import local_random_state
from skasd._threads import one_blas_thread
from skasd.base import BaseDetector
from skasd.clips import Clips
from skasd.detectors._machines import refuse_unknown_machines
from skasd.features import LogMelTransformer
from skasd.inputs._network_inputs import dtype_of
from skasd.inputs._patches import checked_frontend, outputs_of_clips, spectrograms_of
from skasd.objectives._autoencoder import Residuals, train_autoencoder
from skasd.scoring._residual_mahalanobis import (
    CENTERINGS,
    RESIDUALS,
    covariance_of_batches,
    mahalanobis_score,
    shrunk_inverse,
)
from skasd.training import PatchStore, TrainingOptions, evaluated

_SCORES = ("mse", "mahalanobis")
_USUAL_COLUMNS = ("machine_type", "section")
_FLOOR = float(np.finfo(np.float64).eps)  # of the power, in the baselines


class AutoencoderDetector(BaseDetector):
    r"""The dense autoencoder of the challenge baselines of 2020 to 2026.

    A few frames are squeezed into eight numbers and spread out again; normal sound survives that, and what does not is
    anomalous [1]_, [2]_. One autoencoder for each machine type, trained on all its sections and domains.

    Parameters
    ----------
    score_by : {"mse", "mahalanobis"}, default="mse"
        Mean squared residual of a clip; or its squared length in units of the spread of the residuals of normal clips, of
        the source or of the target domain, whichever is shorter.
    residual : {"clip_mean", "frame", "frame_minimum"}, default="clip_mean"
        Of ``"mahalanobis"``: the mean residual of the clip, which is what the baselines compute; or the mean over frames, of
        the domain where that is shorter; or the mean over frames of the shorter one of each.
    centering : {"batch", "global"}, default="batch"
        How the spread is taken: in each batch about its mean, as in the baselines, or as the covariance of all.
    shrinkage : float, default=0.0
        Share :math:`\lambda` of the mean variance that is added to all variances, dimensionless.
    n_context : int, default=5
        Frames that are reproduced together.
    group_columns : sequence of str, default=("machine_type",)
        Columns of the clip table that tell machines apart, each of which has an autoencoder; it may lack them.
    frontend : LogMelTransformer or None, default=None
        Makes the spectrograms of waveforms and files; None takes that of the baselines: 128 Slaney bands, 1024 / 512
        samples. Not used on features.
    max_epochs : int, default=100
        Passes over the patches.
    batch_size : int, default=256
        Patches of a step; 512 until 2022.
    learning_rate : float, default=1e-3
        Of Adam.
    validation_fraction : float, default=0.1
        Share of the clips of each domain that is held out of the training; the epoch that reproduces them best is kept, and
        they set the threshold. None are held out where that is less than one clip.
    patience : int or None, default=None
        Epochs without a lower held-out loss after which the training stops.
    precision : {"auto", "float32", "bfloat16"}, default="float32"
        Of the training; ``"auto"`` is bfloat16 where the processor has it.
    memory_budget : float, default=8e9
        Bytes of training frames above which they go into a temporary file and are read from there.
    device : str, default="auto"
        ``"cpu"``; or a torch device such as ``"cuda"``; or ``"auto"``, an accelerator where there is one.
    callbacks : list of skorch callbacks or None, default=None
        Called during the training.
    contamination : float or "auto", default="auto"
        Share of training clips below the threshold, in (0, 0.5]; ``"auto"`` is one in ten of those held out.
    threshold : {"quantile", "gamma"}, default="quantile"
        Whether the threshold is a quantile of scores, or that of a gamma distribution fitted to those of held-out clips.
    random_state : int, RandomState instance or None, default=None
        Seeds weights, order of patches and held-out clips; global generators stay untouched.
    n_jobs : int or None, default=-1
        Threads that read clips; -1 takes all cores.
    verbose : int, default=0
        Shows progress bars from 1 on.

    Attributes
    ----------
    networks_ : dict of str to torch.nn.Module
        The autoencoders by machine, on the CPU.
    covariances_ : dict of str to ndarray of shape (2, n_mels, n_mels)
        Spread of the residuals of source and target clips, by machine; of ``"mahalanobis"``.
    histories_ : dict of str to list of dict
        Epoch, losses, learning rate and seconds of each epoch, by machine.
    offset_ : float
        Threshold: ``decision_function = score_samples - offset_``.
    n_features_in_ : int
        Bands of features, or time points of a 2-D array.

    See Also
    --------
    TWFRDetector : No network, seconds on a CPU, and better on most machines.
    JointAECNNDetector : Ties an autoencoder to a classifier.

    Notes
    -----
    Layers of 128, 128, 128, 128, 8, 128, 128, 128, 128 numbers, each with batch normalisation and ReLU, then a linear one:
    267 928 parameters for patches of 5 x 128. With :math:`r_i` the rows (frames) of the residuals of all patches of a clip
    and :math:`\bar r` their mean, the scores are :math:`\overline{r^2}` and, as the code of [2]_ computes it,
    :math:`\min_d \bar r^\top \Sigma_d^{-1} \bar r`: residuals of opposite signs cancel over the clip.

    Departures from the baselines: the last layer begins at the mean frame, without which levels far from 0 dB take tens of
    thousands of steps; running statistics take in a tenth of each batch, not a hundredth; clips are held out, not patches,
    so that no frame of a clip that is trained on is validated on; the epoch with the lowest held-out loss is kept;
    thresholds are of clips, where those of 2023 and later are of the mean of 256 patches, far below; without target clips,
    or where covariances cannot be inverted, the source's and a pseudo-inverse take their place.

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

    def __init__(
        self,
        score_by: str = "mse",
        *,
        residual: str = "clip_mean",
        centering: str = "batch",
        shrinkage: float = 0.0,
        n_context: int = 5,
        group_columns: Sequence[str] = ("machine_type",),
        frontend: LogMelTransformer | None = None,
        max_epochs: int = 100,
        batch_size: int = 256,
        learning_rate: float = 1e-3,
        validation_fraction: float = 0.1,
        patience: int | None = None,
        precision: str = "float32",
        memory_budget: float = 8e9,
        device: str = "auto",
        callbacks: Any = None,
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
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
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
        if len(clips) < 2:
            raise ValueError("1 sample, that is normal clip, given to fit; a threshold needs at least 2.")
        self._columns, self._length, self._form = (
            tuple(self.group_columns),
            self.n_context,
            (self.score_by, self.residual),
        )
        self._seed = local_random_state(self.random_state).randint(2**31 - 1)
        self._frontend = checked_frontend(self.frontend, LogMelTransformer(amin=_FLOOR))
        names, is_target = clips.group_names(self._columns, _USUAL_COLUMNS), clips.domains() == "target"
        self._names, number = np.unique(names, return_inverse=True)
        with closing(PatchStore(len(clips), self.memory_budget, length=self.n_context, step=1)) as store:
            store.fill(self._spectrograms(clips))
            rows = [np.flatnonzero(number == value) for value in range(len(self._names))]
            self._machines = [
                self._fit_machine(store.part(some), is_target[some], dtype_of(clips), str(name))
                for some, name in zip(rows, self._names, strict=True)
            ]
            judged = np.concatenate([some[machine.judged] for some, machine in zip(rows, self._machines, strict=True)])
            judged.sort()
            self._held_out = self._scores(store.part(judged).clips(), number[judged])
        named = dict(zip(map(str, self._names), self._machines, strict=True))
        self.networks_ = {name: machine.residuals.network for name, machine in named.items()}
        self.covariances_ = {name: machine.covariances for name, machine in named.items()}
        self.histories_ = {name: machine.history for name, machine in named.items()}

    def _fit_machine(self, store: PatchStore, is_target: np.ndarray, dtype: np.dtype, name: str) -> "_Machine":
        if len(store.start) < 2:
            raise ValueError(
                f"The training clips of {name or 'the machine'} are one patch of {store.length} frames; batch normalisation "
                "needs at least two: give more of them, or longer ones."
            )
        domain = is_target.astype(np.int64)
        options = self._options(np.bincount(domain))
        training = train_autoencoder(store, domain, dtype, options, seed=self._seed)
        residuals = Residuals(training.objective.network).eval()  # type: ignore[arg-type]
        judged = training.held_out if len(training.held_out) else np.arange(len(domain))
        covariances = np.empty((0, store.n_bands, store.n_bands))
        if self.score_by == "mahalanobis":
            learnt = np.setdiff1d(np.arange(len(domain)), training.held_out)
            covariances = self._covariances(residuals, store, learnt, domain)
        inverses = np.array([shrunk_inverse(covariance, self.shrinkage) for covariance in covariances])
        return _Machine(residuals, covariances, inverses, training.history, judged)

    def _options(self, counts: np.ndarray) -> TrainingOptions:
        """Options of a training on so many clips of each domain."""
        fraction = self.validation_fraction if (np.round(self.validation_fraction * counts) >= 1).any() else 0.0
        patience = self.patience if fraction else None
        settled: dict[str, Any] = {"validation_fraction": fraction, "patience": patience}
        return TrainingOptions.of(self, schedule="constant", weight_decay=0.0, averaging_decay=None, **settled)

    def _covariances(
        self, residuals: nn.Module, store: PatchStore, learnt: np.ndarray, domain: np.ndarray
    ) -> np.ndarray:
        """Spread (2, F, F) of the residuals of source and target clips; where one has none, that of the other."""
        order = np.random.RandomState(self._seed).permutation(store.rows_of(learnt))
        of_patch = domain[store.clip[order]]
        found = [self._covariance(residuals, store, order, of_patch == value) for value in np.unique(of_patch)]
        return np.array([found[0], found[-1]])

    def _covariance(
        self, residuals: nn.Module, store: PatchStore, order: np.ndarray, is_chosen: np.ndarray
    ) -> np.ndarray:
        """Spread (F, F) of the residuals of the chosen patches, in the batches of a training."""
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
        names = clips.group_names(self._columns, _USUAL_COLUMNS)
        refuse_unknown_machines(names, self._names, clips, self._columns, "group_columns")
        return self._scores(self._spectrograms(clips), np.searchsorted(self._names, names))

    def _held_out_score(self, clips: Clips) -> np.ndarray:
        return self._held_out

    def _scores(self, spectrograms: Any, number: np.ndarray) -> np.ndarray:
        """Anomaly score (n_clips,) of clips of the machines of these numbers."""
        networks = [machine.residuals for machine in self._machines]
        place = {"length": self._length, "step": 1, "device": torch_device(self.device)}
        residuals = outputs_of_clips(networks, number, spectrograms, **place)
        score_by, form = self._form
        with one_blas_thread():
            if score_by == "mse":
                return np.array([np.square(residual, dtype=np.float64).mean() for residual in residuals])
            inverses = (self._machines[value].inverses for value in number)
            return np.array([mahalanobis_score(residual, next(inverses), form) for residual in residuals])

    def _spectrograms(self, clips: Clips) -> Iterator[np.ndarray | None]:
        return spectrograms_of(clips, np.asarray, self._frontend, n_jobs=self.n_jobs, verbose=self.verbose)

    def _check_parameters(self) -> None:
        check_option("score_by", self.score_by, _SCORES)
        check_option("residual", self.residual, RESIDUALS)
        check_option("centering", self.centering, CENTERINGS)
        check_number("shrinkage", self.shrinkage, low=0)
        check_integer("n_context", self.n_context, low=1)
        TrainingOptions.of(self)
        if not isinstance(self.group_columns, list | tuple):
            what = type(self.group_columns).__name__
            raise TypeError(f"group_columns={self.group_columns!r} is a {what}; a tuple of column names is expected.")
        if self.n_jobs is not None:
            check_integer("n_jobs", self.n_jobs, low=-np.inf, other="None")


@dataclass(frozen=True)
class _Machine:
    """What is known of one machine: its network, the spread of residuals in both domains, and the clips held out."""

    residuals: Residuals
    covariances: np.ndarray
    inverses: np.ndarray
    history: list[dict[str, Any]]
    judged: np.ndarray
