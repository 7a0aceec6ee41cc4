"""Load the DCASE Task 2 data sets of 2020 to 2026 as clip tables."""

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skasd._parameters import check_flag, check_option, naming
from skasd.datasets._dcase_archives import told_years
from skasd.datasets._dcase_names import SPLIT_OF_FOLDER, check_year, clip_stem, name_pattern, parse_clip_name
from skasd.datasets._dcase_truth import label_test_clips, read_attribute_file, read_truth, shortened
from skasd.datasets._dcase_years import refuse_other_year, refuse_two_of_a_number, year_of_folders
from skasd.datasets._folder import clip_bunch, existing_folder
from skasd.datasets._folder_files import walk_folders

_SUBSETS = {"dev": ("dev",), "eval": ("eval",), "both": ("dev", "eval")}
_SUBSET_FOLDER = re.compile(r"(dev|eval)(?:_.*)?")  # dev_data, dev_bearing, eval_data_bandsaw_train
_HARMLESS = re.compile(r"\..*|thumbs\.db|desktop\.ini|attributes_.*\.csv|(?:readme|license)(?:\..*)?", re.IGNORECASE)
_TARGETS = {"normal": 1, "anomaly": -1, None: 0}
_SPLIT_ORDER = {"train": 0, "test": 1, "supplemental": 2}
_LICENCE = (
    "The recordings keep the licence of the record they were downloaded from, a Creative Commons licence that rules out "
    "commercial use in most years. Read it before you use or share them."
)


@dataclass(frozen=True, slots=True)
class _SplitFolder:
    """A non-empty folder called train, test, source_test, target_test or supplemental."""

    path: Path
    subset: str | None
    files: tuple[str, ...]

    @property
    def machine_type(self) -> str:
        return self.path.parent.name


