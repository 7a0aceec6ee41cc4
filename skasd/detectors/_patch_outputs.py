"""Outputs of networks for all patches of each clip.

Axes: F mel bands, T frames, P frames of a patch, B patches.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from skasd.training import evaluated
from skasd.training._patches import patch_starts, repeated

_PATCHES_AT_A_TIME = 512
_FEW_PATCHES = 16  # up to so many, running the network costs more than its arithmetic


class OneOfSeveral(nn.Module):
    """Several networks, one of which is applied to each batch, as the batch says.

    Parameters
    ----------
    networks : sequence of nn.Module
        Networks from patches (B, P, F) to outputs (B, ...).
    """

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        """Output of the network with index `number` for the patches `patch`."""
        return self.networks[int(batch["number"])](batch["patch"])


def outputs_of_clips(
    networks: Sequence[nn.Module],
    numbers: Iterable[int],
    spectrograms: Iterable[np.ndarray | None],
    *,
    length: int,
    step: int,
    device: torch.device,
) -> Iterator[np.ndarray]:
    """Yield for each clip the outputs (n_patches, ...) of its network for its patches (n_patches, P, F).

    Parameters
    ----------
    networks : sequence of nn.Module
        Networks in evaluation mode, from patches (B, P, F) to an output (B, ...).
    numbers : iterable of int
        Index of the network for each clip.
    spectrograms : iterable of ndarray of shape (F, T), or None
        Spectrograms of clips of any length; those with fewer than P frames are repeated. None is skipped.
    length, step : int
        Length P of a patch, and distance from one patch to the next, in frames.
    device : torch.device
        Device on which the networks run.
    """
    sizes: deque[list[int]] = deque()

    def batches() -> Iterator[dict[str, np.ndarray]]:
        known = ((n, _patches(s, length, step)) for n, s in zip(numbers, spectrograms, strict=True) if s is not None)
        for number, of_clips in _together(known):
            sizes.append([len(patches) for patches in of_clips])
            patches = of_clips[0] if len(of_clips) == 1 else np.concatenate(of_clips)
            for start in range(0, len(patches), _PATCHES_AT_A_TIME):
                yield {"patch": patches[start : start + _PATCHES_AT_A_TIME], "number": np.array(number)}

    made: list[np.ndarray] = []
    for output in evaluated(OneOfSeveral(networks), batches(), device):
        made.append(output)
        if sum(map(len, made)) == sum(sizes[0]):
            yield from np.split(np.concatenate(made), np.cumsum(sizes.popleft())[:-1])
            made = []


def placed(values: np.ndarray, n_frames: int) -> np.ndarray:
    """Sum over patches (F, T) of values (n_patches, P, F) of patches that begin at every frame of a clip of T frames.

    Of a clip that was repeated because it is shorter than a patch, the values of all copies of a frame are added.
    """
    n_patches, length, n_bands = values.shape
    whole = np.zeros((n_bands, n_patches + length - 1))
    for place in range(length):
        whole[:, place : place + n_patches] += values[:, place].T
    parts = np.zeros((n_bands, n_frames))
    for start in range(0, whole.shape[1], n_frames):
        part = whole[:, start : start + n_frames]
        parts[:, : part.shape[1]] += part
    return parts


def _together(clips: Iterable[tuple[int, np.ndarray]]) -> Iterator[tuple[int, list[np.ndarray]]]:
    """Patches of short clips that follow each other and have the same network, which run together; other clips alone."""
    together: list[np.ndarray] = []
    of = 0
    for number, patches in clips:
        if together and (number != of or len(patches) >= _FEW_PATCHES):
            yield of, together
            together = []
        together.append(patches)
        of = number
        if sum(map(len, together)) >= _FEW_PATCHES:
            yield of, together
            together = []
    if together:
        yield of, together


def _patches(spectrogram: np.ndarray, length: int, step: int) -> np.ndarray:
    """Patches (B, P, F) of a clip."""
    frames = np.ascontiguousarray(repeated(spectrogram, length).T)  # (T, F)
    start = patch_starts(len(frames), length, step)
    view = np.lib.stride_tricks.sliding_window_view(frames, length, axis=0)  # (T - P + 1, F, P)
    return np.ascontiguousarray(view[start].swapaxes(1, 2))
