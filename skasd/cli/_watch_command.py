"""The command `skasd watch` with its arguments and help."""

from pathlib import Path
from typing import Annotated

import typer

from skasd.cli._options import Jobs, Quiet, verbosity

Folders = Annotated[list[Path], typer.Argument(help="Folders that fill up with recordings.")]
Model = Annotated[Path, typer.Option(help="Model file that skasd fit or skasd.save wrote.")]
Database = Annotated[Path, typer.Option(help="SQLite file that keeps what was heard; made if there is none.")]
Once = Annotated[bool, typer.Option("--once", help="Hear what is there, and end; for cron.")]
OnEpisode = Annotated[str | None, typer.Option(help="Program to run for each line, which is on its standard input.")]
FalseEpisodes = Annotated[
    float | None, typer.Option(help="Accepted false episodes a day of each machine, 1 by default.")
]
LearningHours = Annotated[
    float | None,
    typer.Option(help="Hours of sound that the threshold is learnt from, without episodes; 24 by default."),
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", help="Other parameter of Monitor as key=value, such as longest_gap=60; repeatable."),
]
Relearn = Annotated[
    bool, typer.Option("--relearn", help="Begin a new learning period; needed once for another model or settings.")
]
Settle = Annotated[float, typer.Option(min=0, help="Seconds for which a file has to stand still.")]
Patience = Annotated[float, typer.Option(min=0, help="Seconds after which a file that cannot be read is a failure.")]
Poll = Annotated[
    bool, typer.Option("--poll", help="Look at the folders every few seconds, as network drives tell no changes.")
]
Device = Annotated[
    str | None, typer.Option(help="Microphone to record into FOLDER, by number or name; see python -m sounddevice.")
]
Minutes = Annotated[float, typer.Option(min=0.01, help="Length of the recordings of --device.")]


def watch(
    folders: Folders,
    model: Model,
    database: Database,
    once: Once = False,
    on_episode: OnEpisode = None,
    false_episodes_per_day: FalseEpisodes = None,
    learning_hours: LearningHours = None,
    settings: Settings = None,
    relearn: Relearn = False,
    settle: Settle = 2.0,
    patience: Patience = 60.0,
    poll: Poll = False,
    device: Device = None,
    minutes: Minutes = 1.0,
    jobs: Jobs = 1,
    quiet: Quiet = False,
) -> None:
    """Watch folders: hear each recording once, as soon as it is whole, and keep what was heard in a database.

    Windows above a threshold make episodes. After a learning period the threshold is set so that there are about as many
    false episodes as you accept. An episode is a line of JSON as it starts and another as it ends, on the standard output
    and for --on-episode. A recording is of the machine whose folder it is in, as in skasd score.

    You can stop or kill it at any time: the next start goes on where it was. Exit status: 0 after SIGTERM; with --once, 2 if
    a recording could not be used, else 1 if an episode started or ended, else 0.
    """
    from skasd.cli._watch import run_watch

    verbosity(quiet)
    status = run_watch(
        folders,
        model=model,
        database=database,
        once=once,
        on_episode=on_episode,
        options={"false_episodes_per_day": false_episodes_per_day, "learning_hours": learning_hours},
        set=settings or (),
        relearn=relearn,
        settle=settle,
        patience=patience,
        poll=poll,
        device=device,
        minutes=minutes,
        jobs=jobs,
        quiet=quiet,
    )
    raise typer.Exit(status)
