"""WindowScorer: how long the windows of a detector are, and what it says of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from skasd._parameters import check_number
from skasd.clips import MACHINE_COLUMNS, ClipReader
from skasd.clips._machine_names import split_names
from skasd.clips._readers import readers_of
from skasd.clips._windows import TrainingLength
from skasd.decisions._decisions import Decisions
from skasd.monitoring._windows import Window, WindowCutter

COLUMNS = ("start", "end", "anomaly_score", "threshold", "p_value", "decision", "is_provisional")
_INSIDE = ("detector_", "best_estimator_", "estimator")  # where an estimator keeps a detector


@dataclass(frozen=True)
class WindowScorer:
    """A detector that scores windows.

    Parameters
    ----------
    detector : detector, pipeline, or what scores files in a model file
        Fitted detector.
    reader : ClipReader
        How it reads sound.
    length, hop : int
        Length of a window, and from the start of one to that of the next, in time points at the sample rate of the reader.
    cells : dict of str to str or None
        Cells of the clip table that name the machine, for a detector of several machines.
    """

    detector: Any
    reader: ClipReader
    length: int
    hop: int
    cells: Mapping[str, str | None]

    @classmethod
    def of(
        cls, detector: Any, *, window: float | None = None, hop: float | None = None, machine: str | None = None
    ) -> "WindowScorer":
        """Check parameters, and fill in those that are None.

        Parameters
        ----------
        detector : detector or Pipeline
            Fitted detector.
        window : float or None, default=None
            Length of a window in s; None is the median length of the training clips.
        hop : float or None, default=None
            From the start of a window to that of the next, in s; None is half of the window.
        machine : str or None, default=None
            Machine, such as ``"fan/00"``.
        """
        _check_detector(detector)
        reader = getattr(detector, "reader", None) or readers_of(detector)[0]
        if window is None:
            length = _training_length(detector)
        else:
            check_number("window", window, low=0, above=True)
            length = max(1, round(window * reader.sample_rate))
        if hop is not None:
            check_number("hop", hop, low=0, high=length / reader.sample_rate, above=True)
        step = max(1, length // 2 if hop is None else round(hop * reader.sample_rate))
        return cls(detector, reader, length, step, _cells(machine))

    def cutter(self) -> WindowCutter:
        """What cuts one recording into windows."""
        return WindowCutter(self.length, self.hop, self.reader.sample_rate)

    def table(self, windows: Sequence[Window]) -> pd.DataFrame:
        """Scores and decisions of windows.

        Parameters
        ----------
        windows : sequence of Window
            Windows.

        Returns
        -------
        table : DataFrame of shape (n_windows, 7)
            Columns as of :func:`~skasd.monitoring.score_windows`.

        Raises
        ------
        ValueError
            If a window cannot be used; the message does not say which.
        """
        known = self._decided([window.sound for window in windows])
        columns = (
            [window.start / self.reader.sample_rate for window in windows],
            [window.stop / self.reader.sample_rate for window in windows],
            known.anomaly_score,
            known.threshold,
            known.p_value,
            np.where(known.is_anomaly, "anomaly", "normal").astype(object),
            known.is_provisional,
        )
        return pd.DataFrame(dict(zip(COLUMNS, columns, strict=True)))

    def why_unusable(self, window: Window) -> str:
        """Why a window cannot be used; "" if it can be read.

        Parameters
        ----------
        window : Window
            A window.
        """
        try:
            self.reader.read(window.sound)
        except ValueError as error:
            return str(error)
        return ""

    def _decided(self, sounds: list[Any]) -> Decisions:
        if hasattr(self.detector, "decided"):
            return self.detector.decided(sounds)
        from skasd.decisions._table import decided  # imported when needed, as it takes long

        column = pd.Series(sounds, dtype=object)
        cells = {name: [cell] * len(sounds) for name, cell in self.cells.items()}
        return decided(self.detector, pd.DataFrame({"waveform": column, **cells}))


def _check_detector(detector: Any) -> None:
    if isinstance(detector, Mapping):
        known = ", ".join(repr(name) for name in detector)
        raise TypeError(f"detector is a dict of detectors by machine ({known}); give one of them, such as model[name].")
    if isinstance(detector, type) or not (hasattr(detector, "decided") or hasattr(detector, "score_samples")):
        raise TypeError(
            f"detector={detector!r} scores nothing; give a fitted detector, or a pipeline that ends in one."
        )


def _training_length(detector: Any) -> int:
    """Median length of the training clips, in time points."""
    inside: Any = detector
    while inside is not None:
        length: TrainingLength | None = vars(inside).get("_training_length")
        if length is not None and length.median and vars(inside).get("_clip_kind") == "waveform":
            return length.median
        members = vars(inside).get("estimators_")
        inside = members[0] if members else next((vars(inside)[name] for name in _INSIDE if name in vars(inside)), None)
    raise ValueError(
        f"window=None is the length of the training clips, which this {type(detector).__name__} does not know in seconds; "
        "give the length of a window in seconds, such as window=10."
    )


def _cells(machine: str | None) -> dict[str, str | None]:
    if machine is None:
        return {}
    if not isinstance(machine, str):
        raise TypeError(f"machine={machine!r} is a {type(machine).__name__}; a name such as 'fan/00' is expected.")
    (names,) = split_names([machine])
    if len(names) > len(MACHINE_COLUMNS):
        raise ValueError(
            f"machine={machine!r} has {len(names)} parts; a machine type, and a section after a slash, are."
        )
    return dict(zip(MACHINE_COLUMNS, (name or None for name in names), strict=False))
