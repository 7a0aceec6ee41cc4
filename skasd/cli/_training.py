"""Normal recordings in a folder, and the detectors that are fitted to them: one for each machine, or one for all."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from skasd.base import BaseDetector
from skasd.cli._recordings import listed, machine_names, told_if_done, why_unreadable
from skasd.clips._files import readable_name
from skasd.clips._readers import readers_of
from skasd.datasets import load_clip_folder

Models = dict[str, BaseDetector | str]  # detector of each machine, or why there is none


@dataclass(frozen=True)
class Training:
    """What came of fitting detectors to a folder.

    Parameters
    ----------
    models : dict of str to detector or str
        Detector of each machine, or why there is none; the key is "" for a detector of all of them.
    left_out : dict of str to str
        Recordings that could not be used, with the reasons.
    n_recordings : int, default=0
        Number of recordings that were learnt from.
    """

    models: Models
    left_out: dict[str, str] = field(default_factory=dict)
    n_recordings: int = 0

    @property
    def is_whole(self) -> bool:
        """Whether all recordings and machines could be used."""
        return not self.left_out and not any(isinstance(model, str) for model in self.models.values())


def fit_folder(
    folder: Path,
    make: Callable[[], BaseDetector],
    *,
    alone: bool,
    one_machine: bool,
    strict: bool,
    verbose: int,
) -> Training:
    """Fit detectors to the normal recordings in a folder, and warn of what could not be used.

    Parameters
    ----------
    folder : Path
        Folder of normal recordings, with subfolders for machines.
    make : callable
        Makes an unfitted detector.
    alone : bool
        Whether each machine has a detector of its own.
    one_machine : bool
        Whether subfolders are no machines.
    strict : bool
        Whether the first recording or machine that cannot be used is an error.
    verbose : int
        Shows progress bars if 1 or larger.
    """
    table = _normal_recordings(folder, one_machine)
    names = machine_names(table)
    machines = {name: table[[own == name for own in names]] for name in sorted(set(names))} if alone else {"": table}
    models: Models = {}
    left_out: dict[str, str] = {}
    for name, rows in machines.items():
        try:
            model, bad = _fitted(
                make, rows if not alone else rows["path"].tolist(), rows["path"].tolist(), strict, verbose
            )
        except ValueError as error:
            if strict or len(machines) == 1:
                raise
            model, bad = f"no detector could be fitted: {error}", {}
        models[name] = model
        left_out |= bad
    _warn(models, left_out, table, folder)
    return Training(models, left_out, len(table) - len(left_out))


def _normal_recordings(folder: Path, one_machine: bool) -> pd.DataFrame:
    clips = load_clip_folder(folder, machines=None if one_machine else "folders")
    table = clips.data[clips.target != -1]  # the user declares the folder normal, so clips without a label are normal
    if table.empty:
        raise ValueError(f"All recordings in {folder} are in folders of anomalies; a detector learns from normal ones.")
    names = machine_names(table)
    if "" in names and len(set(names)) > 1:
        loose = [path for path, name in zip(table["path"], names, strict=True) if not name]
        raise ValueError(
            f"{len(loose)} recordings lie directly in {folder}, such as {readable_name(Path(loose[0]).name)}, and others in "
            f"subfolders, which are machines: {', '.join(sorted(set(filter(None, names))))}. Move them into the folder of "
            "their machine, or use --one-machine if all are of one machine."
        )
    return table


def _fitted(
    make: Callable[[], BaseDetector], X: pd.DataFrame | list[str], paths: Sequence[str], strict: bool, verbose: int
) -> tuple[BaseDetector | str, dict[str, str]]:
    """A detector of those recordings that can be read, and the others with their reasons.

    The recordings are read once if all is well: only when a fit fails is it asked which of them are bad.
    """
    detector = make()
    try:
        with told_if_done():
            return detector.fit(X), {}
    except ValueError:
        bad = why_unreadable(paths, readers_of(detector)[0], strict=strict, verbose=verbose)
        if not bad:
            raise
    if len(bad) == len(paths):
        return "none of its training recordings can be used", bad
    if isinstance(X, list):
        return make().fit([path for path in paths if path not in bad]), bad
    return make().fit(X[~X["path"].isin(bad)]), bad


def _warn(models: Models, left_out: Mapping[str, str], table: pd.DataFrame, folder: Path) -> None:
    """Say what was not learnt from; raise if that is everything."""
    if len(left_out) == len(table):
        raise ValueError(f"None of the {len(left_out)} recordings in {folder} can be used:\n{listed(dict(left_out))}")
    if left_out:
        warnings.warn(
            f"{len(left_out)} of {len(table)} recordings are not learnt from:\n{listed(dict(left_out))}", stacklevel=3
        )
    failed = {machine: model for machine, model in models.items() if isinstance(model, str)}
    if len(failed) == len(models):
        raise ValueError(f"No detector could be fitted to any machine:\n{listed(failed)}")
    if failed:
        warnings.warn(f"{len(failed)} of {len(models)} machines are not scored:\n{listed(failed)}", stacklevel=3)
