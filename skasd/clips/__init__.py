"""Convert X to clips, and read audio files.

Every estimator converts its ``X`` with :func:`check_clips`. ``X`` is a 2-D array of waveforms, a 3-D array of features,
a list of file paths, or a clip table (a DataFrame with one row per clip). All audio files are read here.
"""

from typing import TYPE_CHECKING

from skasd._lazy import imported_when_used

if TYPE_CHECKING:
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

__getattr__ = imported_when_used(
    __name__,
    {
        "ClipReader": "_audio",
        "clip_length": "_audio",
        "check_clips": "_check",
        "Clips": "_clips",
        "as_clips": "_coerce",
        "is_clip_table": "_coerce",
        "ANY_FEATURE": "_feature_column",
        "note_feature": "_feature_column",
        "noted_feature": "_feature_column",
        "MACHINE_COLUMNS": "_machine_names",
        "Recordings": "_recordings",
        "Residual": "_residual",
        "unusable_clips": "_usable",
    },
)


def __dir__() -> list[str]:
    return __all__
