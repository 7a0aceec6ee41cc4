"""How the tasks of a suite use the clips of a data set: which are trained on, held out, or stripped of metadata."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import pandas as pd

from skasd._parameters import check_integer, check_number
from skasd.benchmark._estimators import describe

_STRATA = ("machine_type", "section", "attributes", "domain")


@dataclass(frozen=True)
class ProxyOptions:
    """Label-free proxies: faults made up of normal clips that the detector was not fitted on.

    Parameters
    ----------
    kinds : sequence of str or callable
        Kinds of :func:`skasd.model_selection.make_proxy_anomalies`, or functions of a table of features and a seed that
        return a table of as many faulty clips.
    severity : float, default=1.0
        Factor of the faults, dimensionless; functions do not use it.
    share : float or None, default=None
        Share of the normal training clips of each machine type, section, attribute and domain to hold out, in (0, 0.9].
    every : int or None, default=None
        Holds out every n-th normal training clip instead.
    folds : int or None, default=None
        Number of folds of a cross-validation instead: one more fit per fold, and all clips in the fit that is tested.
    """

    kinds: Sequence[str | Callable[[pd.DataFrame, int], pd.DataFrame]]
    severity: float = 1.0
    share: float | None = None
    every: int | None = None
    folds: int | None = None

    def __post_init__(self) -> None:
        if sum(value is not None for value in (self.share, self.every, self.folds)) != 1:
            raise ValueError("proxies need one of share, every and folds, which says what clips they are made of.")
        if self.share is not None:
            check_number("share", self.share, low=0, high=0.9, above=True)
        for name in ("every", "folds"):
            if getattr(self, name) is not None:
                check_integer(name, getattr(self, name), low=2)


@dataclass(frozen=True)
class Protocol:
    """How clips of a data set are used.

    Parameters
    ----------
    seeds : sequence of int or None, default=None
        Seeds of the tasks on this data set. None uses those of the suite.
    tags : mapping, default={}
        Columns added to each result, for tables; they have no effect.
    draw : bool, default=False
        Whether the seed draws the training clips from all normal clips of each machine type and section, as many as the data
        set has; all other clips are test clips.
    max_train : int or None, default=None
        Largest number of training clips of each machine type and section; more are sampled by the seed.
    hidden : sequence of str, default=()
        Columns whose values are hidden from the detector, in training as well.
    proxies : ProxyOptions or None, default=None
        Proxy anomalies to score beside the test clips.
    """

    seeds: Sequence[int] | None = None
    tags: Mapping[str, Any] = field(default_factory=dict)
    draw: bool = False
    max_train: int | None = None
    hidden: Sequence[str] = ()
    proxies: ProxyOptions | None = None

    def text(self) -> str:
        """Everything that changes a result; empty for a data set that is used as it is."""
        changed = {
            name: describe(vars(self.proxies) if name == "proxies" and self.proxies else getattr(self, name))
            for name in ("draw", "max_train", "hidden", "proxies")
            if getattr(self, name)
        }
        return json.dumps(changed, sort_keys=True) if changed else ""

    def drawn(self, table: pd.DataFrame, target: np.ndarray, seed: int) -> pd.DataFrame:
        """The table with a `split` column drawn by the seed, machine by machine."""
        side = np.full(len(table), "test", dtype=object)
        for rows in table.reset_index(drop=True).groupby(["machine_type", "section"]).indices.values():
            n_train = ((table["split"].to_numpy()[rows] == "train") & (target[rows] == 1)).sum()
            normal = rows[target[rows] == 1]
            side[np.random.default_rng(seed).permutation(normal)[:n_train]] = "train"
        return table.assign(split=side)

    def held_out(self, train: pd.DataFrame, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Clips to train on, and clips that proxies are made of."""
        kept = train.iloc[:0]
        if self.proxies is not None and self.proxies.every is not None:
            kept = train.iloc[:: self.proxies.every]
        elif self.proxies is not None and self.proxies.share is not None:
            strata = [column for column in _STRATA if column in train.columns]
            kept = train.groupby(strata, dropna=False).sample(frac=self.proxies.share, random_state=seed)
            if kept.empty:
                raise ValueError(
                    f"share={self.proxies.share} of each machine type, section, attribute and domain is no clip; give more."
                )
        train = train.drop(index=kept.index)
        if self.max_train is not None:
            rng = np.random.RandomState(seed)
            machines = [machine for _, machine in train.groupby(["machine_type", "section"])]
            if max(map(len, machines)) > self.max_train:
                train = pd.concat([one.sample(min(self.max_train, len(one)), random_state=rng) for one in machines])
        return train, kept

    def hide(self, table: pd.DataFrame) -> pd.DataFrame:
        """The table with missing values in hidden columns."""
        return table.assign(**{name: None for name in self.hidden if name in table.columns})


def split_options(description: Mapping[str, Any]) -> tuple[dict[str, Any], Protocol]:
    """What says where the clips come from, and how they are used."""
    names = {one.name for one in fields(Protocol)}
    options = {name: value for name, value in description.items() if name in names}
    if isinstance(options.get("proxies"), Mapping):
        options["proxies"] = ProxyOptions(**options["proxies"])
    return {name: value for name, value in description.items() if name not in names}, Protocol(**options)
