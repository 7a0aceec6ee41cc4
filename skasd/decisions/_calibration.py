"""Conformal p-values of anomaly scores, by the scores of normal clips that the detector was not trained on."""

from dataclasses import dataclass
from typing import Self

import numpy as np

_ROUNDING = 1e-6  # relative; scores that differ by less are equal
_EFFICIENCY = 0.37  # of the median absolute deviation, for scores of a normal distribution
_EXACT = 1e-9  # of counts, which are sums of fractions


@dataclass(frozen=True)
class Calibration:
    r"""Anomaly scores of normal clips of one machine, which new scores are ranked among.

    With K recordings, :math:`n_k` clips of recording k and their scores :math:`A_{ki}`, the p-value of a score :math:`a` is

    .. math:: p(a) = \frac{1}{K + 1} \Bigl( 1 + \sum_k \frac{1}{n_k} \sum_i 1[A_{ki} \ge a] \Bigr).

    Parameters
    ----------
    score : ndarray of shape (n_clips,)
        Anomaly scores, ascending.
    weight : ndarray of shape (n_clips,)
        :math:`1 / n_k` of each clip.
    recording : ndarray of shape (n_clips,), int
        Recording of each clip.
    """

    score: np.ndarray
    weight: np.ndarray
    recording: np.ndarray

    @classmethod
    def of(cls, score: np.ndarray, recording: np.ndarray) -> Self:
        """Calibration by clips of known recordings.

        Parameters
        ----------
        score : ndarray of shape (n_clips,)
            Anomaly scores.
        recording : ndarray of shape (n_clips,), int
            Recording of each clip. Equal scores of one recording count once, as copies have them.
        """
        pairs = np.unique(np.column_stack([score, recording]), axis=0)  # ascending by score
        _, number, size = np.unique(pairs[:, 1], return_inverse=True, return_counts=True)
        number = number.reshape(-1)
        return cls(pairs[:, 0], 1.0 / size[number], number)

    @classmethod
    def empty(cls) -> Self:
        """Calibration by no clips."""
        return cls(np.empty(0), np.empty(0), np.empty(0, dtype=np.int64))

    def joined(self, *others: "Calibration") -> "Calibration":
        """Calibration by the clips of several, which are of different recordings.

        Parameters
        ----------
        *others : Calibration
            Other clips of the same machine.
        """
        parts = (self, *others)
        before = np.cumsum([0, *(part.n_recordings for part in parts[:-1])])
        recording = np.concatenate([part.recording + n for part, n in zip(parts, before, strict=True)])
        score, weight = (np.concatenate([getattr(part, name) for part in parts]) for name in ("score", "weight"))
        order = np.argsort(score, kind="stable")
        return Calibration(score[order], weight[order], recording[order])

    @property
    def n_recordings(self) -> int:
        """Number of recordings."""
        return round(float(self.weight.sum()))

    def p_values(self, score: np.ndarray, uniform: np.ndarray | None = None) -> np.ndarray:
        r"""P-values of new scores.

        Parameters
        ----------
        score : ndarray of shape (n,)
            Anomaly scores of new clips.
        uniform : ndarray of shape (n,) or None, default=None
            Draws :math:`u` from [0, 1) that decide about ties: the new clip and the calibration clips with its score count
            :math:`u` instead of 1. None counts them as 1, which is conservative.

        Returns
        -------
        p_values : ndarray of shape (n,), float64
            P-values in (0, 1].
        """
        rounding = rounding_of(self.score)
        from_top = np.r_[np.cumsum(self.weight[::-1])[::-1], 0.0]
        at_least = from_top[np.searchsorted(self.score + rounding, score, side="left")]
        above = from_top[np.searchsorted(self.score - rounding, score, side="right")]
        counted = 1.0 + at_least if uniform is None else above + uniform * (1.0 + at_least - above)
        return np.clip(counted / (self.n_recordings + 1), np.finfo(np.float64).tiny, 1.0)

    def threshold(self, alpha: float) -> float:
        """Largest anomaly score whose p-value exceeds `alpha`.

        Parameters
        ----------
        alpha : float
            Accepted false alarm rate.
        """
        if alpha * (self.n_recordings + 1) < 1 - _EXACT:
            raise ValueError(
                f"alpha={alpha!r} takes at least {fewest_recordings(alpha)} calibration clips, and there are "
                f"{self.n_recordings}."
            )
        at_least = np.cumsum(self.weight[::-1])[::-1]
        exceeds = 1.0 + at_least > alpha * (self.n_recordings + 1) + _EXACT
        score = self.score[np.flatnonzero(exceeds)[-1]]
        return float(score + _ROUNDING * np.abs(score))


def rounding_of(score: np.ndarray) -> np.ndarray:
    """Difference (n,) up to which another score counts as equal to each score.

    Parameters
    ----------
    score : ndarray of shape (n,)
        Anomaly scores.
    """
    return _ROUNDING * np.abs(score)


def fewest_recordings(alpha: float) -> int:
    r"""Smallest number of calibration clips K with :math:`1 / (K + 1) \le \alpha`.

    Parameters
    ----------
    alpha : float
        Accepted false alarm rate.
    """
    return int(np.ceil(1 / alpha - _EXACT)) - 1


def provisional_threshold(score: np.ndarray, alpha: float) -> float:
    r"""Threshold by a robust z-score, for machines with too few clips for a rank.

    .. math:: \tilde A + 1.4826\, t_{1 - \alpha, \nu} \sqrt{1 + \frac{\pi}{2 n}}\; \mathrm{median}_i |A_i - \tilde A|, \qquad
              \nu = \max(1,\, 0.37 (n - 1))

    with :math:`\tilde A` the median of n scores and :math:`t` the quantile of Student's distribution. The median has the
    variance :math:`\pi / (2 n)` of that of a score, and the deviation is worth 37 % of as many clips for a standard
    deviation. Of normally distributed scores, 2.6 to 6.4 % exceed it for 5 % asked, and 0.2 to 1.3 % for 1 %, from 2 to 19
    clips.

    Parameters
    ----------
    score : ndarray of shape (n,)
        Anomaly scores of normal clips.
    alpha : float
        Accepted false alarm rate.
    """
    from scipy.stats import t  # imported when needed, as it takes long

    median = float(np.median(score))
    deviation = 1.4826 * float(np.median(np.abs(score - median))) or float(np.std(score))
    freedom = max(1.0, _EFFICIENCY * (len(score) - 1))
    widened = float(t.ppf(1 - alpha, freedom)) * np.sqrt(1 + np.pi / (2 * len(score)))
    largest = float(np.max(score))
    threshold = median + max(widened, 0.0) * deviation
    return threshold if deviation else largest + _ROUNDING * abs(largest)


def tie_draws(score: np.ndarray, seed: int) -> np.ndarray:
    """Draws from [0, 1), of which a clip gets the same whatever the order of the clips and however many there are.

    Parameters
    ----------
    score : ndarray of shape (n,)
        Anomaly scores.
    seed : int
        Seed.
    """
    bits = np.ascontiguousarray(score, dtype=np.float64).view(np.uint64)
    return np.array([np.random.default_rng([int(one), int(seed)]).random() for one in bits])
