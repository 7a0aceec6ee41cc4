"""Experts: scores of statistics of sound that are added, made comparable by cross-validation, and combined.

Symbols: n clips, d values of a statistic.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from skasd._parameters import check_option
from skasd.features._pooled import statistic_names
from skasd.scoring._scaled_neighbors import ScaledNeighbors, Scaling

Member = tuple[str, str]  # a statistic, and a back end
Expert = tuple[Member, ...]

_N_FOLDS = 10
_MANY_CLIPS, _N_FOLDS_OF_MANY = 500, 5  # a fifth of many clips more or less to learn from changes little
LEVEL_WEIGHT = -2.0  # natural logarithm of the weight of the level among the experts
LEVEL: Expert = (("level", "distance"),)

# Chosen on real valves and toy cars and on synthetic machines; the guide shows what each part is worth there.
EXPERTS: dict[str, tuple[Expert, ...]] = {
    "steady": (
        (("q0.25", "whiten"), ("q0.25", "standardize"), ("q0.5", "whiten")),
        (("r1", "whiten"), ("q0.25", "whiten")),
        (("dynamics", "whiten"), ("dynamics", "standardize"), ("q0.25", "whiten")),
    ),
    "intermittent": (
        (("r0.98", "whiten"),),
        (("r0.95", "whiten"),),
        (("r0.8", "whiten"),),
        (("r0.5", "whiten"),),
        (("modulation", "whiten"),),
    ),
    "impulsive": (
        (("r0.5", "whiten"), ("r0.5", "standardize"), ("r0", "whiten"), ("r0", "standardize")),
        (("r0.8", "whiten"), ("r0.5", "whiten"), ("modulation", "whiten")),
    ),
}


class _Distance:
    """Squared Mahalanobis distance from the mean."""

    def __init__(self, X: np.ndarray) -> None:
        self.scaling = Scaling.of(X, "whiten")

    def score(self, X: np.ndarray) -> np.ndarray:
        return np.square(self.scaling(X)).sum(axis=1)


BACK_ENDS: dict[str, Callable[[np.ndarray, str], Any]] = {  # of clips, and of how neighbours are found
    "whiten": lambda X, neighbors: ScaledNeighbors.of(X, "whiten", neighbors=neighbors),
    "standardize": lambda X, neighbors: ScaledNeighbors.of(X, "standardize", neighbors=neighbors),
    "distance": lambda X, _: _Distance(X),
}


def checked_experts(experts: Any) -> tuple[Expert, ...]:
    """Experts of a parameter as tuples, each part of them checked.

    Parameters
    ----------
    experts : sequence of sequences of pairs of str
        The experts.
    """
    expected = "a sequence of experts is expected, each a sequence of pairs such as ('q0.25', 'whiten')"
    checked = tuple(
        tuple(_checked_pair(pair, expected) for pair in _sequence(expert, expected))
        for expert in _sequence(experts, expected)
    )
    for expert in checked:
        if len(set(expert)) < len(expert):
            raise ValueError(f"experts contains {expert!r}, in which a pair stands twice.")
    if len(set(checked)) < len(checked):
        raise ValueError(f"experts={experts!r} contains an expert twice.")
    return checked


def _sequence(values: Any, expected: str) -> Sequence[Any]:
    if isinstance(values, str) or not isinstance(values, Sequence):
        raise TypeError(f"experts is or contains {values!r}, a {type(values).__name__}; {expected}.")
    if not values:
        raise ValueError(f"experts is or contains an empty sequence; {expected}.")
    return values


def _checked_pair(pair: Any, expected: str) -> Member:
    names = tuple(_sequence(pair, expected))
    if len(names) != 2 or not all(isinstance(name, str) for name in names):
        raise ValueError(f"experts contains {pair!r}, which is no pair of names; {expected}.")
    statistic_names(names[:1], "experts")
    check_option("back end in experts", names[1], BACK_ENDS)
    return names


def statistics_of(experts: Sequence[Expert]) -> tuple[str, ...]:
    """Names of the statistics that experts need, each once."""
    return tuple(dict.fromkeys(name for expert in experts for name, _ in expert))


@dataclass
class Normal:
    """Mean and standard deviation of scores of normal clips that were held out."""

    mean: float
    spread: float

    @classmethod
    def of(cls, score: np.ndarray) -> "Normal":
        spread = float(score.std())
        return cls(float(score.mean()), spread if spread > 0 else 1.0)

    def __call__(self, score: np.ndarray) -> np.ndarray:
        return (score - self.mean) / self.spread


class FittedExperts:
    """The experts of one machine.

    Parameters
    ----------
    experts : tuple of experts
        Statistics and back ends of each.
    with_level : bool
        Whether the level of the clip is one more expert, of small weight.
    """

    def __init__(self, experts: tuple[Expert, ...], *, with_level: bool) -> None:
        self.experts, self.with_level = experts, with_level
        self._back_ends: dict[Member, Any] = {}
        self._normal: dict[Any, Normal] = {}  # by member, and by expert

    @property
    def every(self) -> tuple[Expert, ...]:
        """All experts, with that of the level."""
        return (*self.experts, LEVEL) if self.with_level else self.experts

    def fit(
        self,
        values: Mapping[str, np.ndarray],
        recording: np.ndarray,
        random_state: np.random.RandomState,
        n_jobs: int | None = None,
        neighbors: str = "exact",
    ) -> np.ndarray:
        """Fit to normal clips, and return their scores (n,), each by experts fitted to clips of other recordings.

        Parameters
        ----------
        values : mapping of str to ndarray of shape (n, d)
            Statistics of the clips.
        recording : ndarray of shape (n,), int
            Recording of each clip. With a single one none can be held out, and the scores are of clips that were learnt.
        random_state : RandomState
            Assigns recordings to folds.
        n_jobs : int or None, default=None
            Number of threads.
        neighbors : {"exact", "approximate"}, default="exact"
            How the nearest clips are found.
        """
        from joblib import Parallel, delayed

        folds = list(_folds(recording, random_state))
        members = dict.fromkeys(member for expert in self.every for member in expert)
        fits = Parallel(n_jobs, prefer="threads", require="sharedmem")(
            delayed(_fitted)(BACK_ENDS[back_end], values[statistic], folds, neighbors)
            for statistic, back_end in members
        )
        held_out = {}
        for member, (back_end, scores) in zip(members, fits, strict=True):
            self._back_ends[member], held_out[member] = back_end, scores
            self._normal[member] = Normal.of(scores)
        for expert in self.every:
            self._normal[expert] = Normal.of(self._sum(expert, held_out))
        return self._combined(held_out)

    def score(self, values: Mapping[str, np.ndarray]) -> np.ndarray:
        """Anomaly score (n,) of clips with these statistics."""
        return self._combined({member: end.score(values[member[0]]) for member, end in self._back_ends.items()})

    def _sum(self, expert: Expert, scores: Mapping[Member, np.ndarray]) -> np.ndarray:
        return np.sum([self._normal[member](scores[member]) for member in expert], axis=0)

    def _combined(self, scores: Mapping[Member, np.ndarray]) -> np.ndarray:
        """Logarithm of the weighted mean over experts of exp of their normalised scores."""
        weights = np.array([LEVEL_WEIGHT if expert == LEVEL else 0.0 for expert in self.every])
        parts = np.array([self._normal[expert](self._sum(expert, scores)) for expert in self.every])
        return np.logaddexp.reduce(parts + weights[:, None], axis=0) - np.logaddexp.reduce(weights)


def _fitted(
    back_end: Callable[[np.ndarray, str], Any],
    X: np.ndarray,
    folds: Iterable[tuple[np.ndarray, np.ndarray]],
    neighbors: str,
) -> tuple[Any, np.ndarray]:
    """A back end fitted to normal clips (n, d), and the score (n,) of each by one fitted to the other folds."""
    scores = np.empty(len(X))
    for rest, fold in folds:
        scores[fold] = back_end(X[rest], neighbors).score(X[fold])
    return back_end(X, neighbors), scores


def _folds(recording: np.ndarray, random_state: np.random.RandomState) -> Iterable[tuple[np.ndarray, np.ndarray]]:
    """Positions to fit to and to score in each fold; clips of one recording are in the same fold."""
    n_folds = min(_N_FOLDS if len(recording) < _MANY_CLIPS else _N_FOLDS_OF_MANY, len(np.unique(recording)))
    if n_folds < 2:
        everything = np.arange(len(recording))
        return [(everything, everything)]
    from sklearn.model_selection import GroupKFold

    return GroupKFold(n_folds, shuffle=True, random_state=random_state).split(recording, groups=recording)
