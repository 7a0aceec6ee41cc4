"""Convert X to clips, and read audio files.

Every estimator converts its ``X`` with :func:`check_clips`. ``X`` is a 2-D array of waveforms, a 3-D array of features,
a list of file paths, or a clip table (a DataFrame with one row per clip). All audio files are read here.
"""

from skasd.clips._audio import ClipReader, clip_length
from skasd.clips._check import check_clips
from skasd.clips._clips import Clips
from skasd.clips._coerce import as_clips, is_clip_table
from skasd.clips._feature_column import ANY_FEATURE, note_feature, noted_feature
from skasd.clips._machine_names import MACHINE_COLUMNS
from skasd.clips._recordings import Recordings
from skasd.clips._residual import Residual
from skasd.clips._usable import unusable_clips

__all__ = [
    "ANY_FEATURE",
    "MACHINE_COLUMNS",
    "ClipReader",
    "Clips",
    "Recordings",
    "Residual",
    "as_clips",
    "check_clips",
    "clip_length",
    "is_clip_table",
    "note_feature",
    "noted_feature",
    "unusable_clips",
]
