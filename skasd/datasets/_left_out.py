"""Warning about folders of recordings that a training on the labelled clips leaves out."""

import warnings
from collections.abc import Sequence
from pathlib import PurePosixPath

_TEST_WORDS = ("test", "testing", "eval", "evaluation", "supplemental")


def warn_of_unlabelled_folders(names: Sequence[str], targets: Sequence[int], splits: Sequence[str | None]) -> None:
    """Warn if some folders say that their clips are normal, and a subfolder does not say what its clips are.

    Parameters
    ----------
    names : sequence of str
        Paths of the clips relative to the folder that was searched.
    targets : sequence of int
        Label of each clip, 0 if unknown.
    splits : sequence of str or None
        Split of each clip; clips to be tested may be unlabelled.
    """
    if 1 not in targets:
        return
    labelled = {str(PurePosixPath(name).parent) for name, target in zip(names, targets, strict=True) if target}
    unlabelled: dict[str, int] = {}
    for name, target, split in zip(names, targets, splits, strict=True):
        folder = str(PurePosixPath(name).parent)
        if not target and split is None and folder not in {*labelled, "."} and not _is_tested(folder):
            unlabelled[folder] = unlabelled.get(folder, 0) + 1
    if unlabelled:
        folder, count = next(iter(unlabelled.items()))
        more = f" and {len(unlabelled) - 1} more folders" if len(unlabelled) > 1 else ""
        warnings.warn(
            f"The {count} clip(s) in the folder {folder!r}{more} have no label, unlike those in {min(labelled)!r}, so "
            "a training on the normal clips leaves them out. Move them below a folder named normal or anomaly, "
            "or pass labels= as a function or a csv file.",
            stacklevel=3,
        )


def _is_tested(folder: str) -> bool:
    return any(word in part.casefold() for part in PurePosixPath(folder).parts for word in _TEST_WORDS)
