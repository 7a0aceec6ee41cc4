"""What scores clips in a fitted StatisticsDetector: it needs no scikit-learn, whose import takes longer than the scoring."""

from collections.abc import Sequence

import numpy as np

from skasd._threads import one_blas_thread
from skasd.clips import MACHINE_COLUMNS, Clips
from skasd.detectors._experts import FittedExperts, statistics_of
from skasd.detectors._machines import refuse_unknown_machines
from skasd.features._pooled import Pooling
from skasd.inputs._frontend import Frontend


class StatisticsScores:
    """Anomaly scores by the parts of a fitted StatisticsDetector, which inherits them."""

    _frontend: Frontend
    _group_columns: tuple[str, ...]
    _with_level: bool
    _machines: dict[str, FittedExperts]
    n_jobs: int | None
    verbose: int

    def _anomaly_score(self, clips: Clips) -> np.ndarray:
        names = clips.group_names(self._group_columns, MACHINE_COLUMNS)
        refuse_unknown_machines(names, self._machines, clips, self._group_columns, "group_columns")
        machines = {str(name): self._machines[str(name)] for name in np.unique(names)}
        values = self._statistics(
            clips, statistics_of([expert for machine in machines.values() for expert in machine.every])
        )
        score = np.empty(len(names))
        with one_blas_thread():
            for name, machine in machines.items():
                group = names == name
                score[group] = machine.score({statistic: column[group] for statistic, column in values.items()})
        return score

    def _statistics(self, clips: Clips, names: Sequence[str]) -> dict[str, np.ndarray]:
        """Statistics (n_clips, d) by name; that of the level is one of them if it is used."""
        if self._with_level and "level" not in names:
            names = (*names, "level")
        pooling = Pooling(tuple(names), self._frontend.log_unit)
        with one_blas_thread():
            rows = list(self._frontend.map(clips, pooling, n_jobs=self.n_jobs, verbose=self.verbose))
        return {name: np.stack([row[name] for row in rows]).astype(np.float64) for name in names}
