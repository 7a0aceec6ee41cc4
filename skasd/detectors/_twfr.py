"""TWFRDetector: Gaussian mixtures on one rank-weighted spectrum per clip; no training loop, seconds on a CPU."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from sklearn.mixture import GaussianMixture

from skasd._parameters import check_integer, check_number, check_option
from skasd._random import local_random_state
from skasd._rank_pooling import decay_values, twfr
from skasd._threads import one_blas_thread
from skasd.base import BaseDetector
from skasd.clips import Clips
from skasd.clustering._clip_statistics import IMPULSIVE_SKEWNESS, mean_skewness
from skasd.detectors._gaussian import SCORES, fit_mixture, held_out_scores
from skasd.detectors._machines import refuse_unknown_machines
from skasd.features import LogMelTransformer
from skasd.features._twfr import map_spectrograms, or_published

# r="auto": from the mean over time to what the two loudest frames of each band say
_AUTO_R = (1.0, 0.95, 0.8, 0.5)
_USUAL_COLUMNS = ("machine_type", "section")
_LEAST_SPREAD = 1.0  # nats; clips that are all alike say nothing about the spread of new ones


class TWFRDetector(BaseDetector):
    r"""Time-weighted spectra and Gaussian mixtures: the detector to begin with.

    The log-mel spectrogram of a clip is pooled over time into one spectrum, with weights :math:`r^n` for the frames of
    each band in order of loudness [1]_, and a Gaussian mixture learns which spectra normal clips have: one mixture per
    machine and section where the table tells them apart. It needs no labels, no training loop and no accelerator.

    Parameters
    ----------
    r : float, sequence of float or "auto", default="auto"
        Decay of the weights, in [0, 1], dimensionless: 1 is the mean over time, 0 the maximum. Of several, each has its
        mixture and the largest normalised score counts. ``"auto"`` chooses them for each machine, see Notes.
    n_components : int, default=1
        Components of each mixture.
    reg_covar : float, default=0.1
        Added to the variances, in squares of the unit of the features (dB).
    score_by : {"component", "log_likelihood"}, default="component"
        Negative log density of the nearest component, as published, or of the mixture.
    group_columns : sequence of str, default=("machine_type", "section")
        Columns of the clip table that tell machines apart; it may lack these two, or know no cell of them.
    frontend : LogMelTransformer or None, default=None
        Makes the spectrograms of waveforms and files; None takes that of [1]_: 128 HTK bands without norm, 1024 / 512
        samples. Not used where the table has a `log_mel` column or X is 3-D.
    contamination : float or "auto", default="auto"
        Share of training clips below the threshold, in (0, 0.5]. ``"auto"`` sets the threshold where one in ten normal
        clips falls below it that the mixtures did not learn from: of the clips that they did, far fewer would.
    threshold : {"quantile", "gamma"}, default="quantile"
        Whether the threshold is a quantile of scores, or that of a gamma distribution fitted to those of held-out clips.
    random_state : int, RandomState instance or None, default=None
        Seeds mixtures of several components; global generators stay untouched.
    n_jobs : int or None, default=-1
        Threads that read clips and make spectra; -1 takes all cores. A `frontend` has its own.
    verbose : int, default=0
        Shows a progress bar from 1 on. A `frontend` has its own.

    Attributes
    ----------
    r_ : dict of str to tuple of float
        Decay values by machine; the key joins the cells of `group_columns` with "/" ("" without such columns).
    skewness_ : dict of str to float
        Mean skewness of the levels in a band over time, dimensionless, which ``r="auto"`` goes by.
    mixtures_ : dict of str to list of GaussianMixture
        One mixture for each value of `r_`.
    offset_ : float
        Threshold: ``decision_function = score_samples - offset_``.
    n_features_in_ : int
        Bands of features, or time points of a 2-D array.

    See Also
    --------
    skasd.features.TWFRTransformer : The spectra alone.

    Notes
    -----
    With one value of r the anomaly score of a spectrum :math:`v` is that of the code of [1]_,
    :math:`A = -\max_k \ln N(v \mid \mu_k, \Sigma_k)`, without the weights of the components. With several,

    .. math:: A = \max_r \frac{A_r - m_r}{s_r},

    where :math:`m_r, s_r` are mean and standard deviation of the scores of normal clips, each under a mixture of the
    others, :math:`s_r` at least 1; such scores can be compared between machines, those of a single r cannot.

    ``r="auto"`` takes 1, 0.95, 0.8 and 0.5, without 1 where the machine is impulsive: where the skewness of its levels over
    time, in dB and on average over bands and normal clips, is above 0.4. Nothing but normal clips enters.

    Departures from the paper: 0.1 is added to the variances, where 1e-6 leaves the covariance of a few hundred clips
    almost singular; mixtures of several components stop at a gain of 1e-3, not 1e-6; r and the number of components are
    not chosen on labelled test clips; clips are not cut to ten seconds.

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

    def __init__(
        self,
        r: float | Sequence[float] | str = "auto",
        *,
        n_components: int = 1,
        reg_covar: float = 0.1,
        score_by: str = "component",
        group_columns: Sequence[str] = ("machine_type", "section"),
        frontend: LogMelTransformer | None = None,
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
        self.group_columns = group_columns
        self.frontend = frontend
        self.contamination = contamination
        self.threshold = threshold
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    def _fit(self, clips: Clips) -> None:
        values = self._values = self._check_parameters()
        self._group_columns, self._score_by = tuple(self.group_columns), self.score_by
        names = clips.group_names(self._group_columns, _USUAL_COLUMNS)
        spectra, skewness = self._spectra(clips, values)
        with one_blas_thread():
            self._fit_machines(names, values, spectra, skewness)

    def _fit_machines(
        self, names: np.ndarray, values: Sequence[float], spectra: np.ndarray, skewness: np.ndarray
    ) -> None:
        random_state = local_random_state(self.random_state)
        self._machines: dict[str, _Machine] = {}
        self._left_out = np.empty(len(names))
        self.skewness_: dict[str, float] = {}
        for name in np.unique(names):
            group = names == name
            self.skewness_[str(name)] = float(skewness[group].mean())
            kept = [index for index, r in enumerate(values) if self._is_kept(r, self.skewness_[str(name)])]
            self._refuse_too_few(str(name), int(group.sum()))
            machine, self._left_out[group] = self._fit_machine(spectra[group], values, kept, random_state)
            self._machines[str(name)] = machine
        self.r_ = {name: machine.r for name, machine in self._machines.items()}
        self.mixtures_ = {name: machine.mixtures for name, machine in self._machines.items()}

    def _anomaly_score(self, clips: Clips) -> np.ndarray:
        names = clips.group_names(self._group_columns, _USUAL_COLUMNS)
        refuse_unknown_machines(names, self._machines, clips, self._group_columns, "group_columns")
        spectra, _ = self._spectra(clips, self._values)
        scores = np.empty(len(clips))
        with one_blas_thread():
            for name in np.unique(names):
                group = names == name
                scores[group] = self._machines[str(name)].anomaly_score(spectra[group], self._score_by)
        return scores

    def _held_out_score(self, clips: Clips) -> np.ndarray:
        return self._left_out

    def _spectra(self, clips: Clips, r: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
        """TWFR spectra (n_clips, n_r, n_mels) and skewness (n_clips,) of the levels."""
        frontend = None
        if clips.kind != "feature":
            own = {"n_jobs": self.n_jobs, "verbose": self.verbose}
            frontend = or_published(None).set_params(**own) if self.frontend is None else self.frontend
        statistics = partial(_statistics, r=tuple(r))
        pairs = list(map_spectrograms(clips, statistics, frontend, n_jobs=self.n_jobs, verbose=self.verbose))
        spectra, skewness = zip(*pairs, strict=True)
        _refuse_unequal_bands(spectra, clips)
        return np.stack(spectra), np.array(skewness)

    def _is_kept(self, r: float, skewness: float) -> bool:
        return not (isinstance(self.r, str) and r == 1.0 and skewness > IMPULSIVE_SKEWNESS)

    def _fit_machine(
        self, spectra: np.ndarray, r: Sequence[float], kept: list[int], random_state: np.random.RandomState
    ) -> tuple["_Machine", np.ndarray]:
        """Mixtures of one machine, and the score (n_clips,) of each of its clips under mixtures of the others."""
        settings: dict[str, Any] = {
            "n_components": self.n_components, "reg_covar": self.reg_covar, "random_state": random_state
        }  # fmt: skip
        mixtures = [fit_mixture(spectra[:, index], **settings) for index in kept]
        left_out = np.array([held_out_scores(spectra[:, index], self.score_by, **settings) for index in kept])
        location, spread = np.zeros(len(kept)), np.ones(len(kept))
        if len(kept) > 1:
            location, spread = left_out.mean(axis=1), np.maximum(left_out.std(axis=1), _LEAST_SPREAD)
        machine = _Machine(tuple(r[index] for index in kept), kept, mixtures, location, spread)
        return machine, machine.combined(left_out)

    def _check_parameters(self) -> tuple[float, ...]:
        """Raise if a parameter is out of range; values of r."""
        check_integer("n_components", self.n_components, low=1)
        check_number("reg_covar", self.reg_covar, low=0, above=True)
        check_option("score_by", self.score_by, SCORES)
        or_published(self.frontend)
        if not isinstance(self.group_columns, list | tuple):
            what = type(self.group_columns).__name__
            raise TypeError(f"group_columns={self.group_columns!r} is a {what}; a tuple of column names is expected.")
        if isinstance(self.r, str):
            check_option("r", self.r, ("auto",))
            return _AUTO_R
        return decay_values(self.r)

    def _refuse_too_few(self, name: str, n_clips: int) -> None:
        needed = max(2, self.n_components)
        if n_clips < needed:
            where = f" of {name}" if name else ""
            raise ValueError(
                f"{n_clips} sample(s){where}, that is normal clips, given to fit; n_components={self.n_components} needs at "
                f"least {needed}."
            )


@dataclass(frozen=True)
class _Machine:
    """What is known of one machine: a mixture for each r, and how its scores are normalised."""

    r: tuple[float, ...]
    kept: list[int]
    mixtures: list[GaussianMixture]
    location: np.ndarray
    spread: np.ndarray

    def anomaly_score(self, spectra: np.ndarray, score: str) -> np.ndarray:
        """Largest normalised score over r, of shape (n_clips,), of spectra (n_clips, n_r, n_mels)."""
        scores = [
            SCORES[score](mixture, spectra[:, index]) for index, mixture in zip(self.kept, self.mixtures, strict=True)
        ]
        return self.combined(np.array(scores))

    def combined(self, scores: np.ndarray) -> np.ndarray:
        """Largest normalised score of scores (n_r, n_clips)."""
        return ((scores - self.location[:, None]) / self.spread[:, None]).max(axis=0)


def _statistics(spectrogram: np.ndarray, *, r: tuple[float, ...]) -> tuple[np.ndarray, float]:
    """TWFR spectra (n_r, n_mels) in float64, and the mean skewness of the levels over time in a band."""
    spectrogram = spectrogram.astype(np.float64, copy=False)
    return twfr(spectrogram, r), mean_skewness(spectrogram)


def _refuse_unequal_bands(spectra: Sequence[np.ndarray], clips: Clips) -> None:
    for position, spectrum in enumerate(spectra):
        if spectrum.shape != spectra[0].shape:
            raise ValueError(
                f"{clips.name(position)} has {spectrum.shape[1]} bands, {clips.name(0)} has {spectra[0].shape[1]}; "
                "all clips need the same."
            )
