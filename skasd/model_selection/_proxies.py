"""Proxy anomalies: normal clips with a synthetic fault, or labelled as another machine."""

from typing import Any

import numpy as np
import pandas as pd

from skasd._parameters import check_integer, check_number, check_option, naming
from skasd._random import local_random_state
from skasd._tables import as_pandas
from skasd.clips import ClipReader, Residual, as_clips
from skasd.clips._residual import as_channels
from skasd.model_selection._faults import FAULTS, upside_down

OTHER_MACHINE = "other_machine"
KINDS = (*FAULTS, OTHER_MACHINE)
_IDENTITY = ("machine_type", "section")
LARGEST_SEVERITY = 100  # beyond it, nothing of the clip is left


def make_proxy_anomalies(
    X: Any,
    kind: str,
    *,
    severity: float = 1.0,
    sample_rate: int = 16000,
    channel: int | str | Residual = 0,
    random_state: Any = None,
) -> Any:
    """Make synthetic anomalies out of normal clips.

    Parameters
    ----------
    X : array, list of paths or clip table
        Normal clips: waveforms, or log-mel spectrograms in dB.
    kind : {"band_gain", "clicks", "mix", "stretch", "other_machine"}
        - ``"band_gain"``: boost a frequency band by up to 6 dB, modulated a few times over the clip;
        - ``"clicks"``: add three to eight clicks of 160 samples with ten times the mean power of the clip;
        - ``"mix"``: mix in a clip of another machine, 5 dB quieter. With only one machine, the spectrum of the added clip is
          flipped in frequency, because the sum of two normal clips would still sound normal;
        - ``"stretch"``: play 10 to 20 % slower or faster at the same pitch;
        - ``"other_machine"``: keep the clip but give it the machine type and section of another; needs a clip table with
          several machines.
    severity : float, default=1.0
        Strength of the fault, dimensionless: multiplies the gain in dB, the added power or the change of tempo.
        "other_machine" ignores it.
    sample_rate : int, default=16000
        Sample rate at which files are read, in Hz; use that of the detector.
    channel : int, {"mean", "residual"} or Residual, default=0
        Channel to use of multichannel clips; use that of the detector. The clips that are made have as many channels as it
        takes to read them with it, the others silent.
    random_state : int, RandomState instance or None, default=None
        Seeds the faults. NumPy's global generator is never used, not even with None.

    Returns
    -------
    X_proxy : array or DataFrame
        One anomalous clip per normal clip. In a clip table the column ``waveform`` replaces ``path``; other columns are
        kept.

    Raises
    ------
    ValueError
        If `kind` is unknown, or "other_machine" is given only one machine.

    See Also
    --------
    ProxyAnomalyScorer : Measures how well a detector finds these anomalies.

    Examples
    --------
    >>> import numpy as np
    >>> from skasd.model_selection import make_proxy_anomalies
    >>> X = np.random.default_rng(0).normal(size=(3, 16000))
    >>> make_proxy_anomalies(X, "clicks", random_state=0).shape
    (3, 16000)
    """
    check_option("kind", kind, KINDS)
    check_number("severity", severity, low=0, high=LARGEST_SEVERITY, above=True)
    check_integer("sample_rate", sample_rate, low=1)
    rng = local_random_state(random_state)
    X = as_pandas(X)
    if kind == OTHER_MACHINE:
        return _under_another_name(X, rng)
    with naming("X"):
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
    if clips.kind == "waveform":
        faulty = [as_channels(waveform, channel) for waveform in faulty]
    return _in_container(X, clips.kind, faulty)


def _others(machine: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
    """Index (n_clips,) of a clip of another machine for each clip, or of any other clip if there is only one machine."""
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
            "kind='other_machine' needs a clip table with several machine types or sections; X has "
            f"{', '.join(sorted(set(machine))) or 'none'}."
        )
    others = X.iloc[_others(machine, rng)]
    return X.assign(**{name: others[name].to_numpy() for name in names})
