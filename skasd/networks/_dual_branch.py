"""Two-branch encoder: one branch for the spectrum of the whole clip, one for its magnitude spectrogram.

K. Wilkinghoff, "Self-supervised learning for anomalous sound detection", ICASSP 2024, arXiv:2312.09578, with the layer sizes
of T. Fujimura et al., ASDKit, arXiv:2507.10264. The layers have no biases and no affine batch normalisation, because these
would let the network map all clips to a single point; the exception is the optional `FrequencyAttention`.

Axes: B clips, C channels, N timepoints, K bins (of frequency), T frames, D dim of the embedding.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from skasd._typing import Float
from skasd.networks._frequency_attention import FrequencyAttention, FrequencyGate
from skasd.networks._squeeze_excitation import SqueezeExcitation

_CHANNELS = 128  # output channels of each convolution over the spectrum
_KERNELS = ((256, 64), (64, 32), (16, 4))  # (size, stride) of these convolutions
_SMALLEST_KERNEL = 4
_HIDDEN_LAYERS = 5
_STAGES = (16, 32, 64, 128)  # channels of the residual stages, which have two blocks each
_FROM_HZ = 200.0
_NARROW = 2
_FEWEST_FRAMES = 11  # also the fewest bins: the stem reduces 11 to 1
FREQUENCY_ATTENTIONS = ("off", "gate", "token")


def kernels(n_bins: int) -> list[tuple[int, int]]:
    """Size and stride of the convolutions over a spectrum: the published ones, halved until they fit a short spectrum.

    Parameters
    ----------
    n_bins : int
        Number of bins of the spectrum: half the number of time points of the clip, plus one.

    Returns
    -------
    kernels : list of tuple of int
        Size and stride of each convolution, in bins.

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
    """Number of bins that the convolutions reduce to a single position."""
    n_bins = 1
    for size, stride in reversed(sizes):
        n_bins = (n_bins - 1) * stride + size
    return n_bins


