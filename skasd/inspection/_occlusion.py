"""Insertion and occlusion: parts of a clip are exchanged with the levels of normal clips, and the result is scored.

Axes: F bands, T frames.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice, product

import numpy as np

_AT_A_TIME = 64  # edited clips that are scored together
_BANDS, _FRAMES = 16, 24  # blocks of a clip in either direction, at most


@dataclass(frozen=True)
class EditedClip:
    """A clip that can be scored with some of its places at the levels of normal clips.

    Parameters
    ----------
    deviation : ndarray of shape (F, T)
        Difference of the clip from the normal levels.
    edit : callable
        Function from what is kept of the clip, (F, T) of 0 and 1, to the edited spectrogram or waveform.
    scorer : callable
        Function from a list of those to their anomaly scores.
    """

    deviation: np.ndarray
    edit: Callable[[np.ndarray], np.ndarray]
    scorer: Callable[[list[np.ndarray]], np.ndarray]

    def scores(self, masks: Iterable[np.ndarray]) -> np.ndarray:
        """Anomaly scores (n,) where these places are kept of the clip; a batch at a time."""
        edits, scores = map(self.edit, masks), []
        while batch := list(islice(edits, _AT_A_TIME)):
            scores.append(self.scorer(batch))
        return np.concatenate(scores)

    def alone(self, blocks: Sequence[tuple[slice, slice]]) -> Iterable[np.ndarray]:
        """Masks (F, T) that keep each block in turn, and nothing else."""
        for block in blocks:
            mask = np.zeros(self.deviation.shape)
            mask[block] = 1.0
            yield mask

    def ends(self) -> tuple[float, float]:
        """Anomaly score of the clip as it is, and with normal levels everywhere."""
        whole, nothing = self.scores([np.ones(self.deviation.shape), np.zeros(self.deviation.shape)])
        return float(whole), float(nothing)


def insertion_map(clip: EditedClip, block: tuple[int, int] | None) -> np.ndarray:
    """Map (F, T) of how much the score of normal levels rises when a block of the clip is put into them.

    Parameters
    ----------
    clip : EditedClip
        The clip.
    block : tuple of int or None
        Bands and frames of a block; None makes 16 blocks, each over the whole clip.
    """
    blocks = _blocks_of_insertion(clip, block)
    whole, nothing = clip.ends()
    rises = (clip.scores(clip.alone(blocks)) - nothing).clip(min=0.0)
    return _weighted(clip, blocks, rises if rises.any() else np.ones(len(rises)), max(whole - nothing, 0.0))


def removal_map(clip: EditedClip, block: tuple[int, int] | None) -> np.ndarray:
    """Map (F, T) of how much the score of the clip drops when a block of those of insertion is at normal levels.

    Parameters
    ----------
    clip : EditedClip
        The clip.
    block : tuple of int or None
        As of insertion.
    """
    blocks = _blocks_of_insertion(clip, block)
    (whole,) = clip.scores([np.ones(clip.deviation.shape)])
    drops = (whole - clip.scores(1.0 - mask for mask in clip.alone(blocks))).clip(min=0.0)
    return _weighted(clip, blocks, drops, drops.sum())


def _blocks_of_insertion(clip: EditedClip, block: tuple[int, int] | None) -> list[tuple[slice, slice]]:
    n_bands, n_frames = clip.deviation.shape
    return blocks_of((n_bands, n_frames), block or (-(-n_bands // _BANDS), n_frames))


def _weighted(clip: EditedClip, blocks: list[tuple[slice, slice]], values: np.ndarray, total: float) -> np.ndarray:
    """Map (F, T) in proportion to the values (n_blocks,) and to the deviation of each place, with the sum `total`."""
    weight = np.abs(clip.deviation)
    for value, place in zip(values, blocks, strict=True):
        weight[place] *= value
    whole = weight.sum()
    return weight * (total / whole) if whole > 0 else weight


def occlusion_map(clip: EditedClip, block: tuple[int, int] | None) -> np.ndarray:
    """Map (F, T) of how much the score of the clip drops when a block of it is at normal levels.

    Parameters
    ----------
    clip : EditedClip
        The clip.
    block : tuple of int or None
        Bands and frames of a block; None makes at most 16 by 24 blocks.
    """
    shape, found = clip.deviation.shape, np.empty(clip.deviation.shape)
    blocks = blocks_of(shape, block or (-(-shape[0] // _BANDS), -(-shape[1] // _FRAMES)))
    (whole,) = clip.scores([np.ones(shape)])
    drops = whole - clip.scores(1.0 - mask for mask in clip.alone(blocks))
    for drop, place in zip(drops, blocks, strict=True):
        part = np.abs(clip.deviation[place])
        found[place] = drop * (part / part.sum() if part.any() else 1 / part.size)
    return found


def blocks_of(shape: tuple[int, int], block: tuple[int, int]) -> list[tuple[slice, slice]]:
    """Rectangles of so many bands and frames that cover a spectrogram of this shape (F, T)."""
    starts = [range(0, length, size) for length, size in zip(shape, block, strict=True)]
    return [(slice(f, f + block[0]), slice(t, t + block[1])) for f, t in product(*starts)]
