"""anomaly_map: how much each place in time and frequency adds to the anomaly score of a clip.

Axes: F bands, T frames.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from skasd._explained import Explained
from skasd._parameters import check_integer, check_option
from skasd.clips._normal_levels import loudness_offset
from skasd.inspection._axes import axes_of_shape, hop_of
from skasd.inspection._occlusion import EditedClip, insertion_map, occlusion_map, removal_map
from skasd.inspection._regrid import onto_axes
from skasd.inspection._rescoring import Rescorer
from skasd.inspection._subject import Subject
from skasd.inspection._waveform_edits import WaveformEdits, in_decibel

METHODS = ("auto", "exact", "insertion", "occlusion")


@dataclass(frozen=True)
class Way:
    """How maps are made: the parameters `method` and `block` of :func:`anomaly_map`, checked."""

    method: str
    block: tuple[int, int] | None

    @classmethod
    def checked(cls, method: Any, block: Any) -> "Way":
        check_option("method", method, METHODS)
        if block is None:
            return cls(method, None)
        if method == "exact":
            raise ValueError(f"block={block!r} has no effect on method='exact'; leave it at None.")
        if not isinstance(block, tuple | list) or len(block) != 2:
            raise TypeError(f"block={block!r}; None or a tuple of two integers, bands and frames, is expected.")
        for size in block:
            check_integer("block", size, low=1)
        return cls(method, (int(block[0]), int(block[1])))


@dataclass(frozen=True)
class ClipMap:
    """The map of one clip, and what it is compared with; every array has the shape (F, T).

    Parameters
    ----------
    added : ndarray
        How much each place adds to the anomaly score.
    spectrogram, level, spread : ndarray
        Levels of the clip, and mean and spread of those of normal clips at the same rank of their band.
    """

    added: np.ndarray
    spectrogram: np.ndarray
    level: np.ndarray
    spread: np.ndarray

    @property
    def offset(self) -> float:
        """How much louder the clip is on the whole than normal clips, in the unit of the spectrogram."""
        return loudness_offset(self.spectrogram - self.level)


def anomaly_map(
    detector: Any, X: Any, *, method: str = "auto", normal: Any = None, block: tuple[int, int] | None = None
) -> np.ndarray:
    r"""Compute how much each place in time and frequency adds to the anomaly score of each clip.

    Places that make a clip odd have large values; places that are as in normal clips have values around 0.

    Parameters
    ----------
    detector : estimator
        Fitted detector, pipeline or search, or anything with ``score_samples`` that takes clips.
    X : array, list of paths or clip table
        Clips.
    method : {"auto", "exact", "insertion", "occlusion"}, default="auto"
        How places are judged, see Notes. ``"auto"`` is ``"insertion"``, which covers planted faults best, see
        :ref:`explanations`.
    normal : array, list of paths or clip table, default=None
        Normal clips of the machine, whose levels X is compared with. None uses the levels that the detector kept of its
        training clips, machine by machine; estimators that are not of skasd need it.
    block : tuple of two ints, default=None
        Bands and frames that are exchanged together. None is a sixteenth of the bands over the whole clip for
        ``"insertion"``, and at most 16 by 24 blocks for ``"occlusion"``.

    Returns
    -------
    maps : ndarray of shape (n_clips, n_mels, n_frames), float64
        Maps in the unit of the anomaly score. Clips shorter than the longest have NaN at the end. Where bands and frames
        are in Hz and seconds, :func:`map_axes` says.

    Raises
    ------
    TypeError
        If the detector has no ``score_samples``.
    ValueError
        If the detector keeps no levels of normal clips and `normal` is not given; if its score does not split and
        ``method="exact"``; or as ``score_samples`` of the detector.

    See Also
    --------
    explain : Puts the map into regions and sentences.

    Notes
    -----
    A clip is compared with normal clips at the same rank over time: the loudest frames of a band with the loudest of normal
    clips, of the domain that it is closer to. With :math:`D` these differences, without the median over bands of their
    means, which is how much louder the clip is on the whole, and :math:`A_0` the anomaly score of the normal levels, as loud
    as the clip:

    - ``"insertion"``: a block of the clip at a time is put into the normal levels. With :math:`V` the rise of the score
      above :math:`A_0`, or 0 if it falls, a place of the block gets a value proportional to :math:`V |D|`. All places
      together add up to :math:`A - A_0`. Where that is not above 0, the clip may be odd by its loudness, and the normal
      levels themselves take the place of those that are as loud. If the detector finds these odder than the clip too, as
      they are a mean that no clip has, :math:`V` is the drop of the score when the block of the clip is at normal levels.
    - ``"occlusion"`` [2]_: a block of the clip at a time is replaced by the normal levels, and the drop of the score is
      shared by its places in proportion to :math:`|D|`.
    - ``"exact"``: the score itself is split, if it can be: that of :class:`~skasd.detectors.TWFRDetector` with Gaussians,
      whose sum is the score minus that of the mean spectrum, and that of
      :class:`~skasd.detectors.AutoencoderDetector`, whose sum is the score. The quadratic form of a Gaussian is split
      between correlated bands as in [1]_, and between frames by their weights in the spectrum.

    Detectors that hear more than the spectrogram get waveforms that are filtered so. The map of an ensemble is the weighted
    sum of the maps of its detectors. A clip that is scored in windows, see :ref:`clips_length`, has the map of its window
    with the largest score, and 0 elsewhere.

    References
    ----------
    .. [1] P. H. Garthwaite, I. Koch, "Evaluating the contributions of individual variables to a quadratic form", Australian
           & New Zealand Journal of Statistics 58(1), 2016.
    .. [2] M. D. Zeiler, R. Fergus, "Visualizing and understanding convolutional networks", ECCV 2014. arXiv:1311.2901.

    Examples
    --------
    >>> from skasd.datasets import make_machine_clips
    >>> from skasd.detectors import TWFRDetector
    >>> from skasd.inspection import anomaly_map
    >>> clips = make_machine_clips("fan", duration=1.0, random_state=0)
    >>> detector = TWFRDetector().fit(clips.data[clips.data["split"] == "train"])
    >>> anomaly_map(detector, clips.data[-2:]).shape
    (2, 128, 32)
    """
    way, subject = Way.checked(method, block), Subject.of(detector, X, normal)
    return stacked_maps([of_clip.added for of_clip in clip_maps(subject, way)])


def stacked_maps(maps: list[np.ndarray]) -> np.ndarray:
    """Maps (F, T) as one array (n_clips, F, T), with NaN after the end of shorter ones."""
    longest = max(one.shape[1] for one in maps)
    return np.stack([np.pad(one, ((0, 0), (0, longest - one.shape[1])), constant_values=np.nan) for one in maps])


def clip_maps(subject: Subject, way: Way) -> Iterator[ClipMap]:
    """Map of each clip of a subject, in order."""
    parts = getattr(subject.estimator, "_score_parts", None)
    for position in range(len(subject.clips)):
        one = subject.take(np.array([position]))
        yield _of_one(one, way) if parts is None else _of_parts(one, way)


def _of_parts(subject: Subject, way: Way) -> ClipMap:
    """Weighted sum of the maps of the detectors that an ensemble is made of, on the axes of the first."""
    total = None
    for member, weight in subject.estimator._score_parts(subject.clips):
        own = Subject.of(member, subject.X)
        own = own if own.normal is not None else replace(own, normal=subject.normal)
        (found,) = clip_maps(own, way)
        axes = axes_of_shape(own, *found.added.shape)
        if total is None:
            total, first = replace(found, added=weight[0] * found.added), axes
        else:
            total = replace(total, added=total.added + weight[0] * onto_axes(found.added, axes, first))
    return total  # type: ignore[return-value]


def _of_one(subject: Subject, way: Way) -> ClipMap:
    """Map of a subject of one clip."""
    estimator = subject.estimator
    length = getattr(estimator, "_training_length", None)
    windows = None if length is None else length.windows(subject.clips)
    if windows is None:
        return _of_heard(subject, way)
    best = int(np.argmax(estimator._anomaly_score(windows.clips)))
    normal = subject.needed_normal()
    heard = replace(subject, clips=windows.clips.take(np.array([best])), normal=normal)
    found, whole = _of_heard(heard, way), subject.spectrogram(0)
    start = int(windows.start[best])
    if subject.clips.kind == "waveform":
        start = round(start / subject.frontend.reader.sample_rate / hop_of(subject, whole.shape[1]))
    return _placed(found, start, ClipMap(np.zeros(whole.shape), whole, *normal[0].at(whole)))


def _placed(found: ClipMap, start: int, whole: ClipMap) -> ClipMap:
    """The map of a window, from the frame `start` of the whole clip."""
    frames = slice(start, min(start + found.added.shape[1], whole.added.shape[1]))
    for name in ("added", "level", "spread"):
        getattr(whole, name)[:, frames] = getattr(found, name)[:, : frames.stop - frames.start]
    return whole


def _of_heard(subject: Subject, way: Way) -> ClipMap:
    """Map of a subject of one clip that is scored as a whole."""
    normal, spectrogram = subject.needed_normal(), subject.spectrogram(0)
    if normal[0].n_bands != len(spectrogram):
        raise ValueError(
            f"The clips have {len(spectrogram)} bands, and the normal clips {normal[0].n_bands}; give normal clips "
            "with the same spectrograms."
        )
    level, spread = normal[0].at(spectrogram)
    if way.method == "exact":
        return ClipMap(_exact(subject, normal), spectrogram, level, spread)
    if way.method == "occlusion":
        added = occlusion_map(_edited(subject, spectrogram, level), way.block)
    else:
        as_loud = _edited(subject, spectrogram, level)
        added = insertion_map(as_loud, way.block)
        if not added.any():  # normal levels that are as loud as the clip are odd too: it is the loudness
            added = insertion_map(_edited(subject, spectrogram, level, as_loud=False), way.block)
        if not added.any():  # levels that are a mean of clips are odd themselves for this detector
            added = removal_map(as_loud, way.block)
    return ClipMap(added, spectrogram, level, spread)


def _exact(subject: Subject, normal: Any) -> np.ndarray:
    """Parts (F, T) that the score of the clip of a subject splits into."""
    estimator = subject.estimator
    found = estimator._anomaly_map(subject.clips, normal) if isinstance(estimator, Explained) else None
    if found is None:
        raise ValueError(
            f"method='exact' needs a score that splits into places, and that of {type(estimator).__name__} with these "
            "parameters does not; use method='insertion'."
        )
    return found[0]


def _edited(subject: Subject, spectrogram: np.ndarray, level: np.ndarray, *, as_loud: bool = True) -> EditedClip:
    """The clip of a subject, with edits of its spectrogram (F, T), or of its waveform where the detector hears that.

    Places are set to normal levels (F, T) that are as loud as the clip on the whole, or to those levels themselves.
    """
    estimator, clips = subject.estimator, subject.clips
    deviation = spectrogram - level
    if as_loud:
        deviation = deviation - loudness_offset(deviation)
    if clips.kind == "feature" or (isinstance(estimator, Explained) and estimator._hears_spectrograms(clips)):
        return EditedClip(
            deviation, lambda kept: spectrogram - (1.0 - kept) * deviation, Rescorer(subject, 0, "feature")
        )
    sound = _waveform_edits(subject, -deviation)
    return EditedClip(deviation, sound.with_kept, Rescorer(subject, 0, "waveform"))


def _waveform_edits(subject: Subject, difference: np.ndarray) -> WaveformEdits:
    """The clip of a subject as a waveform whose levels change by a difference (F, T) in the unit of the front end."""
    frontend = subject.frontend
    if frontend.frequencies is None:
        raise ValueError(
            f"{type(subject.estimator).__name__} hears waveforms, and the frequencies of the bands of its front end are not "
            "known; give the frontend an attribute frequencies, the centres of its bands in Hz."
        )
    (waveform,) = subject.clips.map(np.asarray, frontend.reader)
    return WaveformEdits(
        waveform,
        difference * in_decibel(frontend),
        np.asarray(frontend.frequencies(len(difference)), dtype=float),
        hop_of(subject, difference.shape[1]),
        frontend.reader.sample_rate,
    )
