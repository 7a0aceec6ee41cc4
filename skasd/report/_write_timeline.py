"""write_timeline: an HTML page about watched machines, from the database of `skasd watch`."""

import os
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

from tqdm import tqdm

from skasd._parameters import check_number, check_path
from skasd.clips._file_window import FileWindow
from skasd.clips._files import file_length, read_channels
from skasd.report._details import Figure
from skasd.report._html import rendered
from skasd.report._page import assets_of, figure_data, models_of
from skasd.report._pictures import spectrogram
from skasd.report._sound import Sound
from skasd.report._time_line import HEIGHT, WIDTH, time_line
from skasd.report._watched import Episode, Watch, Watched, read_watch
from skasd.report._write_report import check_options, put_in_place, writable

_MOST = 100  # episodes with sound
_MOST_FAILURES = 200  # that are listed


def write_timeline(
    database: str | os.PathLike[str],
    path: str | os.PathLike[str],
    *,
    days: float | None = None,
    title: str = "Watched machines",
    most: int = _MOST,
    audio: str = "auto",
    verbose: int = 0,
) -> Path:
    """Write an HTML page about watched machines: scores over time, episodes with players, drift, and unusable files.

    The page is one file that any browser opens, without a network. ``skasd report --database`` writes the same. The database
    is only read, also while ``skasd watch`` writes to it.

    Parameters
    ----------
    database : str or path-like
        SQLite file of ``skasd watch``.
    path : str or path-like
        File to write, such as ``"watch.html"``; one that exists is replaced, and folders that are missing are made.
    days : float or None, default=None
        Number of days to show, up to the end of the last recording, above 0; None shows all.
    title : str, default="Watched machines"
        Heading of the page.
    most : int, default=100
        Number of episodes, the last ones, that have the sound of their loudest window, where its recording is still there.
    audio : {"auto", "flac", "ogg"}, default="auto"
        Format of the sound: FLAC; Ogg Vorbis, which is a fifth of the size and needs a browser of 2025 or later on Apple
        devices; or FLAC as long as it needs about 24 MiB at most ("auto").
    verbose : int, default=0
        Shows a progress bar if 1 or larger.

    Returns
    -------
    path : Path
        The file that was written.

    Raises
    ------
    FileNotFoundError
        If there is no database.
    TypeError, ValueError
        If a parameter cannot be used, or if the file is no database of ``skasd watch`` or one of a newer version.
    """
    check_options(most, audio)
    if days is not None:
        check_number("days", days, low=0, above=True)
    check_path("database", database)
    target = writable("path", path)
    if target.resolve() == Path(database).resolve():
        raise ValueError(f"path={path} is the database itself; give another file for the page, such as watch.html.")
    watch = read_watch(Path(database), days)
    text = _page(watch, _figures(watch, most, verbose), str(title), audio)
    return put_in_place(target, text)


def _page(watch: Watch, figures: dict[int, Figure | str], title: str, audio: str) -> str:
    shown = [figure for figure in figures.values() if isinstance(figure, Figure)]
    number = {id(figure): place for place, figure in enumerate(shown)}
    assets, gains, audio = assets_of(shown, audio, None)
    episodes = [each for machine in watch.machines for each in machine.episodes]
    rows = [
        _row(each, figures.get(each.id, "an older episode, without sound on this page"), number)
        for each in sorted(episodes, key=lambda each: each.started_at, reverse=True)
    ]
    return rendered(
        "timeline.html",
        title=title,
        watch=watch,
        rows=rows,
        n_failures=len(watch.failures),
        failures=watch.failures[:_MOST_FAILURES],
        machines=[_machine(machine, watch) for machine in watch.machines],
        models=[
            {**model, "parts": models_of(model["about"]), "is_calibrated": _is_calibrated(model["about"])}
            for model in watch.models
        ],
        hours=sum(machine.seconds for machine in watch.machines) / 3600,
        size={"width": WIDTH, "height": HEIGHT},
        assets=assets,
        audio=audio,
        data=[figure_data(figure, number, gains) for figure in shown],
    )


def _machine(machine: Watched, watch: Watch) -> dict[str, Any]:
    return {
        "name": machine.name or "The machine",
        "watched": machine,
        "line": time_line(machine, watch.start, watch.end),
        "learning": machine.learnings[-1] if machine.learnings else None,
        "hours": machine.seconds / 3600,
    }


def _row(episode: Episode, figure: Figure | str, number: dict[int, int]) -> dict[str, Any]:
    folder, _, file = episode.path.replace("\\", "/").rpartition("/")
    return {
        "episode": episode,
        "folder": folder,
        "file": file,
        "lasted": "goes on" if episode.ended_at is None else duration(episode.ended_at - episode.started_at),
        "seconds": "" if episode.ended_at is None else (episode.ended_at - episode.started_at).total_seconds(),
        "figure": number[id(figure)] if isinstance(figure, Figure) else None,
        "silence": "" if isinstance(figure, Figure) else figure,
    }


def duration(length: timedelta) -> str:
    """A length of time for readers, such as "45 s", "12 min" or "3 h 20 min".

    Parameters
    ----------
    length : timedelta
        Length.
    """
    seconds = round(length.total_seconds())
    if seconds < 120:
        return f"{seconds} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 48 else f"{hours / 24:.1f} days"


def _is_calibrated(about: dict[str, Any]) -> bool:
    return any(part.get("calibration") for part in (about.get("machines") or {"": about}).values())


def _figures(watch: Watch, most: int, verbose: int) -> dict[int, Figure | str]:
    """Sound and picture of the loudest windows of the last episodes, or why there is none, by the id of the episode."""
    episodes = sorted(
        (each for machine in watch.machines for each in machine.episodes),
        key=lambda each: each.started_at,
        reverse=True,
    )
    chosen: Iterable[Episode] = tqdm(episodes[:most], "episodes", disable=verbose < 1, unit="episode", leave=False)
    return {each.id: _figure(each) for each in chosen}


def _figure(episode: Episode) -> Figure | str:
    path = Path(episode.path)
    try:
        found = path.stat()
        length = file_length(path)
        if (found.st_size, found.st_mtime_ns) != (episode.size, episode.modified_ns):
            return "the recording has changed since"
        if length is None or episode.start is None or episode.end is None:
            return "the recording cannot be read"
        n_frames, rate = length
        first = round(episode.start * rate)
        window = FileWindow(path, first, max(1, round((episode.end - episode.start) * rate)), rate)
        channels, _ = read_channels(path, window)
    except FileNotFoundError:
        return "the recording is gone"
    except (OSError, ValueError):
        return "the recording cannot be read"
    part = Sound.around(channels[0], rate, channels.shape[1] / rate / 2)
    sound = Sound(part.waveform, rate, episode.start + part.start, n_frames / rate)
    return Figure(path.name, episode.machine, sound, spectrogram(sound))
