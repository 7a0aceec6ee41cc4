"""The module of a fitted estimator: from clips to anomaly scores, in double precision.

Axes: B clips, n time points, F bands, T frames.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from skasd.decisions._calibration import Calibration
from skasd.detectors import (
    AutoencoderDetector,
    ContrastiveSpectrumDetector,
    EnsembleDetector,
    JointAECNNDetector,
    OSSCLDetector,
    SelfSupervisedDetector,
    StatClusterDetector,
    StatisticsDetector,
    TWFRDetector,
)
from skasd.detectors._ensemble import ALL
from skasd.export._calibrated import PValues
from skasd.export._embedding import embedding_module
from skasd.export._ensemble import CombinedScores
from skasd.export._machine import Machine
from skasd.export._patches import autoencoder_module
from skasd.export._reading import InWindows
from skasd.export._refusal import refused
from skasd.export._setting import Setting
from skasd.export._statistical import statistics_module, twfr_module

_BUILDERS: dict[type, Callable[[Any, Setting], nn.Module]] = {
    AutoencoderDetector: autoencoder_module,
    ContrastiveSpectrumDetector: embedding_module,
    JointAECNNDetector: embedding_module,
    OSSCLDetector: embedding_module,
    SelfSupervisedDetector: embedding_module,
    StatClusterDetector: embedding_module,
    StatisticsDetector: statistics_module,
    TWFRDetector: twfr_module,
}


def score_module(detector: Any, machine: Machine) -> nn.Module:
    """Module from clips, waveforms (B, n) or features (B, F, T), to anomaly scores (B,).

    Parameters
    ----------
    detector : estimator
        Fitted detector.
    machine : Machine
        Machine whose model is used.

    Raises
    ------
    ValueError
        If there is no module for detectors of this class, or with one of its parameters.
    """
    if isinstance(detector, EnsembleDetector):
        return _ensemble_module(detector, machine)
    if type(detector) not in _BUILDERS:
        known = ", ".join(sorted(kind.__name__ for kind in (*_BUILDERS, EnsembleDetector)))
        raise refused(f"a {type(detector).__name__}", f"export one of {known}, or a pipeline that ends with one")
    length = detector._training_length
    if not length.median:
        raise refused(
            f"a {type(detector).__name__} whose training clips have an unknown length",
            "fit on files whose headers say how long they are, or on arrays",
        )
    longest = max(1, int(1.1 * length.median))
    setting = Setting(machine, "waveform", None, longest).of(detector)
    inside = _BUILDERS[type(detector)](detector, setting)
    heard = InWindows(inside, length.median, detector._held_out_scores)
    reader = length.reader
    if setting.kind == "feature" or reader.duration is None:
        return heard
    return nn.Sequential(Cut(max(1, round(reader.duration * reader.sample_rate))), heard)


def _ensemble_module(ensemble: EnsembleDetector, machine: Machine) -> nn.Module:
    """Module from clips to the scores of an ensemble."""
    members = [score_module(member, machine) for member in ensemble.estimators_]
    scales = ensemble.scales_.get(machine.name(ensemble._group_columns), ensemble.scales_[ALL])
    return CombinedScores(members, list(scales), ensemble._weights, by_rank=ensemble._combine == "rank")


class Cut(nn.Module):
    """The beginning of waveforms.

    Parameters
    ----------
    n_timepoints : int
        Largest length of the output.
    """

    def __init__(self, n_timepoints: int) -> None:
        super().__init__()
        self.n_timepoints = n_timepoints

    def forward(self, waveform: Tensor) -> Tensor:
        """Waveforms (B, n) of waveforms that may be longer."""
        return waveform[:, : self.n_timepoints]


class Decision(nn.Module):
    """Anomaly scores in single precision, whether they exceed the threshold, and p-values if there is a calibration.

    Parameters
    ----------
    score : nn.Module
        From clips to anomaly scores in double precision.
    threshold : float
        Largest anomaly score of a normal clip.
    calibration : Calibration or None
        Scores that p-values rank a clip among.
    """

    def __init__(self, score: nn.Module, threshold: float, calibration: Calibration | None) -> None:
        super().__init__()
        self.score, self.threshold = score, threshold
        self.p_values = None if calibration is None else PValues(calibration)

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the outputs."""
        return ("anomaly_score", "is_anomaly", *(() if self.p_values is None else ("p_value",)))

    def forward(self, waveform: Tensor) -> tuple[Tensor, ...]:
        """Anomaly score (B,), decision (B,), and p-value (B,) if there is one, of waveforms (B, n)."""
        score = self.score(waveform)
        decided = score.float(), score > torch.tensor(self.threshold, dtype=torch.float64)
        return decided if self.p_values is None else (*decided, self.p_values(score).float())
