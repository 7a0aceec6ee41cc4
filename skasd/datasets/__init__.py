"""Load recordings as clip tables: folders, the DCASE Task 2 data sets, and synthetic machines."""

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