def load_dcase(
    root: str | os.PathLike[str],
    *,
    year: int,
    subset: str = "dev",
    machine_types: str | Sequence[str] | None = None,
    supplemental: bool = False,
    ground_truth: str | os.PathLike[str] | None = None,
    test_attributes: bool = False,
    return_X_y: bool = False,
) -> Any:
    """Load a DCASE Task 2 data set from disk.

    Only the file names are read, not the audio. Whatever a name does not say stays unknown: an evaluation clip is not
    assumed to be normal, nor to come from the source domain.

    Parameters
    ----------
    root : str or path-like
        Folder to search for folders called ``train``, ``test``, ``source_test``, ``target_test`` and ``supplemental``,
        whose parent folder is named after the machine type. It can be the folder that holds ``dev_data`` and
        ``eval_data``, one of these two, or a folder of unpacked archives (``dev_bearing/bearing/train``). If it has
        folders named after years (``2023``, ``dcase2023``), only the one of ``year`` is searched.
    year : int
        Year of the challenge, 2020 to 2026.
    subset : {"dev", "eval", "both"}, default="dev"
        Development set, evaluation set (with the additional training clips), or both. Folders that are not inside a
        ``dev_*`` or ``eval_*`` folder count as part of the requested subset.
    machine_types : str, sequence of str or None, default=None
        Machine types to load; case matters. None loads all of them.
    supplemental : bool, default=False
        Whether to include the supplemental clips (2025 and later), with ``split="supplemental"`` and target 0, and the
        column ``kind``: ``"supplemental_noise"``, ``"supplemental_machine"`` (the clean machine), or ``"clip"``.
    ground_truth : str, path-like or None, default=None
        Published csv file with the labels of the evaluation set, or a folder of such files: ``ground_truth_data``,
        ``ground_truth_domain`` and ``ground_truth_attributes`` of the challenge's evaluator, or the folder ``datasets`` of
        its baseline, with ``eval_data_list*.csv``. Files of other years below it are passed over. Test clips get their
        target and domain from it.
    test_attributes : bool, default=False
        Whether to take the attributes of evaluation test clips from ``ground_truth``, where available. The challenge
        does not allow their use.
    return_X_y : bool, default=False
        Whether to return ``(data, target)`` instead of a Bunch.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        Dictionary-like object with the keys

        data : DataFrame
            Clip table with the columns ``path``, ``machine_type``, ``section`` (in 2020 the machine ID), ``domain``
            (None in 2020), ``attributes`` and ``split``, sorted by machine type, subset, split and name. Unknown cells
            are None. :func:`parse_attributes` splits the attribute text. If the file name hides the attributes, they
            come from ``attributes_NN.csv``, which lists only those that define the domain shift.
        target : ndarray of shape (n_clips,)
            +1 normal, -1 anomaly, 0 unknown.
        DESCR : str
            Description of the data set and its number of clips.

    Raises
    ------
    FileNotFoundError, NotADirectoryError
        If the folder does not exist or is not a folder.
    ValueError
        If the folder holds no clips of this year and subset, a file whose name cannot be parsed, two clips of the same
        name, a machine type of other years only, or clips of two years in one folder; if a machine type is missing; if a
        test clip is missing from the ground truth; or if the ground truth is that of another year.

    Warns
    -----
    UserWarning
        If the ground truth gives test clips a label but no domain, in a year that has domains; or if it has clips that are
        not in the folder.

    See Also
    --------
    load_clip_folder : Load any other folder of recordings.
    save_dcase_scores : Write scores in the format of the challenge.

    Notes
    -----
    The published list ``eval_data_list_2022.csv`` and the full names in the evaluator's ``ground_truth_attributes`` of
    2022 are shuffled for ToyCar and ToyTrain. They are not used for these two machine types; ``ground_truth_data`` and
    ``ground_truth_domain`` are correct.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from skasd.datasets import load_dcase
    >>> with TemporaryDirectory() as root:
    ...     for name in ["train/normal_id_00_00000000.wav", "test/anomaly_id_00_00000000.wav"]:
    ...         file = Path(root, "dev_data", "fan", name)
    ...         file.parent.mkdir(parents=True)
    ...         file.touch()
    ...     clips = load_dcase(root, year=2020)
    >>> clips.data[["machine_type", "section", "split"]]
      machine_type section  split
    0          fan      00  train
    1          fan      00   test
    >>> clips.target
    array([ 1, -1])
    """
    check_year(year)
    check_flag("supplemental", supplemental)
    check_option("subset", subset, _SUBSETS)
    if ground_truth is not None and subset == "dev":
        raise ValueError("ground_truth labels the evaluation set, but subset='dev'; ask for subset='eval'.")
    folder = existing_folder(root, "root")
    found = _wanted_folders(_find_folders(folder, year, supplemental), folder, year, subset)
    rows = _rows(_of_machine_types(found, machine_types), year)
    if ground_truth is not None:
        truth = read_truth(ground_truth, year=year)
        label_test_clips(rows, truth, year=year, test_attributes=test_attributes)
    more_columns = ("kind",) if supplemental else ()
    return clip_bunch(rows, _heading(folder, year, subset), return_X_y=return_X_y, more_columns=more_columns)


def _find_folders(root: Path, year: int, supplemental: bool) -> list[_SplitFolder]:
    """Folders of clips below the root, except those inside a folder named after another year."""
    found = []
    for here, names in walk_folders(root):
        files = tuple(name for name in names if not _HARMLESS.fullmatch(name))
        wanted = here.name in SPLIT_OF_FOLDER and (supplemental or here.name != "supplemental")
        above = here.relative_to(root).parts
        if wanted and files and year_of_folders((root.name, *above)) in {None, year}:
            named = (root.name, *above) if root.name in {"dev_data", "eval_data"} else above
            found.append(_SplitFolder(here, _subset_of(named), files))
    return found


def _subset_of(folders: tuple[str, ...]) -> str | None:
    """Subset of the innermost folder that is named after one."""
    matches = (_SUBSET_FOLDER.fullmatch(folder) for folder in reversed(folders))
    return next((match[1] for match in matches if match), None)


def _wanted_folders(found: list[_SplitFolder], root: Path, year: int, subset: str) -> list[_SplitFolder]:
    wanted = [folder for folder in found if folder.subset in {None, *_SUBSETS[subset]}]
    there = {folder.subset for folder in found}
    absent = [] if None in there else [name for name in _SUBSETS[subset] if name not in there]
    if absent or not wanted:
        what = shortened(sorted({f"{f.subset or '?'}: {f.machine_type}/{f.path.name}" for f in found}), 10)
        raise ValueError(
            f"No clips of DCASE {year}, subset {' and '.join(absent) or subset}, in root={str(root)!r}: looked for files in "
            f"folders called {', '.join(SPLIT_OF_FOLDER)}; found {what or _contents(root)}."
        )
    return wanted


