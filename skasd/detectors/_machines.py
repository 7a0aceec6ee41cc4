"""Checks of the machines of clips: column names, and machines that a detector was not fitted to."""

from collections.abc import Iterable, Sequence

import numpy as np

from skasd.clips import Clips


def refuse_unknown_machines(
    names: np.ndarray, known: Iterable[str], clips: Clips, columns: Sequence[str], parameter: str | None
) -> None:
    """Raise if a clip is of a machine that was not trained on.

    Parameters
    ----------
    names : ndarray of shape (n_clips,), str
        Machine of each clip.
    known : iterable of str
        Machines of the training clips.
    clips : Clips
        The clips, to name the first of them in the message.
    columns : sequence of str
        Columns of the clip table that define a machine.
    parameter : str or None
        Parameter of the detector that sets the columns; None if they are fixed.
    """
    known = sorted(map(str, known))
    unknown = ~np.isin(names, known)
    if not unknown.any():
        return
    position = int(np.argmax(unknown))
    name = str(names[position])
    if not name:
        what = f"X names no machine, but fit was given clips of {known}"
    elif known == [""]:
        what = f"{clips.name(position)} is of machine {name!r}, but the clips given to fit named no machine"
    else:
        what = f"Machine {name!r} of {clips.name(position)} is not among those given to fit: {known}"
    hint = " Sections are strings such as '00': read tables with dtype=str." if _is_numbered(known) else ""
    way_out = f", or set {parameter}=() if all clips come from one machine" if parameter else ""
    raise ValueError(
        f"{what}. Fit on normal clips of this machine, or give clip tables with the columns {tuple(columns)}{way_out}.{hint}"
    )


def _is_numbered(known: Sequence[str]) -> bool:
    """Whether sections were read as numbers, which lose their leading zero."""
    return any(name.rpartition("/")[2] in set("0123456789") for name in known)
