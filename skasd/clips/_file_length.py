"""Files that end before the length in their header, and files whose header does not know their length.

libsndfile reads what is left of a cut file and only logs the length in the header. Recorders and converters that write to
a pipe cannot know the length, and write a large number in its place; their files are whole.
"""

import re
from pathlib import Path
from typing import Any

_MOST_FRAMES = 2**48  # libsndfile reports 2**63 - 1 frames for a stream without an end
_OF_SOUND = re.compile(
    r"^\s*(?:data|SSND|BODY|Data Size|Data length|riff)\s*:?\s*(-?\d+)(?: \(?should be (\d+))?", re.M
)
_OF_FRAMES = re.compile(r"(?:^\s*Frames|\bCols)\s*:\s*(\d+)", re.M)  # in AIFF, RF64, AVR, MPC 2000 and MATLAB files
_CUT_OGG_STREAM = re.compile(r"lacks an end-of-stream bit|without an End-Of-Stream flag|Junk after the last page")
_SAID_TO_BE_CUT = re.compile(r"[Ss]eems to be a truncated file|File seems to be truncated")  # VOC, MATLAB
_NIST_COUNT = re.compile(rb"^sample_count -i (\d+)", re.M)
_NIST_HEADER_SIZE = 1024
_SLACK = 2**13  # a placeholder is rounded to whole frames, and may leave room for the header


def is_unknown(n_frames: int) -> bool:
    """Whether libsndfile does not know the number of frames."""
    return n_frames > _MOST_FRAMES


def refuse_cut(file: Any, path: Path) -> None:
    """Raise if a file ends before the length in its header.

    Parameters
    ----------
    file : soundfile.SoundFile
        The file, opened.
    path : Path
        Path of the file.

    Raises
    ------
    ValueError
        If sound is missing at the end.
    """
    log = file.extra_info
    if file.format == "OGG" and (is_unknown(file.frames) or _CUT_OGG_STREAM.search(log)):
        raise ValueError("is cut short: the end of its OGG stream is missing")
    sizes = [(int(size), there) for size, there in _OF_SOUND.findall(log)]
    if any(_is_placeholder(size) for size, _ in sizes):
        return
    for size, there in sizes:
        if there and size > int(there):
            raise ValueError(f"is cut short: its header promises {size} bytes of sound, but only {there} are there")
    if _SAID_TO_BE_CUT.search(log):
        raise ValueError("is cut short: its header promises more sound than there is")
    promised = max([int(count) for count in _OF_FRAMES.findall(log)] + _nist_count(file, path), default=0)
    if file.frames < promised <= _MOST_FRAMES:
        raise ValueError(f"is cut short: its header promises {promised} frames, but only {file.frames} are there")


def _is_placeholder(size: int) -> bool:
    """Whether a size stands for an unknown one: SoX, arecord and ffmpeg write about 2**31, 2**32 or 0x7F000000 (AIFF)."""
    near = any(abs(size - placeholder) <= _SLACK for placeholder in (0x7F000000, 2**31, 2**32))
    return near or size < 0 or size > _MOST_FRAMES


def _nist_count(file: Any, path: Path) -> list[int]:
    if file.format != "NIST":
        return []
    with path.open("rb") as content:
        return [int(count) for count in _NIST_COUNT.findall(content.read(_NIST_HEADER_SIZE))]
