"""CalibratedDetector: a detector around a detector, whose decisions have a stated false alarm rate."""

import inspect
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted

from skasd._constant_scores import warn_of_constant_scores
from skasd._parameters import check_number, check_option
from skasd._random import random_seed
from skasd._threshold import threshold_is_used, warn_of_copies
from skasd.base import BaseDetector, NormalScores
from skasd.clips import ANY_FEATURE, MACHINE_COLUMNS, Clips
from skasd.clips._usable import UsablePart, skips
from skasd.decisions._calibration import fewest_recordings, tie_draws
from skasd.decisions._exchangeability import ALTERNATIVES, ExchangeabilityTest, exchangeability_of
from skasd.decisions._groups import Group, groups_of, refuse_alpha, threshold_of_all
from skasd.decisions._more import KnownClips, with_more_clips
from skasd.decisions._options import checked_hold_out, refuse_idle
from skasd.decisions._scored import known_groups, of_groups, ranked, scored, warn_of_provisional
from skasd.decisions._selection import benjamini_hochberg, in_order
from skasd.detectors._held_out_fits import anomaly_score, container, seeded

_TIES = ("conservative", "random")
_USUAL_FDR = 0.1


class CalibratedDetector(BaseDetector):
    r"""Detector whose decisions have a stated false alarm rate, by conformal p-values.

    Put it around any detector of skasd, a pipeline, or an outlier detector of scikit-learn. It learns from normal clips
    which anomaly scores are usual for each machine, and decides about new clips by their p-values: of new normal clips of a
    machine, at most the share `alpha` raises an alarm. The scores themselves stay those of the detector inside.

    Parameters
    ----------
    detector : estimator
        Detector, or pipeline that ends in one: anything with ``fit`` and ``score_samples`` for clips. A fitted one in
        :class:`sklearn.frozen.FrozenEstimator` is not fitted again, and all clips of ``fit`` calibrate it.
    alpha : float, default=0.05
        Accepted false alarm rate, in (0, 0.5]: an alarm is a p-value of at most `alpha`. It takes :math:`1 / \alpha - 1`
        calibration clips of each group: 19 for 0.05, 99 for 0.01.
    method : {"auto", "split", "cross", "leave_one_out"}, default="auto"
        Which clips calibrate. ``"split"`` holds some out and fits to the others; ``"cross"`` fits to all of them, and scores
        each by a copy that was fitted to the other folds; ``"leave_one_out"`` scores each by what was learnt of all others,
        where the detector has that in closed form. ``"auto"`` uses the scores that the detector computes in its own fit if
        each clip has one (:class:`~skasd.detectors.TWFRDetector`, :class:`~skasd.detectors.StatisticsDetector`), splits for
        the other detectors of skasd, whose training is long, and uses ``"cross"`` otherwise.
    group_columns : sequence of str, default=("machine_type", "section")
        Columns of the clip table that define the groups, each of which has a calibration of its own. The table may lack
        these two.
    calibration_fraction : float or "auto", default="auto"
        Share of the recordings of each group that ``"split"`` holds out, in (0, 0.9]. ``"auto"`` is a quarter, or up to a
        half if `alpha` and `learning_period` take so many.
    n_folds : int or "auto", default="auto"
        Number of folds of ``"cross"``, at least 2. ``"auto"`` is 5.
    learning_period : int, default=20
        Number of calibration recordings below which the decisions about a group are provisional: they use a robust z-score
        and no rank, and there is no p-value. :meth:`calibrate` adds clips.
    random_state : int, RandomState instance or None, default=0
        Determines the held-out clips, and seeds a detector whose own `random_state` is None. The global random generators
        stay untouched.
    n_jobs : int or None, default=None
        Number of folds that are fitted at the same time, and of threads that compare clips, as in joblib.
    verbose : int, default=0
        Shows progress bars if 1 or larger, also those of the detector.

    Attributes
    ----------
    detector_ : estimator
        Fitted detector, which computes the scores.
    method_ : {"split", "cross", "leave_one_out"}
        How the calibration clips were held out.
    alpha_ : float
        False alarm rate of the decisions; :meth:`set_alpha` changes it.
    offsets_ : dict of str to float
        Threshold on ``score_samples`` by group. The name of a group is its cells of `group_columns` joined with "/", or "".
    offset_ : float
        Threshold of the only group; of several, that of all calibration clips together, which no decision uses.
    n_calibration_ : dict of str to int
        Number of calibration recordings by group.
    is_provisional_ : dict of str to bool
        Whether the decisions are provisional, by group.
    n_features_in_ : int
        Number of bands of features, or of time points of a 2-D array.

    See Also
    --------
    decision_table : Score, p-value and decision of each clip.

    Notes
    -----
    With the scores :math:`A_1, \dots, A_n` of n calibration clips of the group, the p-value of a clip with the anomaly score
    :math:`a` is

    .. math:: p = \frac{1 + \#\{i : A_i \ge a\}}{n + 1},

    Eq. (2) of [1]_; the idea is that of [3]_. If the clip is normal and exchangeable with the calibration clips,
    :math:`P(p \le \alpha) \le \alpha` for every :math:`\alpha` and n, whatever the detector: exactly so with ``"split"``.
    With the other methods the calibration scores come from models that were fitted to slightly fewer clips than the one
    that scores new clips, and the rate holds approximately. Each training of a network scores on a scale of its own;
    ``"cross"`` brings the scores of its folds to that of the detector, by the mean and the standard deviation of the scores
    of learnt clips. The probability is over calibration clips too: with n of them, the rate of one calibrated detector
    varies around :math:`\alpha` by about :math:`\sqrt{\alpha (1 - \alpha) / n}`.

    Windows of one recording, named by the column `group` of the clip table, are held out together, and count as one clip:
    each has the weight 1 / (number of windows), which keeps the guarantee for a clip of a new recording [2]_.

    Nothing is promised for clips that are not like the calibration clips: after drift, in other operating states, through
    another microphone. :meth:`check_exchangeability` tests for that.

    References
    ----------
    .. [1] S. Bates, E. Candès, L. Lei, Y. Romano, M. Sesia, "Testing for outliers with conformal p-values", Annals of
           Statistics 51(1), 2023. arXiv:2104.08279.
    .. [2] Y. Lee, R. F. Barber, R. Willett, "Distribution-free inference with hierarchical data", 2023. arXiv:2306.06342.
    .. [3] V. Vovk, A. Gammerman, G. Shafer, "Algorithmic Learning in a Random World", Springer, 2005.

    Examples
    --------
    >>> from skasd.datasets import make_machine_clips
    >>> from skasd.decisions import CalibratedDetector
    >>> from skasd.detectors import TWFRDetector
    >>> clips = make_machine_clips("valve", n_train=60, duration=2.0, random_state=0).data
    >>> train, new = clips[clips["split"] == "train"], clips[clips["split"] == "test"]
    >>> detector = CalibratedDetector(TWFRDetector(), alpha=0.05).fit(train)
    >>> detector.method_, detector.n_calibration_
    ('leave_one_out', {'valve/00': 60})
    >>> bool((detector.predict(new) == -1).tolist() == (detector.p_values(new) <= 0.05).tolist())
    True
    """

    feature = ANY_FEATURE  # the detector inside reads the feature column that it needs
    _hears_long_clips = True  # the detector inside does
    _required_parameters = ["detector"]  # used by scikit-learn

    def __init__(
        self,
        detector: Any,
        *,
        alpha: float = 0.05,
        method: str = "auto",
        group_columns: Sequence[str] = ("machine_type", "section"),
        calibration_fraction: float | str = "auto",
        n_folds: int | str = "auto",
        learning_period: int = 20,
        random_state: Any = 0,
        n_jobs: int | None = None,
        verbose: int = 0,
    ) -> None:
        self.detector = detector
        self.alpha = alpha
        self.method = method
        self.group_columns = group_columns
        self.calibration_fraction = calibration_fraction
        self.n_folds = n_folds
        self.learning_period = learning_period
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    def _fit(self, clips: Clips) -> NormalScores:
        _check_detector(self.detector)
        hold_out = checked_hold_out(self)
        self.method_ = hold_out.method_for(self.detector)
        refuse_idle(self)
        self._group_columns, self._learning_period = tuple(self.group_columns), self.learning_period
        self._seed = random_seed(hold_out.generator)
        names = clips.group_names(self._group_columns, MACHINE_COLUMNS)
        detector = seeded(clone(self.detector), hold_out.generator)
        if self.verbose and "verbose" in detector.get_params(deep=False):
            detector.set_params(verbose=self.verbose)
        self.detector_, scores = hold_out.fit(detector, clips, names)
        position = np.arange(len(clips)) if scores.position is None else scores.position
        self._known_clips = KnownClips.of(clips)
        self._groups = groups_of(scores, names[position]) | _learnt_groups(self, clips, names, names[position])
        return scores

    def _learn_threshold(self, scores: NormalScores, clips: Clips) -> None:
        if not threshold_is_used():  # inside an ensemble, for example
            _decide_by(self, self.alpha)
            return
        self.set_alpha(self.alpha)
        warn_of_constant_scores(scores.held_out, stacklevel=4)
        warn_of_copies(scores.n_copies, len(clips), stacklevel=3)
        warn_of_provisional(self, list(self._groups), stacklevel=4)

    def _offset_of(self, clips: Clips) -> np.ndarray:
        names = known_groups(self, clips)
        warn_of_provisional(self, np.unique(names), stacklevel=4)
        return of_groups(self.offsets_, names)

    def _anomaly_score(self, clips: Clips) -> np.ndarray:
        return anomaly_score(self.detector_, container(clips))

    def p_values(
        self, X: Any, *, ties: str = "conservative", random_state: Any = None, on_error: str = "raise"
    ) -> np.ndarray:
        """P-value of each clip: small for clips that are hardly normal.

        Parameters
        ----------
        X : array, list of paths or clip table
            Clips.
        ties : {"conservative", "random"}, default="conservative"
            Calibration clips with the same score as a clip count as higher. With ``"random"``, a draw decides about them and
            about the rank of the clip, so that the p-values of normal clips are uniform on [0, 1]; ``predict`` never does.
        random_state : int, RandomState instance or None, default=None
            Seeds the draws of ``"random"``, and is not used otherwise; a clip gets the same draw whatever the order of the
            clips.
        on_error : {"raise", "skip"}, default="raise"
            What happens to clips that cannot be read, or hold NaN or nothing: an error that lists them, or a warning.
            With "skip", their p-value is NaN. See :ref:`clips_skip`.

        Returns
        -------
        p_values : ndarray of shape (n_clips,), float64
            P-values in (0, 1]; NaN for clips of a group whose decisions are provisional.
        """
        check_option("ties", ties, _TIES)
        check_is_fitted(self)
        if skips(on_error):
            usable = UsablePart.of(self, X, reset=False)
            return usable.spread(self.p_values(usable.X, ties=ties, random_state=random_state), np.nan)
        known = scored(self, X)
        warn_of_provisional(self, np.unique(known.group), stacklevel=3)
        uniform = tie_draws(known.score, random_seed(random_state)) if ties == "random" else None
        return ranked(self, known, uniform)

    def set_alpha(self, alpha: float) -> "CalibratedDetector":
        """Set the false alarm rate of later decisions, without a new fit.

        Parameters
        ----------
        alpha : float
            Accepted false alarm rate, in (0, 0.5].

        Returns
        -------
        self : object
            The detector.

        Raises
        ------
        ValueError
            If a group has too few calibration clips for this rate; the message says how many it takes.
        """
        check_number("alpha", alpha, low=0, high=0.5, above=True)
        check_is_fitted(self, "_groups")
        counts = {name: group.calibration.n_recordings for name, group in self._groups.items()}
        refuse_alpha(counts, alpha, self._learning_period)
        _decide_by(self, alpha)
        return self

    def select(self, X: Any, *, fdr: float | None = None, procedure: Any = None, on_error: str = "raise") -> np.ndarray:
        """Select the anomalies of a batch, so that of the selected clips few are expected to be normal.

        With a threshold on p-values, the number of false alarms grows with the number of normal clips in the batch. The
        false discovery rate is the expected share of normal clips among the *selected* ones, and stays at what was accepted.

        Parameters
        ----------
        X : array, list of paths or clip table
            Clips, all of them: the selection depends on the whole batch.
        fdr : float or None, default=None
            Accepted false discovery rate, in (0, 1); None is 0.1, or that of `procedure`.
        procedure : object or None, default=None
            Procedure for a stream of p-values, with a method ``test_one(p_value)`` that says whether the clip is selected,
            such as those of the package online-fdr; clips are tested in their order. None is the procedure of Benjamini and
            Hochberg, which controls the rate for conformal p-values [1]_.
        on_error : {"raise", "skip"}, default="raise"
            What happens to clips that cannot be read, or hold NaN or nothing: an error that lists them, or a warning.
            With "skip", they are not selected.

        Returns
        -------
        is_selected : ndarray of shape (n_clips,), bool
            True for anomalies. Clips without a p-value are never selected.

        References
        ----------
        .. [1] S. Bates, E. Candès, L. Lei, Y. Romano, M. Sesia, "Testing for outliers with conformal p-values", Annals of
               Statistics 51(1), 2023, Theorem 2. arXiv:2104.08279.
        """
        if procedure is not None and fdr is not None:
            raise ValueError(
                f"fdr={fdr!r} has no effect beside a procedure, which has a rate of its own; leave it out."
            )
        fdr = _USUAL_FDR if fdr is None else fdr
        check_number("fdr", fdr, low=0, high=1, above=True)
        p_values = self.p_values(X, on_error=on_error)
        return benjamini_hochberg(p_values, fdr) if procedure is None else in_order(p_values, procedure)

    def calibrate(self, X: Any, y: Any = None, *, on_error: str = "raise") -> "CalibratedDetector":
        """Add normal clips to the calibration, without a new fit.

        Groups in their learning period become calibrated once they have enough recordings, also for `alpha_`. Clips must be
        recorded like those of later decisions. Copies, and clips that the detector was trained on or calibrated with, are
        left out with a warning, and so are further clips of a recording that it knows.

        Parameters
        ----------
        X : array, list of paths or clip table
            Normal clips of groups that were fitted.
        y : array-like of shape (n_clips,), default=None
            +1 for normal clips, -1 for anomalies, which are left out.
        on_error : {"raise", "skip"}, default="raise"
            What happens to clips that cannot be read, or hold NaN or nothing: an error that lists them, or a warning.

        Returns
        -------
        self : object
            The detector.
        """
        check_is_fitted(self)
        if skips(on_error):
            usable = UsablePart.of(self, X, reset=False)
            return self.calibrate(usable.X, usable.labels(y))
        self._groups, self._known_clips = with_more_clips(self, self._groups, self._known_clips, X, y)
        _decide_by(self, self.alpha_)
        return self

    def check_exchangeability(
        self, X: Any, *, level: float = 0.01, alternative: str = "greater"
    ) -> ExchangeabilityTest:
        """Test whether new clips still are like the calibration clips, by a conformal martingale.

        Parameters
        ----------
        X : array, list of paths or clip table
            Clips of normal operation in the order in which they were recorded.
        level : float, default=0.01
            Probability that the test ever raises an alarm although all clips are exchangeable, in (0, 1).
        alternative : {"greater", "two-sided"}, default="greater"
            Which changes it looks for: anomaly scores that become greater, which make false alarms, or scores that change in
            any way. The second one is meant for ``method="split"`` and frozen detectors: with the other methods, calibration
            scores can be a little greater than those of new clips, which it may notice after many clips.

        Returns
        -------
        test : ExchangeabilityTest
            Whether the calibration holds, and since which clip it does not.
        """
        check_number("level", level, low=0, high=1, above=True)
        check_option("alternative", alternative, ALTERNATIVES)
        check_is_fitted(self)
        known = scored(self, X)
        warn_of_provisional(self, np.unique(known.group), stacklevel=3)
        calibrations = {name: group.calibration for name, group in self._groups.items()}
        return exchangeability_of(
            known.score, known.group, known.recording, calibrations, level, self._seed, alternative
        )


