"""Subject: a fitted estimator and clips, with what is needed to explain its scores of them.

Axes: F bands, T frames.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from skasd._explained import Explained, levels_of
from skasd.clips import ANY_FEATURE, Clips, as_clips, check_clips, is_clip_table
from skasd.clips._normal_levels import NormalLevels
from skasd.clips._readers import readers_of
from skasd.features._log_mel import LogMelTransformer
from skasd.inputs._frontend import Frontend

_INSIDE = ("best_estimator_", "detector_")  # a search, or a detector around a detector


@dataclass(frozen=True)
class Subject:
    """What is explained.

    Parameters
    ----------
    estimator : estimator
        What scores: a detector, or the rest of a pipeline from the first step that takes spectrograms.
    X : array, list or DataFrame
        What it is given.
    clips : Clips
        The same as clips.
    frontend : Frontend
        Computes the spectrograms; of features, it is what they were made by, as far as that is known.
    knows_axes : bool
        Whether the frequencies and times of the spectrograms are known.
    normal : sequence of NormalLevels, or None
        Levels of normal clips of the machine of each clip.
    """

    estimator: Any
    X: Any
    clips: Clips
    frontend: Frontend
    knows_axes: bool
    normal: Sequence[NormalLevels] | None

    @classmethod
    def of(cls, detector: Any, X: Any, normal: Any = None) -> "Subject":
        """Find what scores X, unwrapping pipelines and searches; `normal` takes the place of the levels that it keeps."""
        estimator, given, made_by = _unwrapped(detector, X)
        clips = _clips_of(estimator, given)
        own = _own_frontend(estimator)
        frontend = made_by or own or _usual_frontend(estimator)
        knows = clips.kind == "waveform" or made_by is not None or getattr(estimator, "frontend", None) is not None
        subject = cls(estimator, given, clips, frontend, knows, None)
        if normal is not None:
            return replace(subject, normal=[_levels_of_given(detector, normal, frontend)] * len(clips))
        keeps = estimator._normal_of(clips) if isinstance(estimator, Explained) else None
        return replace(subject, normal=keeps)

    def needed_normal(self) -> Sequence[NormalLevels]:
        """Levels of normal clips; raises ValueError if there are none."""
        if self.normal is None:
            raise ValueError(
                f"{type(self.estimator).__name__} keeps no levels of normal clips to compare with; give normal=, some of "
                "its training clips."
            )
        return self.normal

    def take(self, positions: np.ndarray) -> "Subject":
        """The same for some of the clips."""
        normal = None if self.normal is None else [self.normal[position] for position in positions]
        return replace(self, X=_rows(self.X, positions), clips=self.clips.take(positions), normal=normal)

    def spectrogram(self, position: int) -> np.ndarray:
        """Spectrogram (F, T) of a clip."""
        (found,) = self.frontend.map(self.clips.take(np.array([position])), np.asarray, n_jobs=1, verbose=0)
        return found.astype(np.float64, copy=False)


def anomaly_scores(estimator: Any, X: Any) -> np.ndarray:
    """Anomaly score (n_clips,) of clips, high for anomalous ones: the negative of ``score_samples``."""
    return -np.asarray(estimator.score_samples(X), dtype=np.float64)


def _unwrapped(detector: Any, X: Any) -> tuple[Any, Any, Frontend | None]:
    """The estimator that scores, what it is given in place of X, and the front end that has made that, if any has."""
    for name in _INSIDE:
        if hasattr(detector, name):
            return _unwrapped(getattr(detector, name), X)
    if isinstance(detector, type) or not hasattr(detector, "score_samples"):
        raise TypeError(
            f"detector={detector!r} has no score_samples; a fitted detector, or a pipeline that ends in one, is expected."
        )
    check_is_fitted(detector)
    if not hasattr(detector, "steps"):
        return detector, X, None
    first, given, made_by = _as_far_as_spectrograms(detector.steps[:-1], X)
    rest = detector[first:]
    inner = rest.steps[0][1] if len(rest.steps) == 1 else rest
    if hasattr(inner, "steps"):
        return inner, given, made_by
    estimator, given, closer = _unwrapped(inner, given)
    return estimator, given, closer or made_by


def _as_far_as_spectrograms(steps: Sequence[Any], X: Any) -> tuple[int, Any, Frontend | None]:
    """Number of steps whose result is spectrograms, that result, and the front end among them."""
    frontend, number = None, 0
    for _, step in steps:
        made = X if step in (None, "passthrough") else step.transform(X)
        if made is not X and not _holds_spectrograms(made):
            break
        X, number = made, number + 1
        frontend = step._as_frontend() if hasattr(step, "_as_frontend") else frontend
    return number, X, frontend


def _holds_spectrograms(X: Any) -> bool:
    if isinstance(X, pd.DataFrame):
        return is_clip_table(X, ANY_FEATURE) and as_clips(X).kind == "feature" and np.ndim(as_clips(X).items[0]) == 2
    return getattr(X, "ndim", 0) == 3


def _clips_of(estimator: Any, X: Any) -> Clips:
    first = estimator.steps[0][1] if hasattr(estimator, "steps") else estimator
    if isinstance(first, Explained):
        return check_clips(first, X, reset=False, feature=first.feature)  # type: ignore[attr-defined]
    return as_clips(X, feature=getattr(first, "feature", "auto"))


def _own_frontend(estimator: Any) -> Frontend | None:
    """Front end of a detector, or of the first step of a pipeline."""
    first = estimator.steps[0][1] if hasattr(estimator, "steps") else estimator
    if isinstance(first, Explained):
        return first._map_frontend()
    found = vars(first).get("_frontend")
    return found if isinstance(found, Frontend) else None


def _usual_frontend(estimator: Any) -> Frontend:
    """A front end for an estimator that has none: that of TWFR, at the sample rate and the channel of its reader."""
    reader = readers_of(estimator)[0]
    usual = LogMelTransformer(reader.sample_rate, norm=None, mel_scale="htk", n_mels=_n_bands(reader.sample_rate))
    return replace(usual._as_frontend(), reader=reader)


def _n_bands(sample_rate: int) -> int:
    """Bands that an FFT of 1024 samples can tell apart."""
    return 128 if sample_rate >= 16000 else 64


def _levels_of_given(detector: Any, normal: Any, frontend: Frontend) -> NormalLevels:
    estimator, given, _ = _unwrapped(detector, normal)
    levels = levels_of(frontend, _clips_of(estimator, given))
    if levels is None:
        raise ValueError(
            "normal holds no clip that can be read; normal clips are expected, such as those given to fit."
        )
    return levels


def _rows(X: Any, positions: np.ndarray) -> Any:
    if isinstance(X, pd.DataFrame):
        return X.iloc[positions]
    return X[positions] if isinstance(X, np.ndarray) else [X[position] for position in positions]
