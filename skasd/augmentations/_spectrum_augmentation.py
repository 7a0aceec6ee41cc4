"""Spectrum augmentation: normalised, mixed with the past in some bands, cropped and stretched, and normalised again.

X. Meng et al., "Contrastive learning with spectrum information augmentation in abnormal sound detection", 2025,
arXiv:2509.15570, on top of D. Niizumi et al., "BYOL for audio", IJCNN 2021, arXiv:2103.06695.

Axes: B spectrograms, F mel bands, T frames, C classes.
"""

from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from skasd._parameters import check_integer, check_number, check_option
from skasd.augmentations._band_mask import band_mask, power_split
from skasd.augmentations._frames import linear_fader
from skasd.augmentations._log_mixup import MemoryBank, log_mixup_exp
from skasd.augmentations._normalisation import PostNormalisation, PreNormalisation
from skasd.augmentations._resize_crop import draw_crops, resized_crops

_RUNNING_EPOCHS = 20  # after which the running statistics of BYOL-A are frozen
_OPTIONS = {
    "pre_norm": ("dataset", "running"),
    "mix_space": ("after_norm", "power"),
    "mask": ("soft", "hard"),
    "mask_form": ("per_band_share", "blend"),
    "bank_scope": ("all", "same_class"),
}
_FLAGS = ("invert_mask", "resize_crop", "fader", "post_norm")
_RANGES = {"frequency_scale": 0.0, "time_scale": 0.0, "canvas": 1.0}


@dataclass(frozen=True)
class TrainingSpectra:
    r"""What an augmentation is told of the spectrograms that a training is given.

    Parameters
    ----------
    frequency : ndarray of shape (F,)
        Centres of the bands, in Hz.
    power : ndarray of shape (C, F)
        Mean power of each band of the clips of each class.
    mean, std : float
        Of all bands and frames of all clips, as natural logarithms.
    log_unit : float
        Natural logarithm of power that one unit of a spectrogram is: :math:`\ln 10 / 10` of dB.
    n_frames : int
        T.
    n_clips : int
        Spectrograms of an epoch.
    """

    frequency: np.ndarray
    power: np.ndarray
    mean: float
    std: float
    log_unit: float
    n_frames: int
    n_clips: int


