"""AUC of proxy anomalies: how well a detector tells normal clips that it has not seen from faults made up of them."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from skasd.benchmark._data import SuiteData
from skasd.benchmark._ways import Score
from skasd.metrics import auc_score, score_table
from skasd.model_selection import ProxyAnomalySplit, make_proxy_anomalies

_MADE: dict[tuple, dict[tuple, pd.DataFrame]] = {}  # faulty clips of the last data set, for the next task


class Proxies:
    """Faulty clips of one data set, front end and seed.

    Parameters
    ----------
    data : SuiteData
        Its table has the clips as they were loaded.
    features : callable
        Function from a clip table to the table that detectors get.
    key : str
        The same for the same front end.
    """

    def __init__(self, data: SuiteData, features: Callable[[pd.DataFrame], pd.DataFrame], key: str) -> None:
        if data.protocol.proxies is None:
            raise ValueError("The data set has no option proxies.")
        self.data, self.features, self.options = data, features, data.protocol.proxies
        self.key = (data.fingerprint, data.seed, key)

    def folds(self, train: pd.DataFrame) -> list[tuple[pd.DataFrame, pd.DataFrame]]:
        """Training clips and held-out clips of each fold; none if the clips are held out from the one fit."""
        if self.options.folds is None:
            return []
        splits = ProxyAnomalySplit(self.options.folds, random_state=self.data.seed).split(train)
        return [(train.iloc[rows], train.iloc[kept]) for rows, kept in splits]

    def figures(self, score: Score, kept: pd.DataFrame) -> dict[str, dict[str, Any]]:
        """AUC by kind: mean over sections, of one ROC curve over all clips, and by machine type."""
        normal, figures = np.asarray(score(self.data.as_tested(kept))), {}
        for kind in self.options.kinds:
            faulty = np.asarray(score(self.data.as_tested(self._faulty(kind, kept))))
            scores, y_true = np.concatenate([normal, faulty]), np.repeat([1, -1], [len(normal), len(faulty)])
            sections = score_table(y_true, scores, pd.concat([kept, kept]), year=2020)
            figures[kind if isinstance(kind, str) else kind.__name__] = {
                "auc": float(sections["auc"].mean()),
                "auc_pooled": float(auc_score(y_true, scores)),
                "machines": sections.groupby("machine_type")["auc"].mean().to_dict(),
            }
        return figures

    def _faulty(self, kind: Any, kept: pd.DataFrame) -> pd.DataFrame:
        if self.key not in _MADE:
            _MADE.clear()
        made, name = _MADE.setdefault(self.key, {}), (getattr(kind, "__name__", kind), tuple(kept.index))
        if name not in made:
            made[name] = self._made(kind, kept)
        return made[name]

    def _made(self, kind: Any, kept: pd.DataFrame) -> pd.DataFrame:
        if callable(kind):
            return kind(kept, self.data.seed)
        clips = self.data.table.loc[kept.index]
        faulty = make_proxy_anomalies(clips, kind, severity=self.options.severity, random_state=self.data.seed)
        return self.features(faulty)


def mean_of_folds(figures: list[dict[str, dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    """Mean over folds of each figure."""
    return {
        kind: {
            "auc": float(np.mean([fold[kind]["auc"] for fold in figures])),
            "auc_pooled": float(np.mean([fold[kind]["auc_pooled"] for fold in figures])),
            "machines": pd.DataFrame([fold[kind]["machines"] for fold in figures]).mean().to_dict(),
        }
        for kind in figures[0]
    }
