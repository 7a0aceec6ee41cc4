"""Preparation of an augmentation with the statistics of the training spectrograms.

Axes: F mel bands, T frames, C classes.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
from torch import nn

from skasd.augmentations import TrainingSpectra
from skasd.inputs._frontend import Frontend

_LOUDEST = 600.0  # natural logarithm of a power that does not overflow, in case features are not in dB


def check_augmentation(augmentation: Any, n_views: int = 1) -> None:
    """Raise unless `augmentation` is None or suits a training with `n_views` views of each clip."""
    if augmentation is None:
        return
    if isinstance(augmentation, type) or not hasattr(augmentation, "prepare"):
        what = augmentation.__name__ if isinstance(augmentation, type) else type(augmentation).__name__
        raise TypeError(
            f"augmentation={augmentation!r} is {what}; SpectrumAugmentation(), None, or an object with its methods `check` "
            "and `prepare` is expected."
        )
    augmentation.check()
    if n_views == 1 and np.ndim(getattr(augmentation, "mix_ratio", 0.0)):
        raise ValueError(
            f"mix_ratio={augmentation.mix_ratio!r} of the augmentation is a pair, for two views of each clip, but this "
            "detector uses one view; a number is expected."
        )


def check_bands(augmentation: Any, frontend: Frontend) -> None:
    """Raise if there is an augmentation and the front end does not say where its bands lie."""
    if augmentation is not None and frontend.frequencies is None:
        raise ValueError(
            f"augmentation={augmentation!r} treats bands by their frequencies, and the front end does not say where they "
            "are; give it an attribute `frequencies`, the centres of the bands in Hz, or use a LogMelTransformer."
        )


def prepared(
    augmentation: Any,
    log_mels: Iterable[np.ndarray],
    label: np.ndarray,
    frontend: Frontend,
    n_frames: int | None = None,
    n_of_epoch: int | None = None,
) -> nn.Module | None:
    """Module that augments the spectrograms of a training; None without an augmentation.

    Parameters
    ----------
    augmentation : SpectrumAugmentation or None
        The augmentation.
    log_mels : iterable of ndarray of shape (F, T)
        Training spectrograms. They are read only if there is an augmentation.
    label : ndarray of shape (n_clips,), int64
        Class of each clip.
    frontend : Frontend
        Front end, which knows the unit of the spectrograms and the frequencies of their bands.
    n_frames : int or None, default=None
        Number of frames of the augmented spectrograms. None uses that of the first training spectrogram.
    n_of_epoch : int or None, default=None
        Number of spectrograms per epoch. None means one per clip.
    """
    if augmentation is None:
        return None
    check_bands(augmentation, frontend)
    spectra = _spectra(log_mels, label, frontend, n_frames)
    return augmentation.prepare(replace(spectra, n_clips=n_of_epoch or spectra.n_clips))


def _spectra(
    log_mels: Iterable[np.ndarray], label: np.ndarray, frontend: Frontend, n_frames: int | None
) -> TrainingSpectra:
    log_unit = frontend.log_unit
    moments, powers = [], []
    for log_mel in log_mels:
        values = log_mel.astype(np.float64) * log_unit
        n_frames = values.shape[1] if n_frames is None else n_frames
        moments.append((values.size, values.sum(), np.square(values).sum()))
        powers.append(np.exp(np.minimum(values, _LOUDEST)).mean(axis=1))
    n, total, squares = np.sum(moments, axis=0)
    power, mean = np.array(powers), total / n
    return TrainingSpectra(
        frequency=frontend.frequencies(power.shape[1]),  # type: ignore[misc]
        power=np.array([power[label == number].mean(axis=0) for number in range(label.max() + 1)]),
        mean=float(mean),
        std=float(np.sqrt(max(squares / n - mean**2, 0.0))),
        log_unit=float(log_unit),
        n_frames=n_frames or 1,
        n_clips=len(label),
    )
