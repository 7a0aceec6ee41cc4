"""State of a monitor as JSON, and the file that holds it."""

import base64
import json
import math
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from skasd.clips._sound import Sound
from skasd.monitoring._drift import DriftTest
from skasd.monitoring._episodes import Episode, HeardWindow, Run
from skasd.monitoring._learning import Learning, LearningSound
from skasd.monitoring._listener import Listener
from skasd.monitoring._settings import Settings
from skasd.monitoring._stream import Stream
from skasd.monitoring._window_scorer import WindowScorer
from skasd.monitoring._windows import Window

FORMAT = 1
_CLOSE = 1e-3  # relative difference of the scores of one model on different machines
_PROBE_LEVEL = 0.1  # RMS of the noise that tells models apart
_SERIES = ("start", "end", "score")
_TIMES = ("started_at", "ended_at", "learnt_at")


def probe_score(scorer: WindowScorer) -> float:
    """Anomaly score of a window of noise that is always the same: it tells models apart, whatever they are made of.

    Parameters
    ----------
    scorer : WindowScorer
        Detector and machine.
    """
    channel = scorer.reader.channel
    n_channels = max(channel + 1, 2) if isinstance(channel, int) else 2
    noise = np.random.default_rng(0).normal(0, _PROBE_LEVEL, (n_channels, scorer.length)).astype(np.float32)
    window = Window(0, Sound(noise, scorer.reader.sample_rate, scorer.length))
    return float(scorer.table([window])["anomaly_score"][0])


def state_of(listener: Listener, stream: Stream | None, heard_until: float | None, probe: float) -> dict[str, Any]:
    """State as objects that JSON can hold.

    Parameters
    ----------
    listener : Listener
        What was heard.
    stream : Stream or None
        Stream that may go on.
    heard_until : float or None
        Time of the end of what was heard, in seconds since 1970.
    probe : float
        :func:`probe_score` of the model.
    """
    sound, run = listener.sound, listener.run
    return {
        "format": FORMAT,
        "probe_score": probe,
        "settings": asdict(listener.settings),
        "sound": None if sound is None else _packed(sound),
        "due": listener.due,
        "learning": None if listener.learning is None else _dated(asdict(listener.learning)),
        "drift": None if listener.drift is None else asdict(listener.drift),
        "run": None if run is None else asdict(run),
        "ended": None if listener.ended is None else _dated(asdict(listener.ended)),
        "stream": None if stream is None else {**vars(stream), "samples": _text(stream.samples)},
        "heard_until": heard_until,
    }


def settings_in(state: dict[str, Any]) -> Settings:
    """Parameters of the monitor that a state is of.

    Parameters
    ----------
    state : dict
        What :func:`state_of` made.

    Raises
    ------
    ValueError
        If it is of another format, or damaged.
    """
    if not isinstance(state, dict) or "format" not in state:
        raise ValueError("The state is not that of a Monitor.")
    if state["format"] != FORMAT:
        raise ValueError(
            f"The state has the format {state['format']!r}, and this version of skasd reads {FORMAT}; upgrade skasd, or "
            "begin with a new Monitor."
        )
    with _damaged():
        return Settings(**state["settings"])


def learns_since(state: dict[str, Any] | None, never: float) -> float | None:
    """When the learning period of a monitor began that has not ended, in seconds since 1970; None if it watches.

    Parameters
    ----------
    state : dict or None
        What :func:`state_of` made; None of a monitor that has heard nothing.
    never : float
        What is returned if nothing was heard in the period.
    """
    if state is None:
        return never
    with _damaged():
        if state["sound"] is None:
            return None
        return float(next(iter(_array(state["sound"]["start"])), never))


def restored(state: dict[str, Any], settings: Settings, probe: float) -> tuple[Listener, Stream | None, float | None]:
    """Listener, stream and end of what was heard, by a state.

    Parameters
    ----------
    state : dict
        What :func:`state_of` made.
    settings : Settings
        Parameters in it.
    probe : float
        :func:`probe_score` of the detector that goes on.

    Raises
    ------
    ValueError
        If the state is of another model, or damaged.
    """
    with _damaged():
        is_same = math.isclose(state["probe_score"], probe, rel_tol=_CLOSE, abs_tol=0.0)
    if not is_same:
        raise ValueError(
            "The state is of another model: a threshold holds for the scores of the model that it was learnt with. Give "
            "that model, or begin with a new Monitor."
        )
    with _damaged():
        run, sound, stream = state["run"], state["sound"], state["stream"]
        listener = Listener(
            settings,
            sound=None if sound is None else _unpacked(sound),
            due=state["due"],
            learning=None if state["learning"] is None else Learning(**_undated(state["learning"])),
            drift=None if state["drift"] is None else DriftTest(**state["drift"]),
            run=None if run is None else Run(**{**run, "largest": HeardWindow(**run["largest"])}),
            ended=None if state["ended"] is None else Episode(**_undated(state["ended"])),
        )
        left = None if stream is None else Stream(**{**stream, "samples": _array(stream["samples"])})
        return listener, left, state["heard_until"]


def write_state(state: dict[str, Any], path: Path) -> None:
    """Write a state under another name and rename the file, so that an interrupt leaves the old file or none.

    Parameters
    ----------
    state : dict
        What :func:`state_of` made.
    path : Path
        File to write; one that exists is replaced.
    """
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with part.open("x", encoding="utf-8") as stream:
            json.dump(state, stream, allow_nan=False)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def read_state(path: Path) -> dict[str, Any]:
    """Read a state.

    Parameters
    ----------
    path : Path
        File that :func:`write_state` wrote.

    Raises
    ------
    ValueError
        If the file holds no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is damaged, or not the state of a Monitor: {error}.") from error


@contextmanager
def _damaged() -> Iterator[None]:
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"The state of the Monitor is damaged: {error!r}.") from error


def _packed(sound: LearningSound) -> dict[str, Any]:
    return {**{name: _text(np.array(getattr(sound, name))) for name in _SERIES}, "seconds": sound.seconds}


def _unpacked(sound: dict[str, Any]) -> LearningSound:
    start, end, score = (_array(sound[name]).tolist() for name in _SERIES)
    return LearningSound(start, end, score, sound["seconds"])


def _text(array: np.ndarray) -> dict[str, Any]:
    little = array.astype(array.dtype.newbyteorder("<"))
    return {
        "dtype": little.dtype.str,
        "shape": list(array.shape),
        "base64": base64.b64encode(little.tobytes()).decode(),
    }


def _array(text: dict[str, Any]) -> np.ndarray:
    values = np.frombuffer(base64.b64decode(text["base64"], validate=True), dtype=np.dtype(text["dtype"]))
    return values.reshape(text["shape"]).astype(values.dtype.newbyteorder("="))


def _dated(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in values.items()}


def _undated(values: dict[str, Any]) -> dict[str, Any]:
    return {
        name: datetime.fromisoformat(value) if name in _TIMES and value is not None else value
        for name, value in values.items()
    }