class SpectrumBranch(nn.Module):
    """Encoder of the magnitude spectrum of a whole clip.

    Parameters
    ----------
    n_timepoints : int
        Length of the clips in time points, at least 18.
    embedding_dim : int, default=128
        Length of the embedding and number of units in each hidden layer.
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

    def forward(self, waveform: Float[Tensor, "clips timepoints"]) -> Float[Tensor, "clips dim"]:
        """Embeddings of waveforms."""
        return self.encoded(torch.fft.rfft(waveform.to(torch.promote_types(waveform.dtype, torch.float32))).abs())

    def encoded(self, spectrum: Float[Tensor, "clips bins"]) -> Float[Tensor, "clips dim"]:
        """Embeddings of magnitude spectra."""
        x = self.convolutions(spectrum[:, None])  # (B, C, positions)
        return self.project(self.hidden(x.flatten(1)))


def _hidden_layer(n_in: int, n_out: int) -> nn.Module:
    return nn.Sequential(nn.Linear(n_in, n_out, bias=False), nn.BatchNorm1d(n_out, affine=False), nn.ReLU())


class SpectrogramBranch(nn.Module):
    """Encoder of the magnitude spectrogram: a small residual network with max pooling over time.

    Parameters
    ----------
    sample_rate : int
        Sample rate in Hz.
    n_fft : int, default=1024
        Window length in samples; the hop length is half of it.
    embedding_dim : int, default=128
        Length of the embedding.
    frequency_attention : {"off", "gate", "token"}, default="off"
        Attention over frequency: ``"gate"`` weights the bins with a :class:`FrequencyGate`; ``"token"`` adds the output of a
        :class:`FrequencyAttention` as a second image.
    n_timepoints : int or None, default=None
        Length of the clips in time points; required by ``"token"``.
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

    def forward(
        self, waveform: Float[Tensor, "clips timepoints"], change: Callable[[Tensor], Tensor] | None = None
    ) -> Float[Tensor, "clips dim"]:
        """Embeddings of waveforms; `change`, if given, modifies the spectrograms (B, K, T) first."""
        spectrogram = self.spectrogram(waveform)
        return self.encoded(spectrogram if change is None else change(spectrogram))

    def encoded(self, spectrogram: Float[Tensor, "clips bins frames"]) -> Float[Tensor, "clips dim"]:
        """Embeddings of magnitude spectrograms."""
        x = self._through_stages(self.stem(self.images(spectrogram)))  # (B, C, T / 32, K / 32)
        return self.project(x.amax(dim=2).flatten(1))

    def _through_stages(
        self, x: Float[Tensor, "clips channels frames bins"]
    ) -> Float[Tensor, "clips channels_out frames_out bins_out"]:
        """Output of the last stage, computed in full precision if it is only one or two bins wide.

        On a CPU, bfloat16 convolutions of such narrow maps read uninitialised memory, at least in torch 2.13.
        """
        if not self.is_narrow:
            return self.stages(x)
        with torch.autocast(x.device.type, enabled=False):
            return self.stages(x.to(next(self.stages.parameters()).dtype))

    def images(self, spectrogram: Float[Tensor, "clips bins frames"]) -> Float[Tensor, "clips images frames bins"]:
        """One or two images of each spectrogram, with time before frequency."""
        x = self.gate(self.norm(spectrogram))
        images = [x] if self.second_image is None else [x, self.second_image(x)]
        return torch.stack(images, dim=1).transpose(2, 3)

    def spectrogram(self, waveform: Float[Tensor, "clips timepoints"]) -> Float[Tensor, "clips bins frames"]:
        """Magnitude spectrogram above 200 Hz; a sine of amplitude 1 has a peak of about 13 with a window of 1024 samples."""
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
    """Number of positions along frequency after the stem and the stages."""
    n_left = ((n_bins - 7) // 2 + 1 - 3) // 2 + 1
    for _ in _STAGES[1:]:
        n_left = -(-n_left // 2)
    return n_left


class ResidualBlock(nn.Module):
    """Residual block: batch normalisation, then two convolutions with squeeze and excitation beside a skip connection.

    The skip connection passes the normalised input, in blocks of stride 1 too, as in the published programs.

    Parameters
    ----------
    n_in, n_out : int
        Number of input and output channels.
    stride : int
        Stride in time and frequency.
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
        smaller = [nn.MaxPool2d(3, stride, 1), nn.Conv2d(n_in, n_out, 1, bias=False)] if stride > 1 else []
        self.skip = nn.Sequential(*smaller)

    def forward(
        self, x: Float[Tensor, "clips channels frames bins"]
    ) -> Float[Tensor, "clips channels_out frames_out bins_out"]:
        """Map with ceil(T / stride) frames and ceil(K / stride) bins."""
        normalised = self.norm(x)
        return self.layers(normalised) + self.skip(normalised)


class SpectrumNet(nn.Module):
    """Encoder with one branch for the spectrum and one for each spectrogram; their embeddings are concatenated.

    Parameters
    ----------
    n_timepoints : int
        Length of the clips in time points. Clips with fewer than eleven frames of the longest window are padded with zeros
        to eleven frames.
    sample_rate : int, default=16000
        Sample rate in Hz.
    n_ffts : sequence of int, default=(1024,)
        Window lengths of the spectrograms in samples. Several windows resolve both time and frequency.
    embedding_dim : int, default=128
        Length of the embedding of each branch.
    frequency_attention : {"off", "gate", "token"}, default="off"
        Attention over frequency in the spectrogram branches, see :class:`SpectrogramBranch`.
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

    def parts(
        self, waveform: Float[Tensor, "clips timepoints"], change: Callable[[Tensor], Tensor] | None = None
    ) -> list[Float[Tensor, "clips dim"]]:
        """Embeddings of all branches; `change`, if given, modifies the spectrograms (B, K, T) first."""
        waveform = functional.pad(waveform, (0, self.n_timepoints - waveform.shape[1]))
        of_spectrum, *of_spectrograms = self.branches
        return [of_spectrum(waveform), *(branch(waveform, change) for branch in of_spectrograms)]

    def forward(self, inputs: dict[str, Tensor]) -> Float[Tensor, "clips dim"]:
        """Embeddings of unit length of the input `waveform` (B, N): those of all branches side by side."""
        return functional.normalize(torch.cat(self.parts(inputs["waveform"]), dim=1))