@dataclass
class SpectrumAugmentation:
    r"""How spectrograms are augmented in training, and normalised always.

    In this order [1]_: normalisation; log-mixup-exp of a little of a past spectrogram, in the bands above
    `split_frequency`; random resize crop; linear fader; normalisation of the batch. Detectors take it as `augmentation`.
    When clips are scored, only the normalisations are left, with frozen statistics.

    Parameters
    ----------
    split_frequency : float or "auto", default=2000.0
        Bands below, in Hz, are not mixed. 0 mixes all bands, as BYOL-A does [2]_. ``"auto"`` puts four fifths of the
        training power of a class below, between 1 and 4 kHz.
    mask : {"soft", "hard"}, default="soft"
        Whether there is a transition between the bands that are mixed and those that are not, or a step.
    mask_width : float, default=2.0
        Of a soft transition, in bands: from 0.27 to 0.73.
    mask_form : {"per_band_share", "blend"}, default="per_band_share"
        Whether the mask :math:`m_b` scales the share of the past spectrogram,
        :math:`\ln((1 - \alpha m_b) e^{x_b} + \alpha m_b e^{z_b})`, or blends the mixture with the spectrogram.
    invert_mask : bool, default=False
        Whether it is the low bands that are mixed: a sanity check of the premise.
    mix_ratio : float or pair of float, default=0.4
        Most of the share :math:`\alpha`, in [0, 1]; it is drawn evenly from 0 on. 0 mixes nothing. A pair is for the first
        and the second view of a clip.
    mix_space : {"after_norm", "power"}, default="after_norm"
        Whether normalised values are mixed as if they were logarithms of power, as BYOL-A does, or powers.
    bank_size : int, default=2048
        Past spectrograms that are remembered, in 4 bytes a value: 67 MB of segments of 128 bands and 64 frames.
    bank_scope : {"all", "same_class"}, default="all"
        Whether one of any class is mixed in.
    resize_crop : bool, default=False
        Whether a part is cut out and stretched to the size of the whole.
    frequency_scale, time_scale : pair of float, default=(0.6, 1.5)
        Least and most of the height and the width of the part, as shares of the whole.
    canvas : pair of float, default=(1.0, 1.5)
        Height and width of what the part is cut out of, with the spectrogram in its middle, as shares of the whole.
    fader : bool, default=False
        Whether a straight line over time is added, as the second BYOL-A does.
    pre_norm : {"dataset", "running"}, default="dataset"
        Whether the first normalisation has the mean and spread of the training clips, or running ones that are frozen after
        twenty epochs.
    post_norm : bool, default=True
        Whether there is a second normalisation.

    Notes
    -----
    The code of [1]_ is not public. Frequencies, masks and ratios are reconstructions; see the
    :ref:`user guide <contrastive_spectrum>`.

    References
    ----------
    .. [1] X. Meng, J. Guo, Y. Zhang, S. Huang, "Contrastive learning with spectrum information augmentation in abnormal
           sound detection", CVIPPR 2024. arXiv:2509.15570.
    .. [2] D. Niizumi et al., "BYOL for audio: self-supervised learning for general-purpose audio representation", IJCNN
           2021. arXiv:2103.06695.

    Examples
    --------
    >>> from skasd.augmentations import SpectrumAugmentation
    >>> SpectrumAugmentation(split_frequency=0.0, mask="hard").get_params()["mix_ratio"]
    0.4
    """

    __no_type_check__ = True  # values come from the user and are checked by `check`, not where tests check types

    split_frequency: float | str = 2000.0
    mask: str = "soft"
    mask_width: float = 2.0
    mask_form: str = "per_band_share"
    invert_mask: bool = False
    mix_ratio: float | tuple[float, float] = 0.4
    mix_space: str = "after_norm"
    bank_size: int = 2048
    bank_scope: str = "all"
    resize_crop: bool = False
    frequency_scale: tuple[float, float] = (0.6, 1.5)
    time_scale: tuple[float, float] = (0.6, 1.5)
    canvas: tuple[float, float] = (1.0, 1.5)
    fader: bool = False
    pre_norm: str = "dataset"
    post_norm: bool = True

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Parameters by name, for scikit-learn's ``clone`` and grids."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def set_params(self, **parameters: Any) -> "SpectrumAugmentation":
        """Change some parameters."""
        known = self.get_params()
        for name, value in parameters.items():
            if name not in known:
                raise ValueError(f"augmentation has no parameter {name!r}; it has {', '.join(known)}.")
            setattr(self, name, value)
        return self

    def check(self) -> None:
        """Raise if a parameter is out of range."""
        if self.split_frequency != "auto":
            if isinstance(self.split_frequency, str):
                raise ValueError(f"split_frequency={self.split_frequency!r}; a frequency in Hz or 'auto' is expected.")
            check_number("split_frequency", self.split_frequency, low=0)
        check_number("mask_width", self.mask_width, low=0, above=True)
        for ratio in self._ratios():
            check_number("mix_ratio", ratio, low=0, high=1)
        check_integer("bank_size", self.bank_size, low=1)
        for name, options in _OPTIONS.items():
            check_option(name, getattr(self, name), options)
        for name in _FLAGS:
            check_option(name, getattr(self, name), (True, False))
        for name, low in _RANGES.items():
            self._check_range(name, low)

    def _check_range(self, name: str, low: float) -> None:
        pair = getattr(self, name)
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            raise TypeError(f"{name}={pair!r}; a pair of numbers is expected.")
        for value in pair:
            check_number(name, value, low=low, above=low == 0)
        if name != "canvas" and pair[0] > pair[1]:
            raise ValueError(f"{name}={pair!r} has its least above its most; write ({pair[1]}, {pair[0]}).")

    def _ratios(self) -> tuple[float, ...]:
        if isinstance(self.mix_ratio, list | tuple):
            if len(self.mix_ratio) != 2:
                raise ValueError(f"mix_ratio={self.mix_ratio!r}; a number or a pair, for two views, is expected.")
            return tuple(self.mix_ratio)
        return (self.mix_ratio,)

    def prepare(self, spectra: TrainingSpectra) -> "SpectrumAugmenter":
        """Make the module that augments the spectrograms of a training.

        Parameters
        ----------
        spectra : TrainingSpectra
            What is known of them.

        Returns
        -------
        augmenter : SpectrumAugmenter
        """
        return SpectrumAugmenter(self, spectra)


