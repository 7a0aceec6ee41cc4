"""Proxy anomalies: normal clips with a fault made up, or under the name of another machine."""

from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import check_random_state

from skasd._parameters import check_number, check_option
from skasd.clips import ClipReader, as_clips
from skasd.model_selection._faults import FAULTS, upside_down

OTHER_MACHINE = "other_machine"
KINDS = (*FAULTS, OTHER_MACHINE)
_IDENTITY = ("machine_type", "section")


def make_proxy_anomalies(
    X: Any,
    kind: str,
    *,
    severity: float = 1.0,
    sample_rate: int = 16000,
    channel: int | str = 0,
    random_state: Any = None,
) -> Any:
    """Make clips up that are like anomalies, from normal clips alone.

    Parameters
    ----------
    X : array, list of paths or clip table
        Normal clips: waveforms, or log-mels in dB.
    kind : {"band_gain", "clicks", "mix", "stretch", "other_machine"}
        - ``"band_gain"``: a band is raised by up to 6 dB, up and down a few times in the clip;
        - ``"clicks"``: three to eight clicks of 160 time points, of ten times the mean power;
        - ``"mix"``: a clip of another machine is mixed in 5 dB below; where there is only one, a clip of the same with its
          spectrum turned upside down, since the sum of two normal clips is as normal as they are;
        - ``"stretch"``: 10 to 20 per cent slower or faster, at the same pitch;
        - ``"other_machine"``: the clip as it is, under machine type and section of another; needs a table that has several.
    severity : float, default=1.0
        Factor of these, dimensionless: of decibels, of power, of the change of tempo. "other_machine" has none.
    sample_rate : int, default=16000
        Rate that files are read at, in Hz: that of the detector.
    channel : int or "mean", default=0
        Channel of clips that have several: that of the detector.
    random_state : int, RandomState instance or None, default=None
        Seeds what is drawn; the global generator of NumPy stays untouched, also with None.

    Returns
    -------
    X_proxy : array or DataFrame
        As many clips. A table of paths gets a column ``waveform`` in their place; all else of it stays as it is.

    Raises
    ------
    ValueError
        If `kind` is unknown, or "other_machine" finds only one machine.

    See Also
    --------
    ProxyAnomalyScorer : Measures how well a detector finds them.

    Examples
    --------
    >>> import numpy as np
    >>> from skasd.model_selection import make_proxy_anomalies
    >>> X = np.random.default_rng(0).normal(size=(3, 16000))
    >>> make_proxy_anomalies(X, "clicks", random_state=0).shape
    (3, 16000)
    """
    check_option("kind", kind, KINDS)
    check_number("severity", severity, low=0, above=True)
    rng = np.random.RandomState() if random_state is None else check_random_state(random_state)
    if kind == OTHER_MACHINE:
        return _under_another_name(X, rng)
    clips = as_clips(X)
    values = list(clips.map(np.asarray, ClipReader(sample_rate, channel)))
    machine = clips.group_names(_IDENTITY, optional=_IDENTITY)
    foreign = upside_down if len(set(machine)) < 2 else np.asarray
    faulty = [
        FAULTS[kind](value.astype(np.float64), foreign(values[other].astype(np.float64)), severity, rng).astype(
            value.dtype
        )
        for value, other in zip(values, _others(machine, rng), strict=True)
    ]
    return _in_container(X, clips.kind, faulty)


def _others(machine: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
    """For each clip the position of one of another machine; of any other clip where there is only one machine."""
    position = np.arange(len(machine))
    others = np.empty(len(machine), dtype=int)
    for index, name in enumerate(machine):
        pool = position[machine != name]
        pool = pool if len(pool) else position[position != index]
        others[index] = rng.choice(pool) if len(pool) else index
    return others


def _in_container(X: Any, kind: str, values: list[np.ndarray]) -> Any:
    if isinstance(X, pd.DataFrame) and kind == "feature":
        return X.assign(log_mel=pd.Series(values, index=X.index, dtype=object))
    if isinstance(X, pd.DataFrame) and {"path", "waveform"} & set(X.columns):
        table = X.drop(columns=["path", "waveform"], errors="ignore")
        return table.assign(waveform=pd.Series(values, index=X.index, dtype=object))
    same_length = len({value.shape for value in values}) == 1
    return np.stack(values) if same_length else values


def _under_another_name(X: Any, rng: np.random.RandomState) -> pd.DataFrame:
    names = [name for name in _IDENTITY if isinstance(X, pd.DataFrame) and name in X.columns]
    machine = as_clips(X).group_names(names) if names else np.array([""])
    if len(set(machine)) < 2:
        raise ValueError(
            "kind='other_machine' needs a clip table with several machine types or sections; it has "
            f"{', '.join(sorted(set(machine))) or 'none'}."
        )
    others = X.iloc[_others(machine, rng)]
    return X.assign(**{name: others[name].to_numpy() for name in names})
