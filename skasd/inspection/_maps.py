"""anomaly_map: how much each place in time and frequency adds to the anomaly score of a clip.

Axes: F bands, T frames.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from skasd._explained import Explained
from skasd._parameters import check_integer
from skasd.inspection._axes import axes_of_shape, hop_of
from skasd.inspection._occlusion import blocks_of, map_of_drops, occluded, scores_of_edits
from skasd.inspection._regrid import onto_axes
from skasd.inspection._rescoring import Rescorer
from skasd.inspection._subject import Subject
from skasd.inspection._waveform_edits import WaveformEdits, in_decibel


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


def anomaly_map(detector: Any, X: Any, *, normal: Any = None, block: tuple[int, int] | None = None) -> np.ndarray:
    r"""Compute how much each place in time and frequency adds to the anomaly score of each clip.

    Places that make a clip odd have large values, places that are as in normal clips have values around 0, and places that
    speak for a normal clip have negative values.

    Parameters
    ----------
    detector : estimator
        Fitted detector, pipeline or search, or anything with ``score_samples`` that takes clips.
    X : array, list of paths or clip table
        Clips.
    normal : array, list of paths or clip table, default=None
        Normal clips of the machine, whose levels replace those of X. None uses the levels that the detector kept of its
        training clips, machine by machine; estimators that are not of skasd need it.
    block : tuple of two ints, default=None
        Bands and frames that are replaced together where the score does not split into places. None makes at most 16 by 24
        blocks of a clip. Without effect on maps that are exact.

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
        If the detector keeps no levels of normal clips and `normal` is not given; or as ``score_samples`` of the detector.

    See Also
    --------
    explain : Puts the map into regions and sentences.

    Notes
    -----
    The map is exact, and its sum is the anomaly score up to a constant of the model, for
    :class:`~skasd.detectors.TWFRDetector` with Gaussians (the score minus that of a clip with the mean spectrum) and
    :class:`~skasd.detectors.AutoencoderDetector` (the score itself), and for weighted means of such detectors. The quadratic
    form of a Gaussian is split between correlated bands as in [1]_.

    For all other detectors blocks of the clip are replaced, one after the other, by the levels that normal clips have at the
    same rank (the loudest frames of a band by the loudest of normal clips), and the drop of the score is the value of the
    block [2]_, shared by its places by how far each is from normal. Detectors that hear more than the spectrogram get
    waveforms that are filtered so.

    A clip that is scored in windows, :ref:`clips_length`, has the map of its window with the largest score, and 0
    elsewhere.

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
    return stacked_maps([of_clip.added for of_clip in clip_maps(Subject.of(detector, X, normal), checked_block(block))])


def checked_block(block: Any) -> tuple[int, int] | None:
    """The parameter `block`; raises unless it is None or two integers of at least 1."""
    if block is None:
        return None
    if not isinstance(block, tuple | list) or len(block) != 2:
        raise TypeError(f"block={block!r}; None or a tuple of two integers, bands and frames, is expected.")
    for size in block:
        check_integer("block", size, low=1)
    return int(block[0]), int(block[1])


def stacked_maps(maps: list[np.ndarray]) -> np.ndarray:
    """Maps (F, T) as one array (n_clips, F, T), with NaN after the end of shorter ones."""
    longest = max(one.shape[1] for one in maps)
    return np.stack([np.pad(one, ((0, 0), (0, longest - one.shape[1])), constant_values=np.nan) for one in maps])


def clip_maps(subject: Subject, block: tuple[int, int] | None) -> Iterator[ClipMap]:
    """Map of each clip of a subject, in order."""
    parts = getattr(subject.estimator, "_score_parts", None)
    for position in range(len(subject.clips)):
        one = subject.take(np.array([position]))
        yield _of_one(one, block) if parts is None else _of_parts(one, block)


def _of_parts(subject: Subject, block: tuple[int, int] | None) -> ClipMap:
    """Weighted sum of the maps of the detectors that an ensemble is made of, on the axes of the first."""
    total = None
    for member, weight in subject.estimator._score_parts(subject.clips):
        own = Subject.of(member, subject.X)
        own = own if own.normal is not None else replace(own, normal=subject.normal)
        (found,) = clip_maps(own, block)
        axes = axes_of_shape(own, *found.added.shape)
        if total is None:
            total, first = replace(found, added=weight[0] * found.added), axes
        else:
            total = replace(total, added=total.added + weight[0] * onto_axes(found.added, axes, first))
    return total  # type: ignore[return-value]


def _of_one(subject: Subject, block: tuple[int, int] | None) -> ClipMap:
    """Map of a subject of one clip."""
    estimator = subject.estimator
    length = getattr(estimator, "_training_length", None)
    windows = None if length is None else length.windows(subject.clips)
    if windows is None:
        return _of_heard(subject, block)
    best = int(np.argmax(estimator._anomaly_score(windows.clips)))
    normal = subject.needed_normal()
    heard = replace(subject, clips=windows.clips.take(np.array([best])), normal=normal)
    found, whole = _of_heard(heard, block), subject.spectrogram(0)
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


def _of_heard(subject: Subject, block: tuple[int, int] | None) -> ClipMap:
    """Map of a subject of one clip that is scored as a whole."""
    normal, spectrogram = subject.needed_normal(), subject.spectrogram(0)
    if normal[0].level.shape[0] != len(spectrogram):
        raise ValueError(
            f"The clips have {len(spectrogram)} bands, and the normal clips {normal[0].level.shape[0]}; give normal clips "
            "with the same spectrograms."
        )
    level, spread = normal[0].at(spectrogram)
    exact = None
    if isinstance(subject.estimator, Explained):
        exact = subject.estimator._anomaly_map(subject.clips, normal)
    added = _occlusion_map(subject, spectrogram, level, block) if exact is None else exact[0]
    return ClipMap(added, spectrogram, level, spread)


def _occlusion_map(
    subject: Subject, spectrogram: np.ndarray, level: np.ndarray, block: tuple[int, int] | None
) -> np.ndarray:
    """Map (F, T) by replacing blocks with the levels (F, T) of normal clips."""
    blocks, clips = blocks_of(spectrogram.shape, block), subject.clips
    estimator = subject.estimator
    is_detector = isinstance(estimator, Explained)
    if clips.kind == "feature" or (is_detector and estimator._hears_spectrograms(clips)):
        scorer = Rescorer(subject, 0, "feature")
        whole, edits = spectrogram, occluded(spectrogram, level, blocks)
    else:
        scorer = Rescorer(subject, 0, "waveform")
        sound = _waveform_edits(subject, level - spectrogram)
        whole, edits = sound.waveform, sound.edits(blocks)
    drops = scorer([whole])[0] - scores_of_edits(edits, scorer)
    return map_of_drops(drops, blocks, spectrogram, level)


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
