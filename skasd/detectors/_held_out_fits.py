"""Detectors inside other estimators: fitted to all clips, and scores of clips that copies of them were not fitted to."""

from collections.abc import Iterable
from typing import Any

import joblib
import numpy as np
from joblib.parallel import get_active_backend
from sklearn.base import clone

from skasd._interrupt import was_interrupted
from skasd._threshold import threshold_unused
from skasd.clips import Clips


def container(clips: Clips) -> Any:
    """Clips as another estimator takes them: a clip table, or a list or array.

    Parameters
    ----------
    clips : Clips
        Clips that an estimator was given.
    """
    return clips.items if clips.table is None else clips.table


def seeded(estimator: Any, generator: np.random.RandomState) -> Any:
    """Set every `random_state` of an estimator that is None to a seed.

    Parameters
    ----------
    estimator : estimator
        Estimator, which is changed.
    generator : RandomState
        Draws the seeds.
    """
    params = estimator.get_params()
    names = sorted(name for name in params if name.split("__")[-1] == "random_state" and params[name] is None)
    return estimator.set_params(**{name: int(generator.randint(2**31 - 1)) for name in names})


def anomaly_score(estimator: Any, X: Any) -> np.ndarray:
    """Anomaly score (n_clips,), high for anomalous clips, by any estimator with ``score_samples``.

    Parameters
    ----------
    estimator : estimator
        Fitted estimator.
    X : array, list of paths or clip table
        Clips.
    """
    return -np.asarray(estimator.score_samples(X), dtype=np.float64)


def parallel(n_jobs: int | None, prefer: str | None = None) -> joblib.Parallel:
    """Run tasks in parallel, with results one by one where the backend of joblib can.

    Parameters
    ----------
    n_jobs : int or None
        Number of tasks at the same time.
    prefer : str or None, default=None
        ``"threads"``, or None for processes.
    """
    backend, _ = get_active_backend(prefer=prefer)  # those of multiprocessing and Ray yield no results one by one
    return_as = "generator" if backend.supports_return_generator else "list"
    return joblib.Parallel(n_jobs=n_jobs, prefer=prefer, return_as=return_as)


@threshold_unused()
def held_out_score(estimator: Any, clips: Clips, part: np.ndarray) -> tuple[np.ndarray, bool]:
    """Score some of the clips by a clone of an estimator that is fitted to the others.

    Parameters
    ----------
    estimator : estimator
        Estimator, which stays as it is.
    clips : Clips
        Normal clips.
    part : ndarray of shape (n_held_out,), int
        Positions of the clips to hold out.

    Returns
    -------
    score : ndarray of shape (n_held_out,)
        Their anomaly scores.
    is_cut : bool
        Whether an interrupt ended the training early.
    """
    trial = clone(estimator).fit(container(clips.take(np.setdiff1d(np.arange(len(clips)), part))))
    return anomaly_score(trial, container(clips.take(part))), was_interrupted(trial)


@threshold_unused()
def fitted_and_scored(estimator: Any, clips: Clips, parts: Iterable[np.ndarray]) -> tuple[Any, np.ndarray, bool]:
    """Fit an estimator to all clips, and score parts of them by clones that are fitted to the others.

    Parameters
    ----------
    estimator : estimator
        Estimator, which is fitted.
    clips : Clips
        Normal clips.
    parts : iterable of ndarray of int
        Positions of the clips to hold out, for each clone.

    Returns
    -------
    estimator : estimator
        The fitted estimator.
    scores : ndarray of shape (n_scores,)
        Anomaly scores of the clips of all parts, one part after the other.
    is_cut : bool
        Whether an interrupt ended one of the trainings early.
    """
    estimator.fit(container(clips))  # first, so that error messages use positions among all clips
    done = [held_out_score(estimator, clips, part) for part in parts]
    is_cut = was_interrupted(estimator) or any(is_cut for _, is_cut in done)
    return estimator, np.concatenate([score for score, _ in done]), is_cut
