"""Files to which whole lines are appended, and whose last line an interrupted process may have left half-written."""

import os
from typing import BinaryIO

_PIECE = 1 << 16  # bytes


def end_of_lines(stream: BinaryIO) -> int:
    """Number of bytes of an open file up to the end of its last whole line; only the end of the file is read.

    Parameters
    ----------
    stream : binary file
        File of lines, open for reading; its position changes.

    Returns
    -------
    n_bytes : int
        0 if there is no whole line.
    """
    end = stream.seek(0, os.SEEK_END)
    while end:
        start = max(0, end - _PIECE)
        stream.seek(start)
        found = stream.read(end - start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0
