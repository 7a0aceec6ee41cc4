"""`skasd watch`: hear the recordings of folders as they come, and keep what was heard in a database."""

import hashlib
import shlex
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

import typer

from skasd.cli._models import Scored, load_scored, why_no_model
from skasd.cli._recordings import find_machine, recording_of
from skasd.clips._readers import readers_of
from skasd.datasets._folder import existing_folder
from skasd.monitoring._database import WatchDatabase
from skasd.monitoring._folder import Folders, FoundFile
from skasd.monitoring._hearing import Hearing
from skasd.monitoring._monitor import Monitor
from skasd.monitoring._records import model_row
from skasd.monitoring._relearn import begin_anew, refuse_changes
from skasd.monitoring._settings import Settings
from skasd.monitoring._tell import Teller
from skasd.monitoring._wake_ups import wake_ups
from skasd.monitoring._watch import Watch
from skasd.persistence import describe

_EPISODES, _TROUBLE = 1, 2  # exit statuses of --once
_RECORDER_SECONDS = 5  # for the microphone to finish its file


def run_watch(
    folders: list[Path],
    *,
    model: Path,
    database: Path,
    once: bool,
    on_episode: str | None,
    options: Mapping[str, float | None],
    set: Sequence[str],
    relearn: bool,
    settle: float,
    patience: float,
    poll: bool,
    device: str | None,
    minutes: float,
    jobs: int,
    quiet: bool,
) -> int:
    """Watch folders until Ctrl-C or SIGTERM, or take what is there; return the exit status."""
    warn, note = (_nothing, _nothing) if quiet else (_warn, _note)
    watched = Folders([existing_folder(folder, "FOLDER") for folder in folders], settle=settle, patience=patience)
    _check_device(device, watched, once)
    about, fingerprint = describe(model), _fingerprint(model)
    machines = load_scored(model, jobs)
    given = _settings(options, set)
    with WatchDatabase(database) as opened, _stop_signal() as stop:
        row = model_row(opened, fingerprint, str(model.absolute()), about)
        hearing = Hearing(opened, row, partial(_monitor, machines, given), partial(_machine_of, machines))
        _refuse_settings(machines, given)
        teller = Teller(opened, _words(on_episode), say=typer.echo, warn=warn)
        if relearn:
            begin_anew(hearing, given)
        refuse_changes(hearing, given)
        watch = Watch(watched, hearing, teller, warn, note, stop, once)
        try:
            if once:
                watch.once()
            else:
                with _recorder(device, machines, watched, 60 * minutes, stop, warn):
                    watch.run(wake_ups(watched.roots, poll=poll, stop=stop, warn=warn))
        except KeyboardInterrupt:
            raise KeyboardInterrupt(
                f"interrupted after {watch.n_heard} recordings; the next start goes on behind them"
            ) from None
    if not once:
        return 0
    return _TROUBLE if watch.n_failed else _EPISODES if watch.n_told else 0


def _settings(options: Mapping[str, float | None], texts: Sequence[str]) -> dict[str, float]:
    """Parameters of the Monitor that were given, by options of their own or by --set."""
    known = [field.name for field in fields(Settings) if field.name != "machine"]
    given = {name: value for name, value in options.items() if value is not None}
    for text in texts:
        name, _, value = text.partition("=")
        if name not in known:
            raise ValueError(f"--set {text}: there is no such parameter of Monitor; {', '.join(known)} are.")
        if name in given:
            raise ValueError(f"{name} is given twice; give it once.")
        try:
            given[name] = float(value)
        except ValueError as error:
            raise ValueError(f"--set {text}: a number is expected, such as {name}=1.") from error
    return given


def _refuse_settings(machines: Mapping[str, Scored], given: Mapping[str, Any]) -> None:
    """Raise now, and not at the first recording, if a machine cannot be watched with these settings."""
    for machine, scored in machines.items():
        if not isinstance(scored.detector, str):
            _monitor(machines, given, machine, None)


def _words(command: str | None) -> list[str]:
    try:
        return shlex.split(command or "")
    except ValueError as error:
        raise ValueError(f"--on-episode={command!r} cannot be split into words: {error}.") from error


def _check_device(device: str | None, watched: Folders, once: bool) -> None:
    if device is None:
        return
    if once:
        raise ValueError("--device records until it is stopped, and cannot be given with --once.")
    if len(watched.roots) > 1:
        raise ValueError(f"--device records into one folder, but {len(watched.roots)} were given.")


@contextmanager
def _recorder(
    device: str | None,
    machines: Mapping[str, Scored],
    watched: Folders,
    seconds: float,
    stop: threading.Event,
    warn: Callable[[str], None],
) -> Iterator[None]:
    """Record from a microphone into the folder that is watched, if one was given."""
    if device is None:
        yield
        return
    from skasd.monitoring._microphone import Microphone, Recorder

    detector = next(scored.detector for scored in machines.values() if not isinstance(scored.detector, str))
    reader = getattr(detector, "reader", None) or readers_of(detector)[0]
    n_channels = reader.channel + 1 if isinstance(reader.channel, int) else 2
    microphone = Microphone(int(device) if device.isdecimal() else device, reader.sample_rate, n_channels)
    recorder = Recorder(microphone, watched.roots[0], seconds, stop, warn)
    recorder.start()
    try:
        yield
    finally:
        stop.set()
        recorder.join(timeout=_RECORDER_SECONDS)
    if recorder.error is not None:
        raise OSError(str(recorder.error)) from recorder.error


def _nothing(sentence: str) -> None:
    pass


def _warn(sentence: str) -> None:
    typer.echo(f"skasd: warning: {sentence}", err=True)


def _note(sentence: str) -> None:
    typer.echo(f"skasd: {sentence}", err=True)


def _fingerprint(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _machine_of(machines: Mapping[str, Scored], file: FoundFile) -> str:
    machine = find_machine(recording_of(file.path, file.below), list(machines))
    reason = why_no_model(machine, machines)
    if machine is None or reason:
        raise ValueError(reason)
    return machine


def _monitor(machines: Mapping[str, Scored], given: Mapping[str, Any], machine: str, state: Any) -> Monitor:
    """The Monitor of a machine, from its state if there is one."""
    scored = machines[machine]
    if state is not None:
        return Monitor.from_state(scored.detector, state)
    cells = None if scored.cells is None else "/".join(filter(None, scored.cells.values()))
    return Monitor(scored.detector, machine=cells, **given)


@contextmanager
def _stop_signal() -> Iterator[threading.Event]:
    """An event that SIGTERM sets, so that the recording that is being heard is finished."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = signal.signal(signal.SIGTERM, lambda *_: stop.set())
    try:
        yield stop
    finally:
        signal.signal(signal.SIGTERM, before)
