"""Load recordings as clip tables: folders, the DCASE Task 2 data sets, and synthetic machines."""

from typing import TYPE_CHECKING

from skasd._lazy import imported_when_used

if TYPE_CHECKING:
    from skasd.datasets._dcase import load_dcase
    from skasd.datasets._dcase_names import ClipName, parse_attributes, parse_clip_name
    from skasd.datasets._fetch import fetch_dcase
    from skasd.datasets._folder import load_clip_folder
    from skasd.datasets._submission import read_dcase_scores, save_dcase_scores
    from skasd.datasets._synthetic import make_machine_clips

__all__ = [
    "ClipName",
    "fetch_dcase",
    "load_clip_folder",
    "load_dcase",
    "make_machine_clips",
    "parse_attributes",
    "parse_clip_name",
    "read_dcase_scores",
    "save_dcase_scores",
]

__getattr__ = imported_when_used(
    __name__,
    {
        "ClipName": "_dcase_names",
        "fetch_dcase": "_fetch",
        "load_clip_folder": "_folder",
        "load_dcase": "_dcase",
        "make_machine_clips": "_synthetic",
        "parse_attributes": "_dcase_names",
        "parse_clip_name": "_dcase_names",
        "read_dcase_scores": "_submission",
        "save_dcase_scores": "_submission",
    },
)


def __dir__() -> list[str]:
    return __all__
