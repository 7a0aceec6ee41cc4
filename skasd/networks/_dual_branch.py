"""The two branches of a self-supervised classifier: the spectrum of a whole clip, and its magnitude spectrogram.

K. Wilkinghoff, "Self-supervised learning for anomalous sound detection", ICASSP 2024, arXiv:2312.09578, in the sizes of
T. Fujimura et al., ASDKit, arXiv:2507.10264: no bias and no affine batch normalisation, with which a network could map
everything to one place; but for the attention over bands that can be added.

Axes: B clips, C channels, N time points, K frequency bins, T frames, D dimensions of the embedding.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from skasd.networks._frequency_attention import FrequencyAttention, FrequencyGate
from skasd.networks._squeeze_excitation import SqueezeExcitation

_CHANNELS = 128  # of the convolutions over the spectrum
_KERNELS = ((256, 64), (64, 32), (16, 4))  # size and stride of each
_SMALLEST_KERNEL = 4
_HIDDEN_LAYERS = 5
_STAGES = (16, 32, 64, 128)  # channels of the residual stages, of two blocks each
_FROM_HZ = 200.0
_NARROW = 2
_FEWEST_FRAMES = 11  # and bins, of which the stem leaves one
FREQUENCY_ATTENTIONS = ("off", "gate", "token")


def kernels(n_bins: int) -> list[tuple[int, int]]:
    """Size and stride of the convolutions over a spectrum: as published, or halved until they fit into a short one.

    Parameters
    ----------
    n_bins : int
        Of the spectrum: half the time points of the clip, and one.

    Examples
    --------
    >>> kernels(80001), kernels(8001)
    ([(256, 64), (64, 32), (16, 4)], [(128, 32), (32, 16), (8, 2)])
    """
    halvings = 0
    while _needed(made := _halved(halvings)) > n_bins and made[0][1] > 1:
        halvings += 1
    return made


def _halved(times: int) -> list[tuple[int, int]]:
    return [(max(size >> times, _SMALLEST_KERNEL), max(stride >> times, 1)) for size, stride in _KERNELS]


def _needed(sizes: Sequence[tuple[int, int]]) -> int:
    """Bins that leave one place after the last convolution."""
    n_bins = 1
    for size, stride in reversed(sizes):
        n_bins = (n_bins - 1) * stride + size
    return n_bins


class SpectrumBranch(nn.Module):
    """Magnitude spectrum of a whole clip to an embedding.

    Parameters
    ----------
    n_timepoints : int
        Length of the clips, at least 18.
    embedding_dim : int, default=128
        Length of the embedding, and of the hidden layers.
    """

    def __init__(self, n_timepoints: int, embedding_dim: int = 128) -> None:
        super().__init__()
        n_places, n_in, layers = n_timepoints // 2 + 1, 1, []
        for size, stride in kernels(n_places):
            layers += [nn.Conv1d(n_in, _CHANNELS, size, stride, bias=False), nn.ReLU(), SqueezeExcitation(_CHANNELS)]
            n_places, n_in = (n_places - size) // stride + 1, _CHANNELS
        self.convolutions = nn.Sequential(*layers)
        widths = [n_places * _CHANNELS, *[embedding_dim] * _HIDDEN_LAYERS]
        self.hidden = nn.Sequential(*map(_hidden_layer, widths[:-1], widths[1:]))
        self.project = nn.Linear(embedding_dim, embedding_dim, bias=False)

    def forward(self, waveform: Tensor) -> Tensor:
        """Embeddings (B, D) of waveforms (B, N)."""
        spectrum = torch.fft.rfft(waveform.to(torch.promote_types(waveform.dtype, torch.float32))).abs()  # (B, K)
        x = self.convolutions(spectrum[:, None])  # (B, C, places)
        return self.project(self.hidden(x.flatten(1)))


def _hidden_layer(n_in: int, n_out: int) -> nn.Module:
    return nn.Sequential(nn.Linear(n_in, n_out, bias=False), nn.BatchNorm1d(n_out, affine=False), nn.ReLU())


class SpectrogramBranch(nn.Module):
    """Magnitude spectrogram to an embedding: a small residual network, and the maximum over time.

    Parameters
    ----------
    sample_rate : int
        In Hz.
    n_fft : int, default=1024
        Window, in samples; it moves by half of itself.
    embedding_dim : int, default=128
        Length of the embedding.
    frequency_attention : {"off", "gate", "token"}, default="off"
        Whether bands are weighted by :class:`FrequencyGate`, or :class:`FrequencyAttention` makes a second image.
    n_timepoints : int or None, default=None
        Length of the clips, which ``"token"`` needs.
    """

    window: Tensor

    def __init__(
        self,
        sample_rate: int,
        n_fft: int = 1024,
        embedding_dim: int = 128,
        *,
        frequency_attention: str = "off",
        n_timepoints: int | None = None,
    ) -> None:
        super().__init__()
        self.n_fft = n_fft
        self.first_bin = min(int(_FROM_HZ * n_fft / sample_rate) + 1, n_fft // 2 + 1 - _FEWEST_FRAMES)
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)
        n_bins = n_fft // 2 + 1 - self.first_bin
        self.norm = nn.BatchNorm1d(n_bins, affine=False)
        self.gate = FrequencyGate(n_bins) if frequency_attention == "gate" else nn.Identity()
        self.second_image: FrequencyAttention | None = None
        if frequency_attention == "token":
            self.second_image = FrequencyAttention((n_timepoints or 0) // (n_fft // 2) + 1)
        n_images = 1 if self.second_image is None else 2
        self.stem = nn.Sequential(
            nn.Conv2d(n_images, _STAGES[0], 7, 2, bias=False), _norm(_STAGES[0]), nn.ReLU(), nn.MaxPool2d(3, 2)
        )
        self.stages = nn.Sequential(*_blocks(_STAGES))
        n_left = _left_of(n_bins)
        self.is_narrow = n_left <= _NARROW
        self.project = nn.Sequential(
            nn.BatchNorm1d(_STAGES[-1] * n_left, affine=False),
            nn.Linear(_STAGES[-1] * n_left, embedding_dim, bias=False),
        )

    def forward(self, waveform: Tensor, change: Callable[[Tensor], Tensor] | None = None) -> Tensor:
        """Embeddings (B, D) of waveforms (B, N), whose spectrograms (B, K, T) may be changed before."""
        spectrogram = self.spectrogram(waveform)
        x = self.images(spectrogram if change is None else change(spectrogram))
        x = self._through_stages(self.stem(x))  # (B, C, T / 32, K / 32)
        return self.project(x.amax(dim=2).flatten(1))

    def _through_stages(self, x: Tensor) -> Tensor:
        """Maps of the last stage; in full precision where they are one or two bins wide.

        On a CPU, bfloat16 convolutions of so narrow maps read memory that nobody wrote, in torch 2.13 at least.
        """
        if not self.is_narrow:
            return self.stages(x)
        with torch.autocast(x.device.type, enabled=False):
            return self.stages(x.to(next(self.stages.parameters()).dtype))

    def images(self, spectrogram: Tensor) -> Tensor:
        """Images (B, 1 or 2, T, K) of spectrograms (B, K, T)."""
        x = self.gate(self.norm(spectrogram))
        images = [x] if self.second_image is None else [x, self.second_image(x)]
        return torch.stack(images, dim=1).transpose(2, 3)

    def spectrogram(self, waveform: Tensor) -> Tensor:
        """Magnitudes (B, K, T) above 200 Hz of waveforms (B, N), a sine of amplitude 1 about 13 for 1024 samples."""
        waveform = waveform.to(torch.promote_types(waveform.dtype, torch.float32))
        window = self.window.to(waveform.dtype)
        transform = torch.stft(
            waveform, self.n_fft, self.n_fft // 2, window=window, pad_mode="constant", return_complex=True
        )
        return transform[:, self.first_bin :].abs() / window.square().sum().sqrt()


def _norm(n_channels: int) -> nn.Module:
    return nn.BatchNorm2d(n_channels, affine=False)


def _blocks(stages: Sequence[int]) -> list[nn.Module]:
    blocks: list[nn.Module] = []
    n_in = stages[0]
    for index, n_out in enumerate(stages):
        blocks += [ResidualBlock(n_in, n_out, 1 if index == 0 else 2), ResidualBlock(n_out, n_out, 1)]
        n_in = n_out
    return blocks


def _left_of(n_bins: int) -> int:
    """Places along frequency after stem and stages."""
    n_left = ((n_bins - 7) // 2 + 1 - 3) // 2 + 1
    for _ in _STAGES[1:]:
        n_left = -(-n_left // 2)
    return n_left


class ResidualBlock(nn.Module):
    """Two convolutions that are normalised before, weighted by squeeze and excitation, and added to their input.

    Parameters
    ----------
    n_in, n_out : int
        Channels.
    stride : int
        Step in time and frequency.
    """

    def __init__(self, n_in: int, n_out: int, stride: int) -> None:
        super().__init__()
        self.norm = _norm(n_in)
        self.layers = nn.Sequential(
            nn.ReLU(),
            nn.Conv2d(n_in, n_out, 3, stride, 1, bias=False),
            _norm(n_out),
            nn.ReLU(),
            nn.Conv2d(n_out, n_out, 3, 1, 1, bias=False),
            SqueezeExcitation(n_out),
        )
        self.is_smaller = stride > 1
        smaller = [nn.MaxPool2d(3, stride, 1), nn.Conv2d(n_in, n_out, 1, bias=False)] if self.is_smaller else []
        self.skip = nn.Sequential(*smaller)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, n_out, ceil(T / stride), ceil(K / stride)) of a map (B, n_in, T, K)."""
        normalised = self.norm(x)
        return self.layers(normalised) + self.skip(normalised if self.is_smaller else x)


