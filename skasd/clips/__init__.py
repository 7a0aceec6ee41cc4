"""The one coercion of X, and the one door to audio files.

Every estimator takes its clips through :func:`check_clips`, whatever holds them: a 2-D array of waveforms, a 3-D array
of features, a list of file paths, or a clip table (a DataFrame, one row per clip).
"""

from skasd.clips._audio import ClipReader, clip_length
from skasd.clips._check import check_clips
from skasd.clips._clips import Clips
from skasd.clips._coerce import as_clips, is_clip_table
from skasd.clips._feature_column import ANY_FEATURE, note_feature

__all__ = [
    "ANY_FEATURE",
    "ClipReader",
    "Clips",
    "as_clips",
    "check_clips",
    "clip_length",
    "is_clip_table",
    "note_feature",
]
