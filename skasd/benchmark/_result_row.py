"""What a line of results.jsonl has to hold, so that a damaged one is named and not found out later."""

from typing import Any

_NUMBER, _NOTHING = (int, float), type(None)
_FIELDS: dict[str, tuple[type, ...]] = {
    "suite": (str,),
    "data": (str,),
    "detector": (str,),
    "seed": (int,),
    "key": (str,),
    "setting": (str,),
    "score_with": (str, _NOTHING),
    "checkpoint": (str,),
    "fingerprint": (str, _NOTHING),
    "year": (int,),
    "subset": (str, _NOTHING),
    "published": (list,),
    "n_train": (int, _NOTHING),
    "n_test": (int, _NOTHING),
    "official_score": (*_NUMBER, _NOTHING),
    "machines": (list,),
    "official_parts": (list,),
    "fit_seconds": (*_NUMBER, _NOTHING),
    "score_seconds": (*_NUMBER, _NOTHING),
    "peak_bytes": (int, _NOTHING),
    "device": (str,),
    "processor": (str,),
    "versions": (dict,),
    "date": (str,),
}
_NEWER: dict[str, tuple[type, ...]] = {"n_parameters": (int, _NOTHING), "macs_per_clip": (int, _NOTHING)}
_FIGURES = [f"{metric}_{how}" for metric in ("auc", "pauc") for how in ("official", "pooled", "worst_section")]
_OF_MACHINE: dict[str, tuple[type, ...]] = {
    "machine_type": (str, _NOTHING),
    "n_sections": _NUMBER,
    **dict.fromkeys(["score_official", *_FIGURES], (*_NUMBER, _NOTHING)),
}
_OF_PART: dict[str, tuple[type, ...]] = {
    "machine_type": (str, _NOTHING),
    "section": (str, _NOTHING),
    "metric": (str,),
    "value": (*_NUMBER, _NOTHING),
}


def why_damaged(row: Any) -> str:
    """What is wrong with the row of a result, or "".

    Parameters
    ----------
    row : object
        A line of results.jsonl, decoded.

    Returns
    -------
    reason : str
        The first field that is missing or of another type.
    """
    if not isinstance(row, dict):
        return f"it is a {type(row).__name__}, not an object"
    newer = {name: kinds for name, kinds in _NEWER.items() if name in row}  # which older results lack
    reason = _why(row, _FIELDS | newer, "")
    for name, fields in (("machines", _OF_MACHINE), ("official_parts", _OF_PART)):
        for position, part in enumerate([] if reason else row[name]):
            reason = reason or _why(part, fields, f" of {name}[{position}]")
    return reason or ("machines is empty" if not row["machines"] else "")


def _why(part: Any, fields: dict[str, tuple[type, ...]], where: str) -> str:
    if not isinstance(part, dict):
        return f"{where.removeprefix(' of ')} is no object"
    for name, kinds in fields.items():
        if name not in part:
            return f"{name}{where} is missing"
        if not isinstance(part[name], kinds) or isinstance(part[name], bool):
            return f"{name}{where} is {part[name]!r}"
    return ""
