"""What a file says about its model."""

from dataclasses import dataclass
from typing import Any

import sklearn
import torch
from sklearn.pipeline import Pipeline

from skasd._version import __version__
from skasd.clips import ClipReader
from skasd.clips._readers import readers_of
from skasd.detectors import EnsembleDetector
from skasd.export._calibrated import Scoring
from skasd.export._machine import Machine
from skasd.export._refusal import refused


@dataclass(frozen=True)
class Usual:
    """How clips are given to a model.

    Parameters
    ----------
    reader : ClipReader
        Sample rate and channel; no duration, as the graph cuts and fills clips itself.
    n_timepoints : int or None
        Length of the training clips; None if it is not known.
    """

    reader: ClipReader
    n_timepoints: int | None

    @classmethod
    def of(cls, estimator: Any) -> "Usual":
        """That of a fitted estimator.

        Raises
        ------
        ValueError
            If it reads several channels, or reads clips in several ways.
        """
        ways = {(reader.sample_rate, reader.channel) for reader in readers_of(estimator)}
        if len(ways) > 1:
            raise refused(
                f"a {type(estimator).__name__} whose parts read clips in {len(ways)} ways (sample_rate, channel): "
                f"{sorted(ways, key=str)}",
                "use one sample_rate and one channel for all of them",
            )
        ((sample_rate, channel),) = ways
        if not isinstance(channel, int):
            raise refused(
                f"channel={channel!r}, which needs several channels", "fit with one channel, such as channel=0"
            )
        return cls(ClipReader(sample_rate, channel), _n_timepoints(estimator))


def _n_timepoints(estimator: Any) -> int | None:
    """Median length of the training clips, in time points."""
    if isinstance(estimator, EnsembleDetector):
        lengths = [length for length in map(_n_timepoints, estimator.estimators_) if length]
        return lengths[0] if lengths else None
    if isinstance(estimator, Pipeline):
        length = getattr(estimator.steps[-1][1], "_training_length", None)
        first = estimator.steps[0][1]
        if length is None or not length.median or not hasattr(first, "_as_frontend"):
            return None
        return max(1, length.median - 1) * first._as_frontend().hop(1)
    length = getattr(estimator, "_training_length", None)
    return length.median if length is not None and length.median else None


def metadata(scoring: Scoring, machine: Machine, usual: Usual) -> dict[str, str]:
    """Key and value of each property of the model.

    Parameters
    ----------
    scoring : Scoring
        Fitted estimator, and how it decides.
    machine : Machine
        Machine whose model is in the file.
    usual : Usual
        How clips are given to it.
    """
    estimator = scoring.estimator
    last = estimator.steps[-1][1] if isinstance(estimator, Pipeline) else estimator
    values: dict[str, Any] = {
        "sample_rate": usual.reader.sample_rate,
        "channel": usual.reader.channel,
        "n_timepoints": "" if usual.n_timepoints is None else usual.n_timepoints,
        "dynamic_axes": "n_clips, n_timepoints",
        "machine": machine.text,
        "threshold": repr(scoring.threshold),
        "detector": type(last).__name__,
        **scoring.properties,
        "skasd": __version__,
        "torch": torch.__version__,
        "scikit_learn": sklearn.__version__,
    }
    return {name: str(value) for name, value in values.items()}