class SpectrumAugmenter(nn.Module):
    """Augments and normalises spectrograms in training, and only normalises them in evaluation mode.

    Parameters
    ----------
    options : SpectrumAugmentation
        How.
    spectra : TrainingSpectra
        What is known of the spectrograms.
    """

    mask: Tensor
    ratio: Tensor

    def __init__(self, options: SpectrumAugmentation, spectra: TrainingSpectra) -> None:
        super().__init__()
        self.options, self.log_unit = SpectrumAugmentation(**asdict(options)), spectra.log_unit
        running = _RUNNING_EPOCHS * spectra.n_clips if options.pre_norm == "running" else None
        self.pre_norm = PreNormalisation(spectra.mean, spectra.std, running)
        self.post_norm = PostNormalisation() if options.post_norm else nn.Identity()
        self.register_buffer("mask", _masks(options, spectra))
        self.register_buffer("ratio", torch.tensor(options._ratios(), dtype=torch.float64))
        mixes = max(options._ratios()) > 0
        size = len(spectra.frequency), spectra.n_frames
        self.bank = MemoryBank(options.bank_size, size) if mixes else None

    def forward(
        self,
        spectrogram: Tensor,
        label: Tensor | None = None,
        generator: torch.Generator | None = None,
        n_views: int = 1,
    ) -> Tensor:
        """Normalised spectrograms, augmented if a generator is given in training mode.

        Parameters
        ----------
        spectrogram : Tensor of shape (B, F, T)
            In the unit that `spectra` told of.
        label : Tensor of shape (B,), int64, or None, default=None
            Classes, which ``split_frequency="auto"`` and the bank need in training.
        generator : torch.Generator or None, default=None
            On the device of the spectrograms.
        n_views : int, default=1
            Views of each clip, made at once: so many outputs for each input, all first views first.

        Returns
        -------
        spectrogram : Tensor of shape (n_views B, F, T)
        """
        with torch.autocast(spectrogram.device.type, enabled=False):
            x = self.pre_norm(spectrogram * self.log_unit)
            if n_views > 1:
                x = x.repeat(n_views, 1, 1)
            if self.training and generator is not None:
                label = torch.zeros(len(x), dtype=torch.int64) if label is None else label.repeat(n_views)
                x = self._augmented(x, label.to(x.device), n_views, generator)
            return self.post_norm(x)

    def _augmented(self, x: Tensor, label: Tensor, n_views: int, generator: torch.Generator) -> Tensor:
        options = self.options
        if self.bank is not None:
            x = self._mixed(self.bank, x, label, n_views, generator)
        if options.resize_crop:
            crops = draw_crops(
                len(x),
                (x.shape[1], x.shape[2]),
                generator,
                frequency_scale=options.frequency_scale,
                time_scale=options.time_scale,
                canvas=options.canvas,
            )
            x = resized_crops(x, crops)
        return linear_fader(x, generator) if options.fader else x

    def _mixed(self, bank: MemoryBank, x: Tensor, label: Tensor, n_views: int, generator: torch.Generator) -> Tensor:
        """Spectrograms with a past one mixed in; they are put into the bank as they were."""
        same_class = self.options.bank_scope == "same_class"
        past, is_drawn = bank.draw(label, generator, same_class=same_class)
        most = self.ratio.repeat_interleave(len(x) // n_views) if len(self.ratio) > 1 else self.ratio
        share = torch.rand(len(x), generator=generator, device=generator.device) * most[: len(x)] * is_drawn
        mixed = self._mixture(x, past.to(x.dtype), share.to(x.dtype), label)
        bank.push(x, label)
        return mixed

    def _mixture(self, x: Tensor, z: Tensor, share: Tensor, label: Tensor) -> Tensor:
        mask = self.mask[label if len(self.mask) > 1 else torch.zeros_like(label)].to(x.dtype)  # (B, F)
        if self.options.mix_space == "power":
            std, mean = self.pre_norm.std.to(x.dtype), self.pre_norm.mean.to(x.dtype)
            return (self._in_logarithms(x * std + mean, z * std + mean, share, mask) - mean) / std
        return self._in_logarithms(x, z, share, mask)

    def _in_logarithms(self, x: Tensor, z: Tensor, share: Tensor, mask: Tensor) -> Tensor:
        if self.options.mask_form == "blend":
            return torch.lerp(x, log_mixup_exp(x, z, share[:, None, None]), mask[:, :, None])
        return log_mixup_exp(x, z, (share[:, None] * mask)[:, :, None])


def forget_clips(network: nn.Module) -> None:
    """Drop the banks of past spectrograms that a network holds, which only its training needs."""
    for module in network.modules():
        if isinstance(module, SpectrumAugmenter):
            module.bank = None


def _masks(options: SpectrumAugmentation, spectra: TrainingSpectra) -> Tensor:
    """Masks (C, F) of the classes, or (1, F) of all."""
    width = options.mask_width if options.mask == "soft" else 0.0
    splits: list[Any] = [options.split_frequency]
    if options.split_frequency == "auto":
        splits = [power_split(spectra.frequency, power) for power in spectra.power]
    return torch.stack(
        [band_mask(spectra.frequency, float(split), width, invert=options.invert_mask) for split in splits]
    )
