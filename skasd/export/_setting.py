"""What the modules of all detectors have in common: their input, and the machine that they are for."""

from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from skasd.export._log_mel import frontend_module
from skasd.export._machine import Machine
from skasd.inputs._frontend import Frontend


@dataclass(frozen=True)
class Setting:
    """What a module is made for.

    Parameters
    ----------
    machine : Machine
        Machine whose model is used.
    kind : {"waveform", "feature"}
        Whether the input is waveforms (B, n) or features (B, F, T).
    n_bands : int or None
        Number of bands of features.
    longest : int
        Largest length of the input, in time points or frames.
    """

    machine: Machine
    kind: str
    n_bands: int | None
    longest: int

    def frontend(self, frontend: Frontend, who: str) -> nn.Module:
        """Module from the input to spectrograms; features are used as they are."""
        return nn.Identity() if self.kind == "feature" else frontend_module(frontend, who)

    def size(self, frontend: Frontend) -> tuple[int, int]:
        """Number of bands, and largest number of frames, of the spectrograms."""
        if self.kind == "feature":
            return self.n_bands or 1, self.longest
        reader = frontend.reader
        fixed = None if reader.duration is None else max(1, round(reader.duration * reader.sample_rate))
        return frontend.size(self.longest if fixed is None else fixed)

    def of(self, estimator: Any) -> "Setting":
        """The same for the clips that an estimator was fitted on."""
        kind, n_bands = estimator._clip_kind, None
        if kind == "feature":
            n_bands = int(estimator.n_features_in_)
        return replace(self, kind=kind, n_bands=n_bands)
