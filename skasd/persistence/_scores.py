"""What scores clips in a model file, without the estimators around it.

The import of scikit-learn takes longer than scoring hundreds of clips. Of a detector in this list, a model file holds parts
that score without it: the same functions compute the same scores, bit for bit. Any other model has to be loaded as a whole.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from skasd._mel import MelDefinition
from skasd.clips import ClipReader, Clips
from skasd.clips._file_formats import warn_of_other_formats
from skasd.clips._window_scores import checked_score
from skasd.clips._windows import TrainingLength
from skasd.decisions._calibration import Calibration
from skasd.decisions._decisions import Decisions, without_p_values
from skasd.decisions._groups import Group
from skasd.detectors._experts import FittedExperts, Normal, _Distance
from skasd.detectors._spectrum_models import Mixtures
from skasd.detectors._statistics_scores import StatisticsScores
from skasd.detectors._twfr_scores import Machine, TWFRScores
from skasd.inputs._frontend import Frontend
from skasd.persistence._classes import current_name
from skasd.persistence._container import check_file, opened_arrays, read_texts, refused
from skasd.persistence._description import warn_of_versions
from skasd.persistence._objects import read_state
from skasd.persistence._tree import Node, Reader
from skasd.scoring._scaled_neighbors import ScaledNeighbors, Scaling

_OF_DETECTORS = (
    "offset_",
    "_training_length",
    "_held_out_scores",
    "_file_formats",
    "_clip_kind",
    "_training_data",
    "_frontend",
    "_group_columns",
    "_machines",
)


class FileScores:
    """The scores of files by a fitted detector, of which only the parts that compute them are there."""

    offset_: float
    n_jobs: int | None
    _detector: str
    _frontend: Frontend
    _clip_kind: str
    _training_data: Any
    _training_length: TrainingLength | None
    _held_out_scores: np.ndarray | None
    _file_formats: frozenset[str]
    verbose = 0

    def decided(self, paths: Sequence[str]) -> Decisions:
        """Decisions of the detector about files."""
        return without_p_values(self.anomaly_score(paths), -self.offset_)

    def anomaly_score(self, paths: Sequence[str]) -> np.ndarray:
        """Anomaly score (n_clips,) of files, as :class:`skasd.base.BaseDetector` computes it."""
        clips = Clips("waveform", paths)
        if self._training_length is not None:
            self._training_length.warn_of_short(clips, self._detector, stacklevel=2)
        warn_of_other_formats(clips, self._file_formats)
        return checked_score(self, clips, self._detector)

    @property
    def reader(self) -> ClipReader:
        """How files are read."""
        return self._frontend.reader

    def _is_enough(self) -> bool:
        """Whether the parts that are there score files as the whole detector does."""
        is_of_files = self._clip_kind == "waveform" and self._frontend.on_device is None
        return is_of_files and not self._training_data.machines  # else the names of the machines are asked for


class _OfTWFR(FileScores, TWFRScores):
    _detector = "TWFRDetector"

    def _is_enough(self) -> bool:
        models = self._models
        return super()._is_enough() and isinstance(models, Mixtures) and models.score_by == "component"


class _OfStatistics(FileScores, StatisticsScores):
    _detector = "StatisticsDetector"


class _OfCalibrated:
    """The decisions of a calibrated detector of one machine about files."""

    detector_: FileScores
    offsets_: dict[str, float]
    is_provisional_: dict[str, bool]
    _groups: dict[str, Group]

    def decided(self, paths: Sequence[str]) -> Decisions:
        """Decisions of the detector about files."""
        decided = without_p_values(self.detector_.anomaly_score(paths), -self.offsets_[""])
        if self.is_provisional_[""]:
            return replace(decided, is_provisional=np.ones(len(paths), dtype=bool))
        return replace(decided, p_value=self._groups[""].calibration.p_values(decided.anomaly_score))

    @property
    def reader(self) -> ClipReader:
        """How files are read."""
        return self.detector_.reader

    def _is_enough(self) -> bool:
        return isinstance(self.detector_, FileScores) and self.detector_._is_enough() and set(self._groups) == {""}


# class that takes the place of one in a file, and the attributes that it needs; None is all of them
_PARTS: dict[str, tuple[Any, tuple[str, ...] | None]] = {
    "skasd._mel.MelDefinition": (MelDefinition, None),
    "skasd.clips._audio.ClipReader": (ClipReader, None),
    "skasd.clips._training_data.TrainingData": (SimpleNamespace, ("machines",)),
    "skasd.clips._windows.TrainingLength": (TrainingLength, None),
    "skasd.decisions._calibrated.CalibratedDetector": (
        _OfCalibrated,
        ("detector_", "offsets_", "is_provisional_", "_groups"),
    ),
    "skasd.decisions._calibration.Calibration": (Calibration, None),
    "skasd.decisions._groups.Group": (Group, None),
    "skasd.detectors._experts.FittedExperts": (FittedExperts, None),
    "skasd.detectors._experts.Normal": (Normal, None),
    "skasd.detectors._experts._Distance": (_Distance, None),
    "skasd.detectors._spectrum_models.Mixtures": (Mixtures, ("score_by",)),
    "skasd.detectors._statistics.StatisticsDetector": (_OfStatistics, (*_OF_DETECTORS, "_with_level")),
    "skasd.detectors._twfr.TWFRDetector": (_OfTWFR, (*_OF_DETECTORS, "_values", "_models")),
    "skasd.detectors._twfr_scores.Machine": (Machine, None),
    "skasd.inputs._frontend.Frontend": (Frontend, ("reader", "spectrogram", "log_unit", "on_device")),
    "skasd.scoring._scaled_neighbors.ScaledNeighbors": (ScaledNeighbors, None),
    "skasd.scoring._scaled_neighbors.Scaling": (Scaling, None),
    "sklearn.mixture.GaussianMixture": (SimpleNamespace, ("means_", "precisions_cholesky_")),
}


class _PartsReader(Reader):
    """Reads the parts of the classes in the list; raises _LoadAsAWholeError for others."""

    def value(self, node: Node) -> Any:
        if type(node) is not dict or next(iter(node), "") != "object":
            return super().value(node)
        name = current_name(node["object"])
        if name not in _PARTS:
            raise _LoadAsAWholeError
        cls, names = _PARTS[name]
        part, state = cls.__new__(cls), node["state"]
        self.know(node, part)
        kept = state if names is None else {name: state[name] for name in names}
        vars(part).update(read_state({"state": kept}, self, cls))
        return part


class _LoadAsAWholeError(Exception):
    """The model holds something that is not in the list."""


def load_scores(path: Path, n_jobs: int | None) -> Mapping[str, FileScores | _OfCalibrated] | None:
    """Load what scores files in a model file.

    Parameters
    ----------
    path : Path
        File that :func:`skasd.save` wrote.
    n_jobs : int or None
        Number of threads that read files.

    Returns
    -------
    scores : mapping of str to what decides about files, or None
        For each machine, "" for a model of a single one; None for a model that has to be loaded as a whole.

    Raises
    ------
    ValueError
        If the file is no model file, was damaged or changed, or has a newer format.
    OSError
        If the file cannot be read.
    """
    check_file(path)
    with refused(path):
        texts = read_texts(path)
        try:
            with opened_arrays(path, texts["stamp"]) as arrays:
                read = _PartsReader(arrays.get_tensor).value(texts["tree"])
        except (_LoadAsAWholeError, LookupError):  # a part may stand where nothing was read
            return None
        found = read if isinstance(read, dict) else {"": read}
        is_known = [
            isinstance(key, str) and isinstance(part, FileScores | _OfCalibrated) for key, part in found.items()
        ]
        if not (found and all(is_known) and all(part._is_enough() for part in found.values())):
            return None
    for scores in found.values():
        getattr(scores, "detector_", scores).n_jobs = n_jobs
    warn_of_versions(texts["about"], path)
    return found
