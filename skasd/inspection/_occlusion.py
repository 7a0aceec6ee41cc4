"""Occlusion: parts of a clip are replaced by the levels of normal clips, one after the other, and the clip is scored anew.

Axes: F bands, T frames.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

Scorer = Callable[[list[np.ndarray]], np.ndarray]  # anomaly scores of spectrograms, or of waveforms
_AT_A_TIME = 64  # edited clips that are scored together
_BANDS, _FRAMES = 16, 24  # blocks of a clip in either direction, at most


@dataclass(frozen=True)
class Block:
    """A rectangle of places: bands and frames."""

    bands: slice
    frames: slice

    @property
    def place(self) -> tuple[slice, slice]:
        """Index of its places in a spectrogram."""
        return self.bands, self.frames


def blocks_of(shape: tuple[int, int], block: tuple[int, int] | None) -> list[Block]:
    """Blocks that cover a spectrogram of this shape.

    Parameters
    ----------
    shape : tuple of int
        F and T.
    block : tuple of int or None
        Bands and frames of a block; None makes at most 16 by 24 blocks.
    """
    sizes = block or tuple(-(-length // most) for length, most in zip(shape, (_BANDS, _FRAMES), strict=True))
    starts = [range(0, length, size) for length, size in zip(shape, sizes, strict=True)]
    return [Block(slice(f, f + sizes[0]), slice(t, t + sizes[1])) for f, t in product(*starts)]


def occluded(spectrogram: np.ndarray, normal: np.ndarray, blocks: Sequence[Block]) -> Iterator[np.ndarray]:
    """The spectrogram (F, T) with each block in turn at the levels (F, T) of normal clips."""
    for block in blocks:
        edited = spectrogram.copy()
        edited[block.place] = normal[block.place]
        yield edited


def map_of_drops(drops: np.ndarray, blocks: Sequence[Block], spectrogram: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """Map (F, T) in which each block has the sum that its drop (n_blocks,) says, shared by how far its places deviate."""
    deviation, found = np.abs(spectrogram - normal), np.empty(spectrogram.shape)
    for drop, block in zip(drops, blocks, strict=True):
        part = deviation[block.place]
        total = part.sum()
        found[block.place] = drop * (part / total if total > 0 else 1 / part.size)
    return found


def scores_of_edits(edits: Iterator[np.ndarray], scorer: Scorer) -> np.ndarray:
    """Anomaly scores of edited clips, a batch at a time."""
    scores: list[np.ndarray] = []
    batch: list[np.ndarray] = []
    for edit in edits:
        batch.append(edit)
        if len(batch) == _AT_A_TIME:
            scores.append(scorer(batch))
            batch = []
    return np.concatenate([*scores, scorer(batch)] if batch else scores)