def _decide_by(detector: CalibratedDetector, alpha: float) -> None:
    """Set the thresholds of a fitted detector for a false alarm rate; provisional ones where it takes more clips."""
    wanted, groups = max(detector._learning_period, fewest_recordings(alpha)), detector._groups
    detector.alpha = detector.alpha_ = alpha
    detector.offsets_ = {name: -group.threshold(alpha, wanted) for name, group in groups.items()}
    detector.n_calibration_ = {name: group.calibration.n_recordings for name, group in groups.items()}
    detector.is_provisional_ = {name: group.is_provisional(wanted) for name, group in groups.items()}
    detector.offset_ = -threshold_of_all(groups.values(), alpha, wanted)


def _learnt_groups(detector: CalibratedDetector, clips: Clips, names: np.ndarray, held: np.ndarray) -> dict[str, Group]:
    """Groups of which no clip could be held out, with the scores of their learnt clips."""
    rows = np.flatnonzero(~np.isin(names, held))
    if not len(rows):
        return {}
    score = detector._anomaly_score(clips.take(rows))
    return groups_of(NormalScores(score, is_learnt=True), names[rows])


def _check_detector(detector: Any) -> None:
    """Raise unless the detector can be fitted and scores clips, and warn of a threshold of its own that is not used."""
    if isinstance(detector, type):
        raise TypeError(f"detector is the class {detector.__name__}; give an instance: {detector.__name__}().")
    lacking = [verb for verb in ("fit", "score_samples", "get_params") if not hasattr(detector, verb)]
    if lacking:
        raise TypeError(f"detector={detector!r} has no {', '.join(lacking)}; give a detector.")
    if isinstance(detector, CalibratedDetector):
        raise TypeError("detector is a CalibratedDetector already; give the detector inside it.")
    last = detector.steps[-1][1] if hasattr(detector, "steps") else detector
    usual = inspect.signature(type(last)).parameters
    unused = {name: getattr(last, name) for name in ("contamination", "threshold") if hasattr(last, name)}
    changed = [f"{name}={value!r}" for name, value in unused.items() if name in usual and value != usual[name].default]
    if changed and not isinstance(detector, FrozenEstimator):
        warnings.warn(
            f"A CalibratedDetector decides by alpha, and does not use {' and '.join(changed)} of {type(last).__name__}; "
            "leave out what has no effect.",
            stacklevel=6,
        )