def _contents(root: Path) -> str:
    inside = sorted(path.name for path in root.iterdir())
    return f"none among {shortened(inside, 10)}" if inside else "an empty folder"


def _of_machine_types(found: list[_SplitFolder], machine_types: str | Sequence[str] | None) -> list[_SplitFolder]:
    if machine_types is None:
        return found
    with naming("machine_types"):
        names = [machine_types] if isinstance(machine_types, str) else list(machine_types)
    if not all(isinstance(name, str) for name in names):
        raise TypeError(
            f"machine_types={machine_types!r}; a machine type, a sequence of machine types or None is expected."
        )
    asked = set(names)
    there = {folder.machine_type for folder in found}
    if not asked or not asked <= there:
        held = f"holds the unknown {sorted(asked - there)}" if asked else "is empty"
        raise ValueError(
            f"machine_types={sorted(asked)} {held}; expected some of (case matters): {', '.join(sorted(there))}."
            f"{told_years(sorted(asked - there))}"
        )
    return [folder for folder in found if folder.machine_type in asked]


def _rows(folders: list[_SplitFolder], year: int) -> list[dict[str, Any]]:
    """One row per clip, sorted; raises if a file name cannot be parsed or occurs twice, or if years are mixed."""
    for folder in folders:
        refuse_other_year(folder.machine_type, year, folder.path)
    named = [
        (folder, file, parse_clip_name(folder.path / file, year=year)) for folder in folders for file in folder.files
    ]
    if strange := [folder.path / file for folder, file, clip in named if clip is None]:
        raise ValueError(
            f"{len(strange)} of {len(named)} files are not named like clips of DCASE {year}; are they from another year? "
            f"{shortened(strange)}. Names of that year are {name_pattern(year)}."
        )
    misplaced = [f.path / file for f, file, clip in named if clip and clip.split != SPLIT_OF_FOLDER[f.path.name]]
    if misplaced:
        raise ValueError(f"{len(misplaced)} clips are in a folder that contradicts their name: {shortened(misplaced)}.")
    clips = [((f.machine_type, f.subset), clip, f.path / file) for f, file, clip in named if clip]
    refuse_two_of_a_number(clips, year)
    keyed = sorted(_keyed_rows(folders, named, year), key=lambda item: item[0])
    twice = [key for key, n in Counter(key for key, _ in keyed).items() if n > 1]
    if twice:
        raise ValueError(f"{len(twice)} clips occur more than once: {shortened([k[0] + '/' + k[-1] for k in twice])}.")
    return [row for _, row in keyed]


def _keyed_rows(folders: list[_SplitFolder], named: list, year: int) -> Iterator[tuple[tuple, dict[str, Any]]]:
    tables = {folder.path.parent: _attribute_table(folder.path.parent, year) for folder in folders}
    for folder, file, clip in named:
        attributes = clip.attributes
        if attributes is None and clip.label:  # the attributes of an unlabelled test clip are part of its ground truth
            attributes = tables[folder.path.parent].get(clip_stem(file))
        row = {"path": str(folder.path / file), "machine_type": folder.machine_type, "section": clip.section}
        row |= {"domain": clip.domain, "attributes": attributes, "split": clip.split, "target": _TARGETS[clip.label]}
        row["kind"] = clip.kind
        yield (folder.machine_type, folder.subset or "", _SPLIT_ORDER[clip.split], clip_stem(file)), row


def _attribute_table(machine: Path, year: int) -> dict[str, str]:
    """Domain-shift attributes by base name, for all sections of a machine type."""
    table: dict[str, str] = {}
    if year >= 2022:
        for file in sorted(machine.glob("attributes_[0-9][0-9].csv")):
            table |= read_attribute_file(file, year=year)
    return table


def _heading(root: Path, year: int, subset: str) -> list[str]:
    name = {"dev": "development set", "eval": "evaluation set", "both": "development and evaluation set"}[subset]
    lines = [f"DCASE {year} Task 2, {name}, in {root}."]
    if year == 2026:
        lines.append("Two channels: 0 is the near microphone, 1 the far one. Choose one when reading the files.")
    return [*lines, _LICENCE]
