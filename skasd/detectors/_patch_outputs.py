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
    n_parts: deque[int] = deque()

    def batches() -> Iterator[dict[str, np.ndarray]]:
        for number, spectrogram in zip(numbers, spectrograms, strict=True):
            if spectrogram is not None:
                parts = _parts(spectrogram, length, step)
                n_parts.append(len(parts))
                yield from ({"patch": part, "number": np.array(number)} for part in parts)

    made: list[np.ndarray] = []
    for output in evaluated(OneOfSeveral(networks), batches(), device):
        made.append(output)
        if len(made) == n_parts[0]:
            n_parts.popleft()
            yield np.concatenate(made)
            made = []


def _parts(spectrogram: np.ndarray, length: int, step: int) -> list[np.ndarray]:
    """Patches (B, P, F) of a clip, split into batches of limited size."""
    frames = np.ascontiguousarray(repeated(spectrogram, length).T)  # (T, F)
    start = patch_starts(len(frames), length, step)
    view = np.lib.stride_tricks.sliding_window_view(frames, length, axis=0)  # (T - P + 1, F, P)
    cuts = range(0, len(start), _PATCHES_AT_A_TIME)
    return [np.ascontiguousarray(view[start[cut : cut + _PATCHES_AT_A_TIME]].swapaxes(1, 2)) for cut in cuts]
