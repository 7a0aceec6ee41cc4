"""TWFRDetector: Gaussian mixtures on rank-weighted spectra; it has no training loop and takes seconds on a CPU."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from sklearn.base import clone

from skasd._parameter_group import refuse_idle
from skasd._parameters import check_columns, check_integer, check_n_jobs, check_number, check_option
from skasd._random import local_random_state
from skasd._rank_pooling import decay_values, frame_weights
from skasd._threads import one_blas_thread
from skasd.base import BaseDetector, NormalScores
from skasd.clips import MACHINE_COLUMNS, Clips, Recordings
from skasd.clips._normal_levels import NormalLevels
from skasd.clustering._clip_statistics import IMPULSIVE_SKEWNESS, mean_skewness
from skasd.detectors._gaussian import SCORES, split_score
from skasd.detectors._machines import refuse_unknown_machines
from skasd.detectors._spectrum_models import Mixtures, Scorers, SpectrumModels
from skasd.detectors._twfr_scores import Machine, TWFRScores, spectra
from skasd.features._frontend import frontend_of, twfr_frontend
from skasd.scoring import check_scorer

# r="auto": from the mean over time to a mean dominated by the two loudest frames of each band
_AUTO_R = (1.0, 0.95, 0.8, 0.5)
_LEAST_SPREAD = 1.0  # in nats; nearly identical training clips would underestimate the spread of new ones


class TWFRDetector(TWFRScores, BaseDetector):
    r"""Gaussian mixtures on time-weighted spectra.

    The log-mel spectrogram of a clip is pooled over time into one spectrum, with weights :math:`r^n` for the frames of
    each band in order of loudness [1]_, and a Gaussian mixture models the spectra of normal clips. Each machine and section
    in the clip table has its own mixture. The detector needs no labels, no training loop and no accelerator.

    Parameters
    ----------
    r : float, sequence of float or "auto", default="auto"
        Decay of the weights, in [0, 1], dimensionless: 1 is the mean over time, 0 the maximum. Each of several values has
        its own mixture, and the largest normalised score is used. ``"auto"`` chooses values for each machine, see Notes.
    n_components : int, default=1
        Number of components of each mixture.
    reg_covar : float, default=0.1
        Regularisation that is added to the variances, in the squared unit of the features (dB²).
    score_by : {"component", "log_likelihood"}, default="component"
        Anomaly score: negative log density of the nearest component, as published, or negative log-likelihood of the
        mixture.
    scorer : estimator or None, default=None
        Outlier detector or density model, such as those of :mod:`skasd.scoring` or scikit-learn, that takes the place of the
        mixture of each value of `r`. None fits Gaussian mixtures, to which `n_components`, `reg_covar` and `score_by` apply.
    group_columns : sequence of str, default=("machine_type", "section")
        Columns of the clip table that define a machine. The table may lack these two, or have them empty.
    frontend : LogMelTransformer, NoiseReducedLogMel, torch.nn.Module, callable or None, default=None
        Front end that computes spectrograms of waveforms and files, see :ref:`features_frontend`; features are used as they
        are. None uses the front end of [1]_: 128 HTK bands without norm, window 1024 and hop 512 samples.
    feature : str, default="auto"
        Column of a clip table that is read as the spectrogram. ``"auto"`` is the one that the last transformer wrote, or
        else the only feature column.
    contamination : float or "auto", default="auto"
        Accepted share of false alarms among new normal clips, in (0, 0.5]; ``"auto"`` is 10 %. It is set on the scores of
        training clips, each by a mixture fitted to other recordings.
    threshold : {"quantile", "gamma"}, default="quantile"
        Whether the threshold is a quantile of scores, or the quantile of a gamma distribution fitted to the scores of
        held-out clips.
    random_state : int, RandomState instance or None, default=None
        Seeds mixtures of several components; with a `scorer`, the scorer and the folds in which clips are held out. The
        global random generators stay untouched.
    n_jobs : int or None, default=-1
        Number of threads that read clips and compute spectra; -1 uses all cores.
    verbose : int, default=0
        Shows a progress bar if 1 or larger.

    Attributes
    ----------
    r_ : dict of str to tuple of float
        Decay values by machine. The name of a machine is its cells of `group_columns` joined with "/", or "" without such
        columns.
    skewness_ : dict of str to float
        Skewness of the levels over time, averaged over bands and clips, dimensionless, by machine; ``r="auto"`` uses it.
    mixtures_ : dict of str to list of GaussianMixture, or of BackEnd
        Mixtures by machine, one for each value of `r_`; with a `scorer`, the fitted scorers.
    offset_ : float
        Threshold: ``decision_function = score_samples - offset_``.
    n_features_in_ : int
        Number of bands of features, or of time points of a 2-D array.

    See Also
    --------
    skasd.features.TWFRTransformer : Computes only the spectra.
    StatisticsDetector : Chooses among these and other statistics; the detector to start with.

    Notes
    -----
    With one value of r, the anomaly score of a spectrum :math:`v` is, as in the code of [1]_,
    :math:`A = -\max_k \ln N(v \mid \mu_k, \Sigma_k)`, without the weights of the components. With several values it is

    .. math:: A = \max_r \frac{A_r - m_r}{s_r},

    where :math:`m_r` and :math:`s_r` are mean and standard deviation of the scores of normal clips, each scored by a mixture
    fitted to other clips; :math:`s_r` is at least 1. Such scores can be compared between machines, unlike those of a single
    r.

    ``r="auto"`` uses 1, 0.95, 0.8 and 0.5, but omits 1 for impulsive machines: those whose levels in dB have a skewness over
    time above 0.4, averaged over bands and normal clips.

    Departures from the paper: 0.1 is added to the variances, because with 1e-6 the covariance of a few hundred clips is
    almost singular; the fit of mixtures with several components stops at a gain of 1e-3 (`tol`), not 1e-6, or after 200
    iterations (`max_iter`), not 100; r and the number of components are not chosen on labelled test clips; clips are not cut
    to ten seconds.

    References
    ----------
    .. [1] J. Guan, Y. Liu, Q. Zhu, T. Zheng, J. Han, W. Wang, "Time-weighted frequency domain audio representation with
           GMM estimator for anomalous sound detection", ICASSP 2023. arXiv:2305.03328. Code: github.com/liuyoude/TWFR-GMM.

    Examples
    --------
    >>> import numpy as np
    >>> from skasd.detectors import TWFRDetector
    >>> rng = np.random.default_rng(0)
    >>> normal = rng.standard_normal((20, 16000))
    >>> detector = TWFRDetector().fit(normal)
    >>> louder_and_sparser = normal[:1] * (np.arange(16000) % 2000 < 100) * 10
    >>> detector.predict(louder_and_sparser)
    array([-1])
    """

    _default_frontend = staticmethod(twfr_frontend)

    def __init__(
        self,
        r: float | Sequence[float] | str = "auto",
        *,
        n_components: int = 1,
        reg_covar: float = 0.1,
        score_by: str = "component",
        scorer: Any = None,
        group_columns: Sequence[str] = ("machine_type", "section"),
        frontend: Any = None,
        feature: str = "auto",
        contamination: float | str = "auto",
        threshold: str = "quantile",
        random_state: Any = None,
        n_jobs: int | None = -1,
        verbose: int = 0,
    ) -> None:
        self.r = r
        self.n_components = n_components
        self.reg_covar = reg_covar
        self.score_by = score_by
        self.scorer = scorer
        self.group_columns = group_columns
        self.frontend = frontend
        self.feature = feature
        self.contamination = contamination
        self.threshold = threshold
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    @property
    def _leaves_out(self) -> str:  # type: ignore[override]
        return "leave_one_out" if self.scorer is None and self.n_components == 1 else "cross"

    def _fit(self, clips: Clips) -> NormalScores:
        values = self._values = self._check_parameters()
        self._frontend = frontend_of(self.frontend, self._default_frontend())
        self._group_columns, self._models = tuple(self.group_columns), _models_of(self)
        names = clips.group_names(self._group_columns, MACHINE_COLUMNS)
        pairs = self._of_clips(clips, partial(_spectra_and_skewness, r=values))
        spectra, skewness = (np.stack(column) for column in zip(*pairs, strict=True))
        recordings = Recordings.of(clips, spectra.reshape(len(spectra), -1), names)
        with one_blas_thread():
            left_out = self._fit_machines(recordings, clips.domains(), spectra, skewness)
        return NormalScores(left_out, recordings.number, n_copies=recordings.n_copies)

    def _fit_machines(
        self, recordings: Recordings, domain: np.ndarray, spectra: np.ndarray, skewness: np.ndarray
    ) -> np.ndarray:
        """Fit each machine, and return the score (n_clips,) of each clip under mixtures fitted to other recordings."""
        names = recordings.machine
        self._machines: dict[str, Machine] = {}
        left_out = np.empty(len(names))
        self.skewness_: dict[str, float] = {}
        for name in np.unique(names):
            group = names == name
            self.skewness_[str(name)] = float(skewness[group].mean())
            kept = [index for index, r in enumerate(self._values) if self._is_kept(r, self.skewness_[str(name)])]
            _refuse_too_few(str(name), int(group.sum()), self.n_components)
            own = recordings.number[group]
            machine, left_out[group] = self._fit_machine(spectra[group], domain[group], own, kept)
            self._machines[str(name)] = machine
        self.r_ = {name: machine.r for name, machine in self._machines.items()}
        self.mixtures_ = {name: machine.mixtures for name, machine in self._machines.items()}
        return left_out

    def _anomaly_map(self, clips: Clips, normal: Sequence[NormalLevels]) -> list[np.ndarray] | None:
        names = clips.group_names(self._group_columns, MACHINE_COLUMNS)
        refuse_unknown_machines(names, self._machines, clips, self._group_columns, "group_columns")
        machines = [self._machines[str(name)] for name in names]
        if not all(self._models.splits(machine.mixtures[0]) for machine in machines):
            return None
        spectrograms = self._frontend.map(clips, np.asarray, n_jobs=self.n_jobs, verbose=self.verbose)
        with one_blas_thread():
            triples = zip(machines, spectrograms, normal, strict=True)
            return [
                _anomaly_map(machine, spectrogram, levels, self._models) for machine, spectrogram, levels in triples
            ]

    def _is_kept(self, r: float, skewness: float) -> bool:
        return not (isinstance(self.r, str) and r == 1.0 and skewness > IMPULSIVE_SKEWNESS)

    def _fit_machine(
        self, spectra: np.ndarray, domain: np.ndarray, recording: np.ndarray, kept: list[int]
    ) -> tuple[Machine, np.ndarray]:
        """Models of one machine, and the score (n_clips,) of each of its clips under models fitted to others."""
        models = [self._models.fit(spectra[:, index], domain) for index in kept]
        left_out = np.array([self._models.held_out(spectra[:, index], domain, recording) for index in kept])
        location, spread = np.zeros(len(kept)), np.ones(len(kept))
        if len(kept) > 1:
            location, spread = left_out.mean(axis=1), left_out.std(axis=1)
            least = _LEAST_SPREAD if self.scorer is None else 0.0  # the unit of other scores is unknown
            spread = np.where(spread > least, spread, least or 1.0)
        machine = Machine(tuple(self._values[index] for index in kept), kept, models, location, spread)
        return machine, machine.combined(left_out)

    def _check_parameters(self) -> tuple[float, ...]:
        """Check all parameters, and return the values of r."""
        check_integer("n_components", self.n_components, low=1)
        check_number("reg_covar", self.reg_covar, low=0, above=True)
        check_option("score_by", self.score_by, SCORES)
        check_columns("group_columns", self.group_columns)
        check_n_jobs(self.n_jobs)
        check_integer("verbose", self.verbose, low=0)
        if self.scorer is not None:
            check_scorer(self.scorer)
            refuse_idle(self, ["n_components", "reg_covar", "score_by"], "a scorer")
        elif self.n_components == 1:
            refuse_idle(self, ["score_by"], "n_components=1")
        if isinstance(self.r, str):
            check_option("r", self.r, ("auto",))
            return _AUTO_R
        return decay_values(self.r)


def _refuse_too_few(name: str, n_clips: int, n_components: int) -> None:
    needed = max(2, n_components)
    if n_clips < needed:
        where = f" of {name}" if name else ""
        raise ValueError(
            f"fit was given {n_clips} sample(s){where} (normal clips); n_components={n_components} needs at least {needed}."
        )


def _models_of(detector: TWFRDetector) -> SpectrumModels:
    """What a detector with these parameters fits to spectra."""
    random_state = local_random_state(detector.random_state)
    if detector.scorer is not None:
        return Scorers(clone(detector.scorer), random_state)
    settings = {"n_components": detector.n_components, "reg_covar": detector.reg_covar, "random_state": random_state}
    return Mixtures(detector.score_by, settings)


def _spectra_and_skewness(spectrogram: np.ndarray, *, r: tuple[float, ...]) -> tuple[np.ndarray, float]:
    """TWFR spectra (n_r, n_mels), and the skewness of the levels over time, averaged over bands."""
    return spectra(spectrogram, r=r), mean_skewness(spectrogram.astype(np.float64, copy=False))


def _anomaly_map(machine: Machine, spectrogram: np.ndarray, normal: NormalLevels, models: SpectrumModels) -> np.ndarray:
    """Parts (F, T) of the score of a spectrogram (F, T), by the r whose normalised score is the largest."""
    pooled = spectra(spectrogram, r=machine.r)
    scores = [models.score(model, one[None]) for model, one in zip(machine.mixtures, pooled, strict=True)]
    best = int(((np.array(scores)[:, 0] - machine.location) / machine.spread).argmax())
    spectrogram = spectrogram.astype(np.float64, copy=False)
    weights, deviation = frame_weights(spectrogram, machine.r[best]), spectrogram - normal.at(spectrogram)[0]
    return split_score(machine.mixtures[best], pooled[best], weights, deviation) / machine.spread[best]
