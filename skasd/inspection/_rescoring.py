"""Scores of edited clips: spectrograms or waveforms in place of one of the clips of a subject."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from skasd._explained import Explained
from skasd.clips import Clips
from skasd.clips._residual import as_channels
from skasd.inspection._subject import Subject, anomaly_scores


@dataclass(frozen=True)
class Rescorer:
    """Scores edits of one clip of a subject.

    Parameters
    ----------
    subject : Subject
        What is explained.
    position : int
        Position of the clip.
    kind : {"feature", "waveform"}
        What the edits are.
    """

    subject: Subject
    position: int
    kind: Any

    def __call__(self, edits: list[np.ndarray]) -> np.ndarray:
        """Anomaly score (n_edits,) of edited spectrograms (F, T) or waveforms (n_timepoints,)."""
        if self.kind == "waveform":
            channel = self.subject.frontend.reader.channel
            edits = [as_channels(edit, channel) for edit in edits]
        estimator = self.subject.estimator
        if isinstance(estimator, Explained):
            one = self.subject.clips.take(np.full(len(edits), self.position))
            edited = Clips(self.kind, edits, one.table, None, one.positions)
            return np.asarray(estimator._anomaly_score(edited), dtype=np.float64)  # type: ignore[attr-defined]
        return anomaly_scores(estimator, self._container(edits))

    def _container(self, edits: list[np.ndarray]) -> Any:
        X, column = self.subject.X, self.subject.clips.column
        if not isinstance(X, pd.DataFrame) or self.subject.clips.table is None:
            return np.stack(edits)
        rows = X.iloc[np.full(len(edits), self.position)]
        name = "waveform" if self.kind == "waveform" else column
        return rows.assign(**{str(name): pd.Series(edits, index=rows.index, dtype=object)})
