"""Scores of normal clips that a detector was not trained on: some held out once, all in folds, or those of the detector."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from joblib import delayed
from sklearn.frozen import FrozenEstimator
from tqdm import tqdm

from skasd._interrupt import note_interrupt
from skasd._threshold import threshold_is_used, threshold_unused
from skasd.base import BaseDetector, NormalScores
from skasd.clips import MACHINE_COLUMNS, Clips, Recordings
from skasd.clips._readers import readers_of
from skasd.clips._training_data import TrainingData
from skasd.decisions._calibration import fewest_recordings
from skasd.decisions._fold_scores import fold_score
from skasd.decisions._groups import refuse_alpha
from skasd.detectors._held_out_fits import anomaly_score, container, parallel

METHODS = ("auto", "split", "cross", "leave_one_out")
N_FOLDS = 5
_FEWEST = 3  # recordings of a group of which some can be held out
_FEWEST_LEFT = 2  # recordings of a group that are learnt from
_LARGEST_SHARE = 0.5  # of the recordings of a group
_USUAL_SHARE = 0.25


@dataclass(frozen=True)
class HoldOut:
    """How clips are held out.

    Parameters
    ----------
    method : {"auto", "split", "cross", "leave_one_out"}
        Method.
    alpha : float
        Accepted false alarm rate.
    learning_period : int
        Smallest number of recordings for a calibrated decision.
    share : float or "auto"
        Share of the recordings of a group that ``"split"`` holds out.
    n_folds : int
        Number of folds of ``"cross"``.
    generator : RandomState
        Chooses the recordings.
    n_jobs : int or None
        Number of folds that are fitted at the same time.
    verbose : int
        Shows progress bars if 1 or larger.
    """

    method: str
    alpha: float
    learning_period: int
    share: float | str
    n_folds: int
    generator: np.random.RandomState
    n_jobs: int | None
    verbose: int

    def fit(self, detector: Any, clips: Clips, groups: np.ndarray) -> tuple[Any, NormalScores]:
        """Fit a detector, and score clips that it was not trained on.

        Parameters
        ----------
        detector : estimator
            Detector, which is fitted.
        clips : Clips
            Normal clips.
        groups : ndarray of shape (n_clips,), str
            Group of each clip.

        Returns
        -------
        detector : estimator
            The fitted detector.
        scores : NormalScores
            Scores of the held-out clips, or those of learnt clips if none could be held out.
        """
        if self.method in ("auto", "leave_one_out") and _leaves_out(detector):
            with threshold_unused():
                return detector, detector.fit(container(clips))._threshold_scores
        recordings = _recordings(detector, clips, self.n_jobs, self.verbose)
        if isinstance(detector, FrozenEstimator):
            return detector, _scores_of_new(detector, clips, recordings)
        hold_out = self._split if self.method_for(detector) == "split" else self._crossed
        return hold_out(detector, clips, groups, recordings)

    def method_for(self, detector: Any) -> str:
        """Method that is used for a detector: ``"split"``, ``"cross"`` or ``"leave_one_out"``.

        Parameters
        ----------
        detector : estimator
            Detector.

        Raises
        ------
        ValueError
            If ``"leave_one_out"`` is asked of a detector that does not have it in closed form.
        """
        own = _leaves_out(detector)
        if isinstance(detector, FrozenEstimator):
            return _frozen_method(self.method)
        if self.method == "leave_one_out" and own != self.method:
            raise ValueError(
                "method='leave_one_out' takes a detector that leaves each clip out in closed form, such as TWFRDetector "
                f"with one component; {type(detector).__name__} does not. Use 'auto', 'cross' or 'split'."
            )
        if self.method != "auto":
            return self.method
        return own or ("split" if isinstance(detector, BaseDetector) else "cross")

    def _split(
        self, detector: Any, clips: Clips, groups: np.ndarray, recordings: Recordings
    ) -> tuple[Any, NormalScores]:
        held_out = self._chosen(groups, recordings.number)
        if not len(held_out):
            return detector, _learnt_scores(detector, clips, recordings)
        part = f" of {len(np.unique(recordings.number))} that method='split' holds out; 'cross' holds out all in turn"
        self._refuse_few(groups[held_out], recordings.number[held_out], part)
        learnt = np.setdiff1d(np.arange(len(clips)), held_out)
        with threshold_unused():
            detector.fit(container(clips.take(learnt)))
        score = anomaly_score(detector, container(clips.take(held_out)))
        return detector, NormalScores(score, recordings.number[held_out], False, recordings.n_copies, held_out)

    def _chosen(self, groups: np.ndarray, number: np.ndarray) -> np.ndarray:
        """Positions of the clips to hold out: whole recordings, a share of those of each group."""
        chosen: list[int] = []
        for group in np.unique(groups):
            own = self.generator.permutation(np.unique(number[groups == group]))
            share = self.share
            if isinstance(share, str):
                wanted = max(fewest_recordings(self.alpha), self.learning_period)
                share = min(max(_USUAL_SHARE, wanted / len(own)), _LARGEST_SHARE)
            n_chosen = min(max(1, round(share * len(own))), len(own) - _FEWEST_LEFT)
            chosen += own[:n_chosen].tolist() if len(own) >= _FEWEST else []
        return np.flatnonzero(np.isin(number, chosen))

    def _crossed(
        self, detector: Any, clips: Clips, groups: np.ndarray, recordings: Recordings
    ) -> tuple[Any, NormalScores]:
        parts = self._parts(groups, recordings.number)
        if not parts:
            return detector, _learnt_scores(detector, clips, recordings)
        position = np.concatenate(parts)
        self._refuse_few(groups[position], recordings.number[position])
        with threshold_unused():
            detector.fit(container(clips))  # first, so that error messages use positions among all clips
        tasks = [delayed(fold_score)(detector, clips, part, groups) for part in parts]
        done = list(tqdm(parallel(self.n_jobs)(tasks), "calibration", len(tasks), disable=self.verbose < 1))
        if any(is_cut for _, is_cut in done):
            note_interrupt("The training of a detector that is calibrated was interrupted.")
        score = np.concatenate([score for score, _ in done])
        order = np.argsort(position)
        position = position[order]
        scores = NormalScores(score[order], recordings.number[position], False, recordings.n_copies, position)
        return detector, scores

    def _refuse_few(self, groups: np.ndarray, number: np.ndarray, how: str = "") -> None:
        """Raise before anything is trained if `alpha` takes more recordings than are held out."""
        if threshold_is_used():
            counts = {str(name): len(np.unique(number[groups == name])) for name in np.unique(groups)}
            refuse_alpha(counts, self.alpha, self.learning_period, how)

    def _parts(self, groups: np.ndarray, number: np.ndarray) -> list[np.ndarray]:
        """Positions of the clips that each fold holds out: whole recordings, spread over the folds group by group."""
        fold = np.full(len(groups), -1)
        for group in np.unique(groups):
            own = self.generator.permutation(np.unique(number[groups == group]))
            if len(own) >= _FEWEST:
                n_folds = min(self.n_folds, len(own))
                for part in range(n_folds):
                    fold[np.isin(number, own[part::n_folds])] = part
        return [np.flatnonzero(fold == part) for part in np.unique(fold[fold >= 0])]


def _leaves_out(detector: Any) -> str | None:
    """How a detector scores each of its training clips by others in its fit, if it does."""
    return detector._leaves_out if isinstance(detector, BaseDetector) else None


def _recordings(detector: Any, clips: Clips, n_jobs: int | None, verbose: int) -> Recordings:
    machines = clips.group_names(MACHINE_COLUMNS, MACHINE_COLUMNS)
    return Recordings.read(clips, readers_of(detector)[0], machines, n_jobs, verbose)


def _frozen_method(method: str) -> str:
    """Method of a detector that is not fitted again, which all clips are held out from."""
    if method not in ("auto", "split"):
        raise ValueError(f"method={method!r} fits the detector again, which a FrozenEstimator forbids; use 'split'.")
    return "split"


def _scores_of_new(detector: FrozenEstimator, clips: Clips, recordings: Recordings) -> NormalScores:
    """Scores of clips that a fitted detector was not trained on."""
    known = getattr(detector.estimator, "_training_data", None)
    if known is not None and known.fingerprint == TrainingData.of(clips).fingerprint:
        raise ValueError(
            "X holds the clips that the frozen detector was trained on, whose scores say nothing about new clips; give "
            "other normal clips."
        )
    return NormalScores(anomaly_score(detector, container(clips)), recordings.number, n_copies=recordings.n_copies)


def _learnt_scores(detector: Any, clips: Clips, recordings: Recordings) -> NormalScores:
    """Scores of the clips that a detector was trained on, where none could be held out."""
    with threshold_unused():
        detector.fit(container(clips))
    score = anomaly_score(detector, container(clips))
    return NormalScores(score, recordings.number, is_learnt=True, n_copies=recordings.n_copies)
