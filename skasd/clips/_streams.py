"""Files whose header has no length or a wrong one, although their sound is there."""

import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import Literal

_Order = Literal["little", "big"]
_SOUND_CHUNKS = {
    **dict.fromkeys([(b"RIFF", b"WAVE"), (b"RIFX", b"WAVE")], b"data"),
    **dict.fromkeys([(b"FORM", b"AIFF"), (b"FORM", b"AIFC")], b"SSND"),
}
_MP3_COUNT = re.compile(rb"Xing|Info|VBRI")
_MP3_FRAME_SIZE = 2**12  # more than the first frame of an MP3 file, which holds the number of frames if there is one
_ID3_HEADER_SIZE = 10
_PIPE_BLOCK = 2**16
_LARGEST_SIZE = 2**31 - 2**12


def uncounted_mp3(path: Path) -> bool:
    """Whether an MP3 file lacks the number of its frames, which libsndfile then guesses from the first bit rate."""
    with path.open("rb") as file:
        start = file.read(_ID3_HEADER_SIZE)
        if start[:3] == b"ID3":
            size = sum((byte & 0x7F) << shift for byte, shift in zip(start[6:10], (21, 14, 7, 0), strict=True))
            file.seek(_ID3_HEADER_SIZE + size)
            start = b""
        return _MP3_COUNT.search(start + file.read(_MP3_FRAME_SIZE)) is None


@contextmanager
def through_pipe(path: Path) -> Iterator[int]:
    """File descriptor of a pipe that carries a file, so that it is decoded to its end and no length is guessed."""
    end, start = os.pipe()

    def feed() -> None:
        with (
            suppress(BrokenPipeError),
            os.fdopen(start, "wb") as out,
            path.open("rb") as file,
        ):  # a reader stops at an error
            while block := file.read(_PIPE_BLOCK):
                out.write(block)

    thread = threading.Thread(target=feed, daemon=True)
    thread.start()
    try:
        yield end
    finally:
        os.close(end)
        thread.join()


def with_true_size(path: Path) -> BytesIO | None:
    """A WAV, AIFF or AU file whose header says that it holds no sound, with the size of the sound that is there.

    Returns
    -------
    file : BytesIO or None
        The corrected file; None if there is no sound.
    """
    if path.stat().st_size > _LARGEST_SIZE:
        return None
    content = bytearray(path.read_bytes())
    order: _Order = "little" if content[:4] == b"RIFF" else "big"
    position = _size_position(content, order)
    if position is None:
        return None
    start = int.from_bytes(content[4:8], order) if content[:4] == b".snd" else position + 4
    header_size = 8 if content[position - 4 : position] == b"SSND" else 0
    if start + header_size >= len(content) or _is_chunks(content, start, order):
        return None
    content[position : position + 4] = (len(content) - start).to_bytes(4, order)
    return BytesIO(content)


def _size_position(content: bytearray, order: _Order) -> int | None:
    """Where the size of the sound is written."""
    form, kind = bytes(content[:4]), bytes(content[8:12])
    if form == b".snd":
        return 8
    wanted = _SOUND_CHUNKS.get((form, kind))
    return next((start - 4 for name, start, _ in _chunks(content, 12, order) if name == wanted), None)


def _chunks(content: bytearray, position: int, order: _Order) -> Iterator[tuple[bytes, int, int]]:
    """Name, start and end of each chunk."""
    while position + 8 <= len(content):
        size = int.from_bytes(content[position + 4 : position + 8], order)
        yield bytes(content[position : position + 4]), position + 8, position + 8 + size
        position += 8 + size + size % 2


def _is_chunks(content: bytearray, position: int, order: _Order) -> bool:
    """Whether further chunks follow up to the end of the file, so that there is no sound."""
    chunks = list(_chunks(content, position, order))
    named = all(name.strip(b" ").isalnum() for name, _, _ in chunks)
    return named and bool(chunks) and chunks[-1][2] in (len(content), len(content) - 1)
