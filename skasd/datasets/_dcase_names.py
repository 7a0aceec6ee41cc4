"""Parse the file names of DCASE Task 2 recordings."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from numbers import Integral

from skasd._parameters import check_path

YEARS = range(2020, 2027)

SPLIT_OF_FOLDER = {
    "train": "train",
    "test": "test",
    "source_test": "test",
    "target_test": "test",
    "supplemental": "supplemental",
}

_ID_NAME = re.compile(r"(?:(?P<label>normal|anomaly)_)?id_(?P<section>[0-9]{2})_(?P<index>[0-9]{8})")
_LABELLED_NAME = re.compile(
    r"section_(?P<section>[0-9]{2})_(?P<domain>source|target)_(?:(?P<split>train|test)_)?"
    r"(?:(?P<label>normal|anomaly)_)?(?P<index>[0-9]{4})(?:_(?P<attributes>.*))?"
)
_ANONYMOUS_NAME = re.compile(r"section_(?P<section>[0-9]{2})_(?:(?P<split>test)_)?(?P<index>[0-9]{4})")
_SUPPLEMENTAL_NAME = re.compile(
    r"section_(?P<section>[0-9]{2})_(?P<kind>machine|noise)(?:_(?P<rest>[^0-9]*?))?_"
    r"(?P<index>[0-9]{4})(?:_(?P<attributes>.*))?"
)
_AUDIO_SUFFIX = re.compile(r"\.(?:wav|flac)$", re.IGNORECASE)
_OTHER_SUFFIX = re.compile(r"\.[A-Za-z][A-Za-z0-9]*$")  # ".csv", but not the ".30" of "ac_0.30" in a bare stem
_GLUED_TOKEN = re.compile(r"(spd|weight|damage)([0-9].*)|(Bckg)(.+)")


@dataclass(frozen=True, slots=True)
class ClipName:
    """Metadata in the path of a recording; None where the path does not give it.

    Parameters
    ----------
    kind : {"clip", "supplemental_machine", "supplemental_noise"}
        A recording to train or test on, or a supplemental recording (2025 and later) of the clean machine or of noise.
    machine_type : str or None
        Name of the folder above the ``train``, ``test``, ... folder.
    section : str
        Two digits; the machine ID in 2020.
    domain : {"source", "target"} or None
        Domain; always None in 2020.
    split : {"train", "test", "supplemental"} or None
        Split given by the file name, otherwise by the folder.
    label : {"normal", "anomaly"} or None
        Label; always None for a supplemental recording.
    index : int
        Running number. Numbers repeat, so they do not identify a clip.
    attributes : str or None
        Attribute text; None if absent or hidden. :func:`parse_attributes` splits it.
    """

    kind: str
    machine_type: str | None
    section: str
    domain: str | None
    split: str | None
    label: str | None
    index: int
    attributes: str | None


def parse_clip_name(path: str | os.PathLike[str], *, year: int) -> ClipName | None:
    r"""Parse the path of a DCASE Task 2 recording.

    Only the base name and the two folders above it are used: ``source`` or ``id_07`` higher up in the path is ignored.

    Parameters
    ----------
    path : str or path-like
        Path or base name, with ``/`` or ``\`` between folders. The suffix is ``.wav`` or ``.flac``, or is absent, as
        in some published lists.
    year : int
        Year of the challenge, 2020 to 2026.

    Returns
    -------
    ClipName or None
        Metadata in the path; None if it is not the name of a recording of that year.

    Raises
    ------
    TypeError
        If the path is neither a str nor a path-like object.
    ValueError
        If the year is not a year of the challenge.

    See Also
    --------
    parse_attributes : Split the attribute text.
    load_dcase : Load a whole data set.

    Examples
    --------
    >>> name = parse_clip_name("fan/train/section_00_source_train_normal_0705_m-n_X.wav", year=2023)
    >>> name.machine_type, name.section, name.domain, name.split, name.label, name.attributes
    ('fan', '00', 'source', 'train', 'normal', 'm-n_X')

    The name of an evaluation clip has neither a domain nor a label:

    >>> name = parse_clip_name("Vacuum/test/section_00_0001.wav", year=2023)
    >>> name.domain is None and name.label is None
    True
    >>> parse_clip_name("fan/attributes_00.csv", year=2023) is None
    True
    """
    check_year(year)
    check_path("path", path)
    *folders, base = os.fspath(path).replace("\\", "/").split("/")
    stem = clip_stem(base)
    folder = folders[-1] if folders else ""
    if stem == base and _OTHER_SUFFIX.search(stem):
        return None
    kind, match = _match(stem, year, SPLIT_OF_FOLDER.get(folder))
    if match is None:
        return None
    part = match.groupdict()
    return ClipName(
        kind=kind,
        machine_type=_machine_type(folders),
        section=part["section"],
        domain=part.get("domain") or _domain_of(part.get("rest")),
        split=part.get("split") or SPLIT_OF_FOLDER.get(folder),
        label=part.get("label"),
        index=int(part["index"]),
        attributes=_visible(part.get("attributes")),
    )


def parse_attributes(text: str | None, *, year: int) -> list[tuple[str, str]]:
    """Split the attribute text of a file name into keys and values.

    Parameters
    ----------
    text : str or None
        Attribute text, for example from a cell of a clip table.
    year : int
        Year of the challenge, 2020 to 2026. Before 2022 the text follows no scheme and is returned whole under the key
        ``"raw"``.

    Returns
    -------
    list of (str, str)
        Keys and values in the order of the name. Keys can repeat, and values are text: ``"0.30"`` keeps its zero. A
        final key without a value gets the value ``""``.

    Raises
    ------
    TypeError
        If the text is neither a str nor None.
    ValueError
        If the year is not a year of the challenge.

    See Also
    --------
    parse_clip_name : Parse a file name, attribute text included.

    Examples
    --------
    >>> parse_attributes("vel_700_ac_0.30", year=2023)
    [('vel', '700'), ('ac', '0.30')]
    >>> parse_attributes("weight25_BckgB", year=2024)
    [('weight', '25'), ('Bckg', 'B')]
    >>> parse_attributes("strength_1_ambient", year=2021)
    [('raw', 'strength_1_ambient')]
    >>> parse_attributes("noAttribute", year=2024)
    []
    """
    check_year(year)
    if not (text is None or isinstance(text, str)):
        raise TypeError(f"text={text!r} is a {type(text).__name__}; the text of the attributes or None is expected.")
    visible = _visible(text)
    if visible is None:
        return []
    return list(_pairs(visible.split("_"))) if year >= 2022 else [("raw", visible)]


def check_year(year: int) -> None:
    """Raise unless the year is a year of the challenge."""
    if not isinstance(year, Integral) or year not in YEARS:
        raise ValueError(f"year={year!r} is not a known year of DCASE Task 2; expected {YEARS[0]} to {YEARS[-1]}.")


def name_pattern(year: int) -> str:
    """How clips of a year are named, for messages."""
    if year == 2020:
        return "<normal|anomaly>_id_<2 digits>_<8 digits>.wav, or id_<2 digits>_<8 digits>.wav without a label"
    unlabelled = (
        "section_<2 digits>_<source|target>_test_<4 digits>.wav"
        if year == 2021
        else "section_<2 digits>_<4 digits>.wav"
    )
    return (
        "section_<2 digits>_<source|target>_<train|test>_<normal|anomaly>_<4 digits>_<attributes>.wav, or "
        f"{unlabelled} without a label"
    )


def base_name(path: str | os.PathLike[str]) -> str:
    r"""Last part of a path that has ``/`` or ``\`` between folders."""
    return os.fspath(path).replace("\\", "/").rpartition("/")[2]


def clip_stem(path: str | os.PathLike[str]) -> str:
    """Base name without ``.wav`` or ``.flac``, which is the key for joining published lists."""
    return _AUDIO_SUFFIX.sub("", base_name(path))


def _match(stem: str, year: int, split_of_folder: str | None) -> tuple[str, re.Match[str] | None]:
    if year == 2020:
        return "clip", _ID_NAME.fullmatch(stem)
    if split_of_folder == "supplemental":
        match = _SUPPLEMENTAL_NAME.fullmatch(stem) if year >= 2025 else None
        return f"supplemental_{match['kind']}" if match else "", match
    return "clip", _LABELLED_NAME.fullmatch(stem) or _ANONYMOUS_NAME.fullmatch(stem)


def _machine_type(folders: list[str]) -> str | None:
    if len(folders) < 2 or folders[-1] not in SPLIT_OF_FOLDER or folders[-2] in {"", ".", ".."}:
        return None
    return folders[-2]


def _domain_of(rest: str | None) -> str | None:
    """Domain among the free words of a supplemental name, or None."""
    words = (rest or "").split("_")
    return next((word for word in words if word in {"source", "target"}), None)


def _visible(text: str | None) -> str | None:
    stripped = (text or "").strip("_")
    return None if stripped in {"", "noAttribute"} else stripped


def _pairs(tokens: list[str]) -> Iterator[tuple[str, str]]:
    rest = iter(tokens)
    for token in rest:
        if glued := _GLUED_TOKEN.fullmatch(token):
            key, value = (group for group in glued.groups() if group is not None)
            yield key, value
            continue
        value = next(rest, "")
        if (token, value) == ("mic", "pos"):
            token, value = "mic_pos", next(rest, "")
        yield token, value
