"""MachineScores: anomaly scores of clips from the outputs of a network, machine by machine.

Axes: n clips, D dimensions of the embedding, M machines.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from skasd.base import NormalScores
from skasd.clips import MACHINE_COLUMNS, Clips, Recordings
from skasd.detectors._machines import refuse_unknown_machines
from skasd.scoring import BackEnd

_WITHOUT_MACHINES = ("predicted", "reconstruction")  # scores that do not use the machine of a clip


@dataclass(frozen=True)
class ClipOutputs:
    """Outputs of a network for clips.

    Parameters
    ----------
    embedding : ndarray of shape (n, D)
        Embeddings.
    mismatch : ndarray of shape (n, M) or None, default=None
        How badly each clip fits each machine, with machines in alphabetical order; None without a classifier.
    error : ndarray of shape (n,) or None, default=None
        Reconstruction error of an autoencoder; None without one.
    """

    embedding: np.ndarray
    mismatch: np.ndarray | None = None
    error: np.ndarray | None = None

    def of(self, rows: np.ndarray) -> "ClipOutputs":
        """Outputs of the clips at `rows`."""
        parts = (self.embedding, self.mismatch, self.error)
        return ClipOutputs(*(None if part is None else part[rows] for part in parts))  # type: ignore[arg-type]


@dataclass(frozen=True)
class LearntClips:
    """The training clips after the training of the network.

    Parameters
    ----------
    outputs : ClipOutputs
        Outputs of the trained network.
    machines : ndarray of shape (n,), str
        Machine of each clip, or "" if the table names none.
    domains : ndarray of shape (n,), str
        Domain of each clip, ``"source"`` or ``"target"``.
    held_out : ndarray of shape (n_held_out,), int
        Positions of the clips that were not trained on.
    recordings : Recordings
        Which of the clips belong together.
    """

    outputs: ClipOutputs
    machines: np.ndarray
    domains: np.ndarray
    held_out: np.ndarray
    recordings: Recordings

    @property
    def learnt(self) -> np.ndarray:
        """Positions of the clips that the network was trained on."""
        return np.setdiff1d(np.arange(len(self.machines)), self.held_out)

    @property
    def judged(self) -> np.ndarray:
        """Positions of the clips that determine the threshold: those held out, or all clips if there are none."""
        return self.held_out if len(self.held_out) else self.learnt


class MachineScores:
    """Scores of the clips of several machines.

    Parameters
    ----------
    clips : LearntClips
        The training clips.
    columns : sequence of str
        Columns of the clip table that define a machine.
    parameter : str or None
        Parameter of the detector that sets these columns, for messages.
    back_end : estimator or None
        Scorer of embeddings. One is fitted for each machine with at least two clips, and one, named "", to all clips. None
        fits none, so that embeddings cannot be scored.
    seed : int
        Seeds back ends whose `random_state` is None.
    auto : {"label", "embedding"}, default="label"
        Score that ``score_with="auto"`` stands for where clips name one of several machines.
    refit : mapping of str to str or None, default=None
        What else a fit takes for a score that was not learnt, by way to score.

    Attributes
    ----------
    back_ends : dict of str to BackEnd
        Fitted back ends by machine.
    """

    def __init__(
        self,
        clips: LearntClips,
        *,
        columns: Sequence[str],
        parameter: str | None,
        back_end: Any,
        seed: int,
        auto: str = "label",
        refit: Mapping[str, str] | None = None,
    ) -> None:
        self.clips, self.columns, self.parameter, self.refit = clips, columns, parameter, refit or {}
        self.machines, self.auto = np.unique(clips.machines), auto
        rows = clips.learnt
        named = clips.outputs.embedding[rows], clips.machines[rows], clips.domains[rows]
        self.back_ends = {} if back_end is None else fitted_back_ends(back_end, *named, seed=seed)

    def names(self, clips: Clips, score_with: str) -> np.ndarray:
        """Machine (n,) of each clip, or "" if the score does not use it; raises for machines not trained on."""
        names = clips.group_names(self.columns, MACHINE_COLUMNS)
        if score_with in _WITHOUT_MACHINES:
            return np.full(len(clips), "")
        if (names != "").any() or score_with == "label":
            refuse_unknown_machines(names, self.machines, clips, self.columns, self.parameter)
        return names

    def settled(self, score_with: str, names: np.ndarray) -> str:
        """Replace ``"auto"``: `auto` if there are several machines and every clip names its own, else "embedding"."""
        if score_with != "auto":
            return score_with
        return self.auto if len(self.machines) > 1 and (names != "").all() else "embedding"

    def score(self, outputs: ClipOutputs, names: np.ndarray, score_with: str) -> np.ndarray:
        """Anomaly score (n,) of clips of these machines.

        Raises
        ------
        ValueError
            If the score needs a part that was not fitted.
        """
        self._refuse_unlearnt(score_with)
        if score_with == "embedding":
            return embedding_score(self.back_ends, outputs.embedding, names)
        if score_with == "reconstruction":
            return np.asarray(outputs.error)
        mismatch = np.asarray(outputs.mismatch)
        if score_with == "predicted":
            return mismatch.min(axis=1)
        return mismatch[np.arange(len(names)), np.searchsorted(self.machines, names)]

    def _refuse_unlearnt(self, score_with: str) -> None:
        known = self.clips.outputs
        needed = {"embedding": self.back_ends or None, "reconstruction": known.error}
        if needed.get(score_with, known.mismatch) is None:
            raise ValueError(
                f"score_with={score_with!r} needs a part that was not fitted; fit again with score_with={score_with!r}"
                f"{self.refit.get(score_with, '')}."
            )

    def of_training(self, score_with: str) -> NormalScores:
        """Scores of the clips that determine the threshold."""
        clips, judged = self.clips, self.clips.judged
        score = self.score(clips.outputs.of(judged), self._asked(score_with)[judged], self.mode_of_offset(score_with))
        origin = clips.recordings
        is_learnt = not len(clips.held_out)
        return NormalScores(score, origin.number[judged], is_learnt, origin.n_copies, judged)

    def mode_of_offset(self, score_with: str) -> str:
        """Kind of score from which the threshold is computed."""
        return self.settled(score_with, self._asked(score_with)[self.clips.judged])

    def _asked(self, score_with: str) -> np.ndarray:
        names = self.clips.machines
        return np.full(len(names), "") if score_with in _WITHOUT_MACHINES else names


def warn_of_threshold(mode: str, of_offset: str) -> None:
    """Warn if clips get another kind of score, `mode`, than the clips that determine the threshold, `of_offset`."""
    if mode != of_offset:
        warnings.warn(
            f"X names no machine, so its clips are scored by {mode}, but the threshold offset_ was set by {of_offset}: "
            "score_samples can be ranked, but predict and decision_function are not valid. Name the machines, or set "
            f"score_with={mode!r}.",
            stacklevel=4,
        )


def fitted_back_ends(
    scorer: Any, embedding: np.ndarray, machines: np.ndarray, domains: np.ndarray, *, seed: int
) -> dict[str, BackEnd]:
    """Fit a back end for each machine with at least two clips, and one, named "", to all clips.

    Parameters
    ----------
    scorer : estimator
        Scorer that is cloned for each back end.
    embedding : ndarray of shape (n, D)
        Embeddings of the training clips.
    machines, domains : ndarray of shape (n,), str
        Machine and domain of each clip.
    seed : int
        Seeds scorers whose `random_state` is None.
    """
    rows = {"": np.ones(len(machines), dtype=bool)}
    rows |= {str(name): machines == name for name in np.unique(machines) if (machines == name).sum() > 1}
    back_ends = {name: BackEnd(scorer, seed=seed) for name in rows}
    return {name: back_end.fit(embedding[rows[name]], domains[rows[name]]) for name, back_end in back_ends.items()}


def embedding_score(back_ends: dict[str, BackEnd], embedding: np.ndarray, machines: np.ndarray) -> np.ndarray:
    """Anomaly score (n,) of embeddings (n, D) by the back ends of their machines."""
    scores = np.empty(len(embedding))
    for name in np.unique(machines):
        back_end = back_ends.get(str(name), back_ends[""])
        scores[machines == name] = back_end.anomaly_score(embedding[machines == name])
    return scores
