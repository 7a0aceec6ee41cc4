"""Networks as ONNX can have them: with other operations in place of those that it lacks.

Axes: B clips, C channels, F bands, T frames, N time points, K bins, D dimensions of the embedding.
"""

from copy import deepcopy
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from skasd.export._fourier import MagnitudeSpectrum
from skasd.export._log_mel import FramedSpectrum
from skasd.networks._dual_branch import SpectrogramBranch, SpectrumNet
from skasd.networks._segments import SegmentNet


class GatheredMaxPool(nn.Module):
    """Adaptive max pooling over time of maps whose length is known.

    Parameters
    ----------
    n_in, n_out : int
        Number of places before and after.
    """

    place: Tensor

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        first = np.arange(n_out) * n_in // n_out
        stop = -(-(np.arange(1, n_out + 1) * n_in) // n_out)
        place = np.minimum(first[:, None] + np.arange((stop - first).max()), stop[:, None] - 1)
        self.register_buffer("place", torch.from_numpy(place))

    def forward(self, x: Tensor) -> Tensor:
        """Largest values (B, C, 1, n_out) of a map (B, C, 1, n_in)."""
        return x[..., self.place].amax(dim=-1)


class Magnitudes(nn.Module):
    """Magnitude spectrogram of a branch of :class:`SpectrumNet`.

    Parameters
    ----------
    branch : SpectrogramBranch
        The branch.
    """

    place: Tensor

    def __init__(self, branch: SpectrogramBranch) -> None:
        super().__init__()
        window = branch.window.double().numpy()
        self.n_padded, n_fft = branch.n_fft // 2, branch.n_fft
        self.spectrum = FramedSpectrum(window / np.sqrt(np.square(window).sum()), n_fft // 2)
        place = np.empty(n_fft // 2 + 1, dtype=np.int64)
        place[self.spectrum.power.frequency] = np.arange(self.spectrum.power.frequency.size)
        self.register_buffer("place", torch.from_numpy(place[branch.first_bin :]))

    def forward(self, waveform: Tensor) -> Tensor:
        """Magnitudes (B, K, T) of waveforms (B, N)."""
        power = self.spectrum(functional.pad(waveform, (self.n_padded, self.n_padded)))
        return power[:, :, self.place].sqrt().transpose(1, 2)


class TransformedSpectrumNet(nn.Module):
    """The network of :class:`SpectrumNet`, with transforms as products of matrices.

    Parameters
    ----------
    network : SpectrumNet
        Trained network.
    n_timepoints : int
        Length of its input.
    """

    def __init__(self, network: SpectrumNet, n_timepoints: int) -> None:
        super().__init__()
        self.n_missing = network.n_timepoints - n_timepoints
        self.branches = network.branches
        self.spectrum = MagnitudeSpectrum(network.n_timepoints)
        self.spectrograms = nn.ModuleList(map(Magnitudes, list(network.branches)[1:]))  # type: ignore[arg-type]

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        """Embeddings of unit length (B, D) of the input `waveform` (B, N)."""
        waveform = functional.pad(inputs["waveform"], (0, self.n_missing))
        spectra = [self.spectrum(waveform), *(spectrogram(waveform) for spectrogram in self.spectrograms)]
        parts = [branch.encoded(spectrum) for branch, spectrum in zip(self.branches, spectra, strict=True)]  # type: ignore
        return functional.normalize(torch.cat(parts, dim=1))


class SegmentsOfKnownLength(nn.Module):
    """The network of :class:`SegmentNet` for spectrograms of one length.

    Parameters
    ----------
    network : SegmentNet
        Trained network.
    n_frames : int
        Number of frames of its input.
    """

    def __init__(self, network: SegmentNet, n_frames: int) -> None:
        super().__init__()
        self.network, self.length = network, network.length
        room, n_segments = n_frames - network.length, network.n_segments
        self.starts = (
            [room // 2] if n_segments == 1 else [part * room // (n_segments - 1) for part in range(n_segments)]
        )

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        """Embeddings of unit length (B, D) of the input `log_mel` (B, F, T)."""
        log_mel = inputs["log_mel"]
        parts = [log_mel[:, :, start : start + self.length] for start in self.starts]
        units = [functional.normalize(self.network.embedding(self.network.normalise(part))) for part in parts]
        return functional.normalize(torch.stack(units).mean(dim=0))


def exportable(network: nn.Module, n_timepoints: int | None, n_frames: int, n_bands: int) -> nn.Module:
    """Copy of a network in single precision that can be exported.

    Parameters
    ----------
    network : nn.Module
        Trained network in evaluation mode, from a dict of inputs to embeddings (B, D).
    n_timepoints, n_frames, n_bands : int
        Sizes of its inputs; no time points if it gets none.
    """
    copy = deepcopy(network).float().cpu().eval().requires_grad_(False)
    if isinstance(copy, SpectrumNet):
        return TransformedSpectrumNet(copy, n_timepoints or 1)
    if isinstance(copy, SegmentNet):
        return SegmentsOfKnownLength(copy, n_frames)
    inputs = {"log_mel": torch.zeros(2, n_bands, n_frames)}
    if n_timepoints is not None:
        inputs["waveform"] = torch.zeros(2, n_timepoints)
    _replace_pools(copy, inputs)
    return copy


def _replace_pools(network: nn.Module, inputs: dict[str, Tensor]) -> None:
    """Replace adaptive pools, whose sizes ONNX has to know, by pools for the sizes that they meet with these inputs."""
    widths: dict[nn.Module, int] = {}

    def note(pool: nn.Module, given: tuple[Any, ...], _: Tensor) -> None:
        widths[pool] = given[0].shape[-1]

    pools = [module for module in network.modules() if isinstance(module, nn.AdaptiveMaxPool2d)]
    hooks = [pool.register_forward_hook(note) for pool in pools]
    network(inputs)
    for hook in hooks:
        hook.remove()
    for parent in list(network.modules()):
        for name, pool in list(parent.named_children()):
            if pool in widths:
                n_out: Any = pool.output_size
                setattr(parent, name, GatheredMaxPool(widths[pool], n_out[-1]))
