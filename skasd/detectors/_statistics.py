"""StatisticsDetector: nearest normal clips by statistics of the spectrogram that suit how a machine sounds over time."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from skasd._parameters import check_columns, check_flag, check_integer, check_n_jobs, check_option
from skasd._random import local_random_state
from skasd._threads import one_blas_thread
from skasd._threshold import threshold_is_used
from skasd.base import BaseDetector, NormalScores
from skasd.clips import MACHINE_COLUMNS, Clips, Recordings
from skasd.detectors._experts import EXPERTS, LEVEL, Expert, FittedExperts, checked_experts, statistics_of
from skasd.detectors._regime import NEEDED, regime, spread_and_peak
from skasd.detectors._statistics_scores import StatisticsScores
from skasd.features._frontend import frontend_of, twfr_frontend
from skasd.scoring._approximate import check_neighbors


class StatisticsDetector(StatisticsScores, BaseDetector):
    r"""Nearest normal clips by statistics of the spectrogram over time: the detector to start with.

    Each clip is described by loud and quiet levels of its bands over time and by how they change. Which of these
    statistics are used follows from how the machine sounds: steadily, intermittently, or in short clicks, which is found
    from its normal clips. Each machine and section in the clip table is learnt on its own. The detector needs no labels,
    no training loop and no accelerator.

    Parameters
    ----------
    experts : "auto" or sequence of sequences of pairs of str, default="auto"
        Which statistics are compared, and how. Each expert is a sequence of pairs of a statistic, as named in
        :class:`skasd.features.StatisticsTransformer`, and a back end: ``"whiten"`` and ``"standardize"`` are the scalings
        of :class:`skasd.scoring.ScaledKNNScorer`, ``"distance"`` is the squared Mahalanobis distance from the mean.
        ``"auto"`` chooses experts for each machine, see Notes.
    level : bool, default=True
        Whether the level of the whole clip is one more expert, of small weight. Set it to False if the distance to the
        microphone or the gain differs between recordings.
    group_columns : sequence of str, default=("machine_type", "section")
        Columns of the clip table that define a machine. The table may lack these two, or have them empty.
    neighbors : {"exact", "approximate"}, default="exact"
        How each clip finds its nearest normal clips: among all of them, or in the nearest cells of an index, see
        :class:`skasd.scoring.ScaledKNNScorer`. ``"approximate"`` is for machines with more than some 20 000 clips, and
        needs ``pip install "skasd[approximate]"``.
    frontend : LogMelTransformer, NoiseReducedLogMel, torch.nn.Module, callable or None, default=None
        Front end that computes spectrograms of waveforms and files, see :ref:`features_frontend`; features are used as they
        are. None uses that of :class:`TWFRDetector`: 128 HTK bands without norm, window 1024 and hop 512 samples.
    feature : str, default="auto"
        Column of a clip table that is read as the spectrogram. ``"auto"`` is the one that the last transformer wrote, or
        else the only feature column.
    contamination : float or "auto", default="auto"
        Accepted share of false alarms among new normal clips, in (0, 0.5]; ``"auto"`` is 10 %. It is set on the scores of
        training clips, each by experts fitted to other recordings.
    threshold : {"quantile", "gamma"}, default="quantile"
        Whether the threshold is a quantile of scores, or the quantile of a gamma distribution fitted to the scores of
        held-out clips.
    random_state : int, RandomState instance or None, default=0
        Assigns recordings to the folds in which they are held out; 0 makes two fits equal. The global random generators
        stay untouched.
    n_jobs : int or None, default=-1
        Number of threads that read clips, compute statistics and fit experts; -1 uses all cores.
    verbose : int, default=0
        Shows a progress bar if 1 or larger.

    Attributes
    ----------
    regime_ : dict of str to str
        How each machine sounds over time: ``"steady"``, ``"intermittent"`` or ``"impulsive"``. The name of a machine is its
        cells of `group_columns` joined with "/", or "" without such columns. Empty if `experts` is given.
    spread_ : dict of str to float
        Difference of the 98 % and the 25 % quantile of the level over time, in dB, by machine: the largest of eight groups
        of bands, the median over clips. Empty if `experts` is given.
    peak_ : dict of str to float
        Level of the loudest frame above the 98 % quantile, in dB, by machine: the mean over bands, the median over clips.
        Empty if `experts` is given.
    experts_ : dict of str to tuple
        Experts by machine.
    offset_ : float
        Threshold: ``decision_function = score_samples - offset_``.
    n_features_in_ : int
        Number of bands of features, or of time points of a 2-D array.

    See Also
    --------
    skasd.features.StatisticsTransformer : Computes only the statistics.
    TWFRDetector : A Gaussian on the rank-weighted means alone, as published.

    Notes
    -----
    1. A machine is *impulsive* if its `peak_` exceeds 4 dB, as of clicks that fill less than 2 % of the time; else
       *steady* if its `spread_` is at most 8.5 dB; else *intermittent*.
    2. Within an expert, the scores :math:`A_m` of its pairs are added after each is normalised by the mean :math:`\mu_m`
       and the standard deviation :math:`\sigma_m` of normal clips that were held out, in ten folds, or five from 500
       clips on: :math:`E = \sum_m (A_m - \mu_m) / \sigma_m`.
    3. The sums of the experts are normalised in the same way to :math:`z_e`, and the anomaly score is

       .. math:: A = \ln \frac{\sum_e w_e \exp z_e}{\sum_e w_e},

       close to the largest of them, with :math:`w_e = 1`, but :math:`e^{-2}` for the level. Such scores can be compared
       between machines.

    The pairs of ``"auto"`` were chosen on real valves and toy cars and on synthetic machines; the user guide shows what each
    part is worth there, on random draws too. The rank-weighted means are those of [1]_, the division of
    distances by the local density is that of [2]_.

    References
    ----------
    .. [1] J. Guan, Y. Liu, Q. Zhu, T. Zheng, J. Han, W. Wang, "Time-weighted frequency domain audio representation with
           GMM estimator for anomalous sound detection", ICASSP 2023. arXiv:2305.03328.
    .. [2] K. Wilkinghoff et al., "Local density-based anomaly score normalization for domain generalization", 2025.
           arXiv:2509.10951.

    Examples
    --------
    >>> import numpy as np
    >>> from skasd.detectors import StatisticsDetector
    >>> rng = np.random.default_rng(0)
    >>> normal = rng.standard_normal((40, 16000))
    >>> detector = StatisticsDetector().fit(normal)
    >>> detector.regime_
    {'': 'steady'}
    >>> louder_and_sparser = normal[:1] * (np.arange(16000) % 2000 < 100) * 10
    >>> detector.predict(louder_and_sparser)
    array([-1])
    """

    neighbors: str = "exact"  # of pickles and model files that are older than the parameter
    _default_frontend = staticmethod(twfr_frontend)
    _leaves_out = "cross"

    def __init__(
        self,
        experts: Sequence[Sequence[tuple[str, str]]] | str = "auto",
        *,
        level: bool = True,
        group_columns: Sequence[str] = ("machine_type", "section"),
        neighbors: str = "exact",
        frontend: Any = None,
        feature: str = "auto",
        contamination: float | str = "auto",
        threshold: str = "quantile",
        random_state: Any = 0,
        n_jobs: int | None = -1,
        verbose: int = 0,
    ) -> None:
        self.experts = experts
        self.level = level
        self.group_columns = group_columns
        self.neighbors = neighbors
        self.frontend = frontend
        self.feature = feature
        self.contamination = contamination
        self.threshold = threshold
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    def _fit(self, clips: Clips) -> NormalScores:
        given = self._check_parameters()
        self._frontend = frontend_of(self.frontend, self._default_frontend())
        self._group_columns, self._with_level = tuple(self.group_columns), self.level
        names = clips.group_names(self._group_columns, MACHINE_COLUMNS)
        _refuse_too_few(names)
        self.regime_: dict[str, str] = {}
        self.spread_: dict[str, float] = {}
        self.peak_: dict[str, float] = {}
        self.experts_: dict[str, tuple[Expert, ...]] = {}
        values = self._statistics(clips, statistics_of(given) if given else _FOR_ANY_REGIME)
        recordings = Recordings.of(clips, np.hstack(list(values.values())), names)
        random_state = local_random_state(self.random_state)
        held_out = np.empty(len(names))
        self._machines: dict[str, FittedExperts] = {}
        with one_blas_thread():
            for name in map(str, np.unique(names)):
                group = names == name
                own = {statistic: column[group] for statistic, column in values.items()}
                experts = self.experts_[name] = given or self._chosen(name, own)
                machine = self._machines[name] = FittedExperts(experts, with_level=self._with_level)
                number = recordings.number[group]
                held_out[group] = machine.fit(own, number, random_state, self.n_jobs, self.neighbors)
        return _normal_scores(held_out, recordings)

    def _chosen(self, name: str, values: Mapping[str, np.ndarray]) -> tuple[Expert, ...]:
        """Experts of a machine with these statistics; what they were chosen by becomes attributes."""
        self.spread_[name], self.peak_[name] = spread_and_peak(values, self._frontend.log_unit)
        self.regime_[name] = regime(self.spread_[name], self.peak_[name])
        return EXPERTS[self.regime_[name]]

    def _check_parameters(self) -> tuple[Expert, ...] | None:
        """Check all parameters, and return the experts, or None if they are chosen for each machine."""
        check_flag("level", self.level)
        check_columns("group_columns", self.group_columns)
        check_neighbors(self.neighbors)
        check_n_jobs(self.n_jobs)
        check_integer("verbose", self.verbose, low=0)
        if isinstance(self.experts, str):
            check_option("experts", self.experts, ("auto",))
            return None
        experts = checked_experts(self.experts)
        if self.level and LEVEL in experts:
            raise ValueError(
                f"experts contains {LEVEL!r}, which level=True adds with its own weight; set level=False, or leave the "
                "expert out."
            )
        return experts


_FOR_ANY_REGIME = tuple(
    dict.fromkeys([*statistics_of([expert for experts in EXPERTS.values() for expert in experts]), *NEEDED])
)


def _refuse_too_few(names: np.ndarray) -> None:
    machines, counts = np.unique(names, return_counts=True)
    if counts.min() < 2:
        name = str(machines[counts.argmin()])
        where = f" of {name}" if name else ""
        raise ValueError(f"fit was given 1 sample(s){where} (normal clips); at least 2 are needed, and 30 are useful.")


def _normal_scores(held_out: np.ndarray, recordings: Recordings) -> NormalScores:
    """Scores that set the threshold, with a warning for machines of which no recording could be held out."""
    alone = [
        str(name)
        for name in np.unique(recordings.machine)
        if len(np.unique(recordings.number[recordings.machine == name])) < 2
    ]
    if alone and threshold_is_used():
        whose = f" of {', '.join(alone)}" if alone[0] else ""
        warnings.warn(
            f"Few normal clips: all{whose} are of one recording, so none could be held out, and the threshold is set on "
            "scores of training clips and gives too many false alarms; give more recordings.",
            stacklevel=2,
        )
    return NormalScores(held_out, recordings.number, n_copies=recordings.n_copies)
