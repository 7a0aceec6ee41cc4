"""EnsembleDetector: mean of the standardised scores of several detectors."""

import warnings
from collections.abc import Sequence
from typing import Any

import joblib
import numpy as np
from sklearn.base import clone
from sklearn.utils.metaestimators import _BaseComposition
from tqdm import tqdm

from skasd._interrupt import note_interrupt
from skasd._parameters import check_columns, check_integer, check_n_jobs, check_number, check_option
from skasd._random import local_random_state
from skasd._row_products import row_products
from skasd.base import BaseDetector, NormalScores
from skasd.clips import ANY_FEATURE, MACHINE_COLUMNS, Clips, Recordings
from skasd.clips._readers import readers_of
from skasd.detectors._held_out_fits import anomaly_score, container, fitted_and_scored, parallel, seeded

_COMBINE = ("mean", "rank")
ALL = ""  # name of the scale over all groups
_FEWEST = 3  # minimum number of held-out clips for a group to have its own scale
_FEWEST_LEFT = 2  # minimum number of clips of a section and domain that are not held out


class EnsembleDetector(_BaseComposition, BaseDetector):
    r"""Weighted mean of the standardised scores of several detectors.

    Scores of different detectors have different units. They are standardised by the scores of held-out normal clips, for
    each machine type separately; the weights are the same for all machine types [1]_.

    Parameters
    ----------
    estimators : list of (str, estimator)
        Names and detectors, or pipelines that end in one: anything with ``fit`` and ``score_samples`` for clips.
    weights : sequence of float or None, default=None
        One weight per detector, at least 0; only their ratios matter. None weights all detectors equally.
    combine : {"mean", "rank"}, default="mean"
        Mean of the standardised scores; or mean of the ranks among normal clips, which a single extreme score cannot
        dominate.
    group_columns : sequence of str, default=("machine_type",)
        Columns of the clip table that define the groups in which scores are standardised. The table may lack `machine_type`
        and `section`.
    held_out : float, default=0.2
        Share of the normal clips of each section and domain that is held out to standardise scores, in (0, 0.5]; at least
        one clip if there are three or more. A copy of each detector is fitted to the other clips and scores the held-out
        ones; the detector itself is fitted to all clips. If the share is fewer than three clips altogether, three copies
        are fitted, each to two thirds of the clips, and all clips are held out once.
    contamination : float or "auto", default="auto"
        Accepted share of false alarms among new normal clips, in (0, 0.5]; ``"auto"`` is 10 %. It is set on the scores of
        the held-out clips.
    threshold : {"quantile", "gamma"}, default="quantile"
        Whether the threshold is a quantile of scores, or the quantile of a gamma distribution fitted to the scores of
        held-out clips.
    random_state : int, RandomState instance or None, default=None
        Determines the held-out clips, and seeds detectors whose own `random_state` is None.
    n_jobs : int or None, default=None
        Number of detectors fitted and scored at the same time, as in joblib. None runs one at a time, which may use all
        cores.
    verbose : int, default=0
        Shows a progress bar over the detectors if 1 or larger.

    Attributes
    ----------
    estimators_ : list of estimator
        Fitted detectors.
    named_estimators_ : dict of str to estimator
        Fitted detectors by name.
    scales_ : dict of str to ndarray of shape (n_estimators, n_held_out)
        Anomaly scores of the held-out clips, in ascending order, by group; ``""`` has those of all groups.
    offset_ : float
        Threshold: ``decision_function = score_samples - offset_``.
    n_features_in_ : int
        Number of bands of features, or of time points of a 2-D array.

    Notes
    -----
    With :math:`m_s` and :math:`\sigma_s` the mean and the standard deviation of the scores of system :math:`s` over the
    held-out clips of a machine type,

    .. math:: A = \frac{\sum_s w_s (A_s - m_s) / \sigma_s}{\sum_s w_s}.

    A rank is the interpolated share of the n held-out clips with a score that is not higher. A score that lies
    :math:`\delta` standard deviations beyond the lowest or highest of them is extrapolated by
    :math:`\frac{1}{n} \frac{\delta}{1 + \delta}`, so that anomalies still differ, but by less than one rank. A group with
    fewer than three held-out clips uses the scale of all groups. The report [1]_ states neither how scores were scaled nor
    which weights were used.

    References
    ----------
    .. [1] J. Tian et al., "Self-supervised anomalous sound detection with statistical clustering and contrastive learning",
           DCASE 2024 technical report, system 4.

    Examples
    --------
    >>> from skasd.datasets import make_machine_clips
    >>> from skasd.detectors import EnsembleDetector, TWFRDetector
    >>> clips = make_machine_clips(("fan", "valve"), duration=1.0, random_state=0)
    >>> train = clips.data["split"] == "train"
    >>> both = [("mean", TWFRDetector(r=1.0)), ("maximum", TWFRDetector(r=0.0))]
    >>> detector = EnsembleDetector(both, random_state=0).fit(clips.data[train])
    >>> detector.score_samples(clips.data[~train]).shape
    (40,)
    """

    feature = ANY_FEATURE  # each detector reads the feature column that it needs
    _required_parameters = ["estimators"]  # used by scikit-learn

    _hears_long_clips = True  # each detector does

    def __init__(
        self,
        estimators: Sequence[tuple[str, Any]],
        *,
        weights: Sequence[float] | None = None,
        combine: str = "mean",
        group_columns: Sequence[str] = ("machine_type",),
        held_out: float = 0.2,
        contamination: float | str = "auto",
        threshold: str = "quantile",
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
    ) -> None:
        self.estimators = estimators
        self.weights = weights
        self.combine = combine
        self.group_columns = group_columns
        self.held_out = held_out
        self.contamination = contamination
        self.threshold = threshold
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Parameters of the ensemble, and those of its detectors as ``name__parameter``.

        Parameters
        ----------
        deep : bool, default=True
            Whether to include the detectors and their parameters.

        Returns
        -------
        params : dict
            Values by parameter name.
        """
        return self._get_params("estimators", deep=deep)

    def set_params(self, **params: Any) -> "EnsembleDetector":
        """Set parameters of the ensemble, replace detectors (``name=detector``), or set theirs (``name__parameter=value``).

        Parameters
        ----------
        **params : dict
            Names and values of the parameters.

        Returns
        -------
        self : object
            The ensemble.
        """
        self._set_params("estimators", **params)
        return self

    def _fit(self, clips: Clips) -> NormalScores:
        self._weights = self._checked()
        generator = local_random_state(self.random_state)
        members = [seeded(clone(estimator), generator) for _, estimator in self.estimators]
        self._combine, self._group_columns = self.combine, tuple(self.group_columns)
        groups = clips.group_names(self._group_columns, MACHINE_COLUMNS)
        machines = clips.group_names(MACHINE_COLUMNS, MACHINE_COLUMNS)
        strata = np.array([" | ".join(names) for names in zip(groups, machines, clips.domains(), strict=True)])
        recordings = Recordings.read(clips, readers_of(self)[0], machines, self.n_jobs, self.verbose)
        parts = _parts(_held_out(strata, recordings, self.held_out, generator), recordings, generator)
        kept = np.concatenate(parts)
        tasks = [joblib.delayed(fitted_and_scored)(member, clips, parts) for member in members]
        done = list(tqdm(parallel(self.n_jobs)(tasks), "detectors", len(tasks), disable=self.verbose < 1))
        self.estimators_ = [member for member, _, _ in done]
        if any(is_cut for _, _, is_cut in done):  # a process of its own does not note it here
            note_interrupt("The training of a detector of the ensemble was interrupted.")
        self.named_estimators_ = dict(zip([name for name, _ in self.estimators], self.estimators_, strict=True))
        scores = np.array([score for _, score, _ in done])  # (n_estimators, n_held_out)
        self.scales_ = {ALL: np.sort(scores, axis=1)}
        for group, n_kept in zip(*np.unique(groups[kept], return_counts=True), strict=True):
            if n_kept >= _FEWEST:
                self.scales_[str(group)] = np.sort(scores[:, groups[kept] == group], axis=1)
        split = any(np.isin(recordings.number[part], np.delete(recordings.number, part)).any() for part in parts)
        combined = self._combined(scores, groups[kept])
        return NormalScores(combined, recordings.number[kept], split, recordings.n_copies, kept)

    def _anomaly_score(self, clips: Clips) -> np.ndarray:
        X = container(clips)
        tasks = [joblib.delayed(anomaly_score)(member, X) for member in self.estimators_]
        scores = np.array(list(parallel(self.n_jobs, "threads")(tasks)))
        return self._combined(scores, clips.group_names(self._group_columns, MACHINE_COLUMNS))

    def _score_parts(self, clips: Clips) -> list[tuple[Any, np.ndarray]]:
        """Detectors, and the weight (n_clips,) of the score of each; ranks count as if they were standardised."""
        groups = clips.group_names(self._group_columns, MACHINE_COLUMNS)
        spread = np.array([self.scales_.get(str(group), self.scales_[ALL]).std(axis=1) for group in groups]).T
        weights = self._weights[:, None] / np.where(spread > 0, spread, 1.0)
        return list(zip(self.estimators_, weights, strict=True))

    def _combined(self, scores: np.ndarray, groups: np.ndarray) -> np.ndarray:
        """Weighted mean (n_clips,) of scores (n_estimators, n_clips), standardised within their group."""
        on_one_scale = np.empty(scores.shape)
        scale_of = _ranks if self._combine == "rank" else _standardised
        for group in np.unique(groups):
            normal = self.scales_.get(str(group), self.scales_[ALL])
            rows = groups == group
            on_one_scale[:, rows] = [
                scale_of(score, known) for score, known in zip(scores[:, rows], normal, strict=True)
            ]
        return row_products(on_one_scale.T, self._weights[:, None])[:, 0]

    def _checked(self) -> np.ndarray:
        """Check all parameters, and return the weights (n_estimators,), which sum to 1."""
        names = _checked_names(self.estimators)
        self._validate_names(names)
        check_option("combine", self.combine, _COMBINE)
        check_number("held_out", self.held_out, low=0, high=0.5, above=True)
        check_columns("group_columns", self.group_columns)
        check_n_jobs(self.n_jobs)
        check_integer("verbose", self.verbose, low=0)
        weights = _numbers(self.weights, len(names))
        if weights.shape != (len(names),) or not np.isfinite(weights).all() or (weights < 0).any() or not weights.any():
            raise ValueError(
                f"weights={self.weights!r}; {len(names)} numbers of at least 0 are expected, one for each of {names}, not "
                "all 0."
            )
        return weights / weights.sum()


def _numbers(weights: Any, n_weights: int) -> np.ndarray:
    """Weights as numbers, or none where they are no numbers."""
    if weights is None:
        return np.ones(n_weights)
    try:
        return np.asarray(weights, dtype=float)
    except (TypeError, ValueError):
        return np.empty(0)


def _checked_names(estimators: Any) -> list[str]:
    is_list = isinstance(estimators, list | tuple) and len(estimators) > 0
    if not is_list or any(not isinstance(pair, list | tuple) or len(pair) != 2 for pair in estimators):
        raise ValueError(f"estimators={estimators!r}; a list of (name, detector) is expected.")
    for name, estimator in estimators:
        lacking = [verb for verb in ("fit", "score_samples", "get_params") if not hasattr(estimator, verb)]
        if isinstance(estimator, type):
            raise TypeError(
                f"{name!r} of estimators is the class {estimator.__name__}; give an instance: {estimator.__name__}()."
            )
        if lacking:
            raise TypeError(
                f"{name!r} of estimators is {estimator!r}, which has no {', '.join(lacking)}; give a detector."
            )
    return [name for name, _ in estimators]


def _held_out(strata: np.ndarray, recordings: Recordings, share: float, generator: np.random.RandomState) -> np.ndarray:
    """Positions of the held-out clips: whole recordings, a share of each stratum, which keeps at least two clips.

    If no stratum has three clips, one recording of the machine with the most clips is held out; if there is only one
    recording, one of its clips.
    """
    is_kept = np.zeros(len(strata), dtype=bool)
    _, number = np.unique(strata, return_inverse=True)
    for stratum in range(number.max() + 1):
        rows = np.flatnonzero(number == stratum)
        n_kept = min(max(1, round(share * len(rows))), max(0, len(rows) - _FEWEST_LEFT))
        for row in generator.permutation(rows):
            mates = recordings.number == recordings.number[row]
            n_left = np.bincount(number[~(is_kept | mates)], minlength=number.max() + 1)
            if is_kept[rows].sum() < n_kept and n_left[number[mates]].min() >= _FEWEST_LEFT:
                is_kept |= mates
    if is_kept.any():
        return np.flatnonzero(is_kept)
    name, count = max(zip(*np.unique(recordings.machine, return_counts=True), strict=True), key=lambda pair: pair[1])
    if count < 2:
        given = "1 sample" if len(strata) == 1 else f"{len(strata)} samples, 1 of each machine"
        raise ValueError(
            f"fit was given {given}; one machine needs at least two, one of which is held out to set the scale."
        )
    one = generator.permutation(np.flatnonzero(recordings.machine == name))[:1]
    mates = np.flatnonzero(recordings.number == recordings.number[one])
    return one if len(mates) > len(strata) // 2 else mates


def _parts(kept: np.ndarray, recordings: Recordings, generator: np.random.RandomState) -> list[np.ndarray]:
    """Positions of clips to hold out, fit by fit: in one fit, or, where those are too few, each clip in one of three.

    Machines with fewer than three recordings are learnt from in every fit.
    """
    if len(kept) >= _FEWEST:
        return [kept]
    machines = [recordings.number[recordings.machine == name] for name in np.unique(recordings.machine)]
    large = [generator.permutation(some) for some in map(np.unique, machines) if len(some) >= _FEWEST]
    if not large:
        warnings.warn(
            f"{len(recordings.number)} clips, and fewer than {_FEWEST} different ones of each machine, are too few to "
            "standardise the scores of the detectors of an ensemble: the detector whose scores are largest decides. Give "
            "more clips.",
            stacklevel=5,
        )
        return [kept]
    return [
        np.flatnonzero(np.isin(recordings.number, np.concatenate([some[part::_FEWEST] for some in large])))
        for part in range(_FEWEST)
    ]


def _standardised(score: np.ndarray, normal: np.ndarray) -> np.ndarray:
    spread = normal.std()
    return (score - normal.mean()) / (spread if spread > 0 else 1)


def _ranks(score: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """Rank of each score among the sorted normal scores as a share, extrapolated by less than one rank at both ends."""
    rank = np.interp(score, normal, np.arange(1, len(normal) + 1)) / len(normal)
    beyond = (score - score.clip(normal[0], normal[-1])) / (normal.std() if normal.std() > 0 else 1)
    return rank + beyond / (1 + np.abs(beyond)) / len(normal)