class SpectrumNet(nn.Module):
    """Embeddings of the spectrum and of one or several spectrograms of a clip, side by side.

    Parameters
    ----------
    n_timepoints : int
        Length of the clips; those of fewer than eleven frames of the longest window are filled up with zeros to that.
    sample_rate : int, default=16000
        In Hz.
    n_ffts : sequence of int, default=(1024,)
        Windows of the spectrograms, in samples; several resolve both time and frequency.
    embedding_dim : int, default=128
        Length of the embedding of each branch.
    frequency_attention : {"off", "gate", "token"}, default="off"
        Of the spectrograms, see :class:`SpectrogramBranch`.
    """

    def __init__(
        self,
        n_timepoints: int,
        *,
        sample_rate: int = 16000,
        n_ffts: Sequence[int] = (1024,),
        embedding_dim: int = 128,
        frequency_attention: str = "off",
    ) -> None:
        super().__init__()
        self.n_timepoints = max(n_timepoints, (_FEWEST_FRAMES - 1) * max(n_ffts) // 2)
        spectrograms = [
            SpectrogramBranch(
                sample_rate,
                n_fft,
                embedding_dim,
                frequency_attention=frequency_attention,
                n_timepoints=self.n_timepoints,
            )
            for n_fft in n_ffts
        ]
        self.branches = nn.ModuleList([SpectrumBranch(self.n_timepoints, embedding_dim), *spectrograms])

    def parts(self, waveform: Tensor, change: Callable[[Tensor], Tensor] | None = None) -> list[Tensor]:
        """Embedding (B, D) of each branch, of waveforms (B, N), whose spectrograms (B, K, T) may be changed before."""
        waveform = functional.pad(waveform, (0, self.n_timepoints - waveform.shape[1]))
        of_spectrum, *of_spectrograms = self.branches
        return [of_spectrum(waveform), *(branch(waveform, change) for branch in of_spectrograms)]

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        """Embeddings (B, branches x D) of unit length, of `waveform` (B, N)."""
        return functional.normalize(torch.cat(self.parts(inputs["waveform"]), dim=1))
