"""Which clips a training holds out: as a validation set that chooses the epoch, or only to set the threshold."""

import warnings

import numpy as np

from skasd.clips import Recordings
from skasd.training._options import TrainingPlan

FEWEST_CLIPS = 10  # of fewer, none is held out unless a fraction asks for it
_USUAL_FRACTION = 0.1
_USUAL_LEAST = 9  # held-out clips that a false alarm rate of 10 % takes
_MOST_OF_FEW = 4  # at most every fourth clip of a small training set


def held_out_clips(label: np.ndarray, plan: TrainingPlan, recordings: Recordings, seed: int) -> np.ndarray:
    """Positions (n_held_out,) of the clips to hold out; clips of one recording are held out together, or none of them.

    Parameters
    ----------
    label : ndarray of shape (n_clips,), int64
        Class of each clip; each class keeps at least one clip to train on.
    plan : TrainingPlan
        Its `validation_fraction` is the share of each class to hold out. If it is 0, `calibration_fraction` is the share of
        each machine.
    recordings : Recordings
        Machines and recordings of the clips.
    seed : int
        Seeds the choice.
    """
    name = "validation_fraction" if plan.validation_fraction else "calibration_fraction"
    fraction, strata = getattr(plan, name), label if plan.validation_fraction else recordings.machine
    _, stratum = np.unique(strata, return_inverse=True)
    one_each = np.unique(recordings.number, return_index=True)[1]
    counts = np.bincount(stratum[one_each], minlength=int(stratum.max()) + 1)  # recordings of each stratum
    quota = (
        np.round(np.multiply(counts, fraction)) if not isinstance(fraction, str) else _usual_quota(counts, len(label))
    )
    held_out = _chosen(stratum, quota, label, recordings.number, seed)
    if len(held_out) or isinstance(fraction, str) or not fraction:
        return held_out
    alone = _chosen(stratum, np.round(np.bincount(stratum) * fraction), label, np.arange(len(label)), seed)
    if not len(alone):
        raise ValueError(
            f"{name}={fraction} holds out none of the {len(label)} clips, since it is applied to each of the {len(counts)} "
            f"{'classes' if strata is label else 'machines'} separately; use a larger fraction, or give more clips."
        )
    warnings.warn(
        f"{len(label)} of the {len(label)} training clips are equal to others or of few recordings, so {name}={fraction} "
        "holds out clips whose like are trained on; give clips of more recordings.",
        stacklevel=2,
    )
    return alone


def _usual_quota(counts: np.ndarray, n_clips: int) -> np.ndarray:
    """Recordings to hold out of each machine: together a tenth, but at least nine where that leaves three quarters."""
    n = int(counts.sum())
    if n_clips < FEWEST_CLIPS:
        return np.zeros(len(counts), dtype=int)
    total = min(max(round(_USUAL_FRACTION * n), _USUAL_LEAST), n // _MOST_OF_FEW)
    share = total * counts / n
    quota = share.astype(int)
    quota[np.argsort(quota - share, kind="stable")[: total - quota.sum()]] += 1
    return quota


def _chosen(stratum: np.ndarray, quota: np.ndarray, label: np.ndarray, recording: np.ndarray, seed: int) -> np.ndarray:
    """Positions of random recordings, until each stratum has its quota; no class and no stratum loses all its clips."""
    rng = np.random.RandomState(seed)
    is_out = np.zeros(len(label), dtype=bool)
    of_class = np.bincount(label, minlength=int(label.max()) + 1)
    size = np.bincount(stratum)
    for value, n_wanted in enumerate(np.minimum(quota, size - 1)):
        n_out = 0
        for row in rng.permutation(np.flatnonzero(stratum == value)):
            if n_out >= n_wanted:
                break
            mates = np.flatnonzero(recording == recording[row])
            left = of_class - np.bincount(label[mates], minlength=len(of_class))
            is_too_long = len(mates) > 1 and 2 * (stratum[mates] == value).sum() > size[value]
            if not (is_out[row] or is_too_long or (left[label[mates]] < 1).any()):
                is_out[mates], of_class, n_out = True, left, n_out + 1
    return np.flatnonzero(is_out)
