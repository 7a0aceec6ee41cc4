"""Spectrum augmentation: normalisation, mixing with past spectrograms, random resize crop and second normalisation.

X. Meng et al., "Contrastive learning with spectrum information augmentation in abnormal sound detection", 2025,
arXiv:2509.15570, which extends D. Niizumi et al., "BYOL for audio", IJCNN 2021, arXiv:2103.06695.

Axes: B clips, F bands, T frames, C classes.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from skasd._parameter_group import ParameterGroup, refuse_idle
from skasd._parameters import check_integer, check_number, check_option
from skasd._typing import Float, Int
from skasd.augmentations._band_mask import band_mask, power_split
from skasd.augmentations._draw import drawn_uniform
from skasd.augmentations._frames import linear_fader
from skasd.augmentations._log_mixup import MemoryBank, log_mixup_exp
from skasd.augmentations._normalisation import PostNormalisation, PreNormalisation
from skasd.augmentations._resize_crop import draw_crops, resized_crops

_RUNNING_EPOCHS = 20  # epochs after which the running statistics of BYOL-A are frozen
_OPTIONS = {
    "pre_norm": ("dataset", "running"),
    "mix_space": ("after_norm", "power"),
    "mask": ("soft", "hard"),
    "mask_form": ("per_band_share", "blend"),
    "bank_scope": ("all", "same_class"),
}
_FLAGS = ("invert_mask", "resize_crop", "fader", "post_norm")
_OF_MIXING = (
    "split_frequency",
    "mask",
    "mask_width",
    "mask_form",
    "invert_mask",
    "mix_space",
    "bank_size",
    "bank_scope",
)
_RANGES = {"frequency_scale": 0.0, "time_scale": 0.0, "canvas": 1.0}


@dataclass(frozen=True)
class TrainingSpectra:
    r"""Properties of the training spectrograms that an augmentation needs.

    Parameters
    ----------
    frequency : ndarray of shape (bands,)
        Centre frequencies of the bands in Hz, ascending.
    power : ndarray of shape (classes, bands)
        Mean power in each band over the clips of each class, in any unit.
    mean, std : float
        Mean and standard deviation over all bands, frames and clips, in natural logarithms of power.
    log_unit : float
        Factor that converts spectrograms to natural logarithms of power: :math:`\ln 10 / 10` for spectrograms in dB.
    n_frames : int
        Number of frames of a spectrogram.
    n_clips : int
        Number of spectrograms in an epoch.
    """

    frequency: np.ndarray
    power: np.ndarray
    mean: float
    std: float
    log_unit: float
    n_frames: int
    n_clips: int


@dataclass(repr=False)
class SpectrumAugmentation(ParameterGroup):
    r"""Settings of the spectrum augmentation, which detectors take as `augmentation`.

    In training, spectrograms go through these steps in order [1]_: normalisation; log-mixup-exp with a past spectrogram in
    the bands above `split_frequency`; random resize crop; linear fader; normalisation of the batch. When clips are scored,
    only the two normalisations remain, with frozen statistics.

    Parameters
    ----------
    split_frequency : float or "auto", default=2000.0
        Frequency in Hz below which bands are not mixed. 0 mixes all bands, as BYOL-A does [2]_. ``"auto"`` uses, for each
        class, the frequency below which 80 % of its training power lies, limited to the range from 1 to 4 kHz.
    mask : {"soft", "hard"}, default="soft"
        Transition at `split_frequency`: ``"soft"`` is gradual, ``"hard"`` is a step.
    mask_width : float, default=2.0
        Width of a soft transition in bands: the mask rises from 0.27 to 0.73 from one width below its centre to one above.
    mask_form : {"per_band_share", "blend"}, default="per_band_share"
        Use of the mask :math:`m_b`: ``"per_band_share"`` scales the share of the past spectrogram,
        :math:`\ln((1 - \alpha m_b) e^{x_b} + \alpha m_b e^{z_b})`; ``"blend"`` interpolates between the spectrogram and the
        mixture.
    invert_mask : bool, default=False
        Whether the low bands are mixed instead of the high ones, as a sanity check of the premise.
    mix_ratio : float or pair of float, default=0.4
        Maximum of the share :math:`\alpha` of the past spectrogram, dimensionless, in [0, 1]. The share is drawn uniformly
        from 0 to this maximum; 0 disables mixing. A pair sets the maximum for the first and the second view of a clip.
    mix_space : {"after_norm", "power"}, default="after_norm"
        Values that are mixed. ``"after_norm"`` treats normalised values as logarithms of power, as BYOL-A does;
        ``"power"`` mixes true powers.
    bank_size : int, default=2048
        Number of past spectrograms kept for mixing, at 4 bytes per value: 67 MB for segments of 128 bands and 64 frames.
    bank_scope : {"all", "same_class"}, default="all"
        Whether a past spectrogram of any class may be mixed in, or only one of the same class.
    resize_crop : bool, default=False
        Whether a random crop is resized to the size of the spectrogram.
    frequency_scale, time_scale : pair of float, default=(0.6, 1.5)
        Range of the height and of the width of the crop, relative to the size of the spectrogram.
    canvas : pair of float, default=(1.0, 1.5)
        Height and width of the canvas that crops are taken from, relative to the size of the spectrogram, which is in the
        middle of the canvas.
    fader : bool, default=False
        Whether a random straight line over time is added, as in the second version of BYOL-A.
    pre_norm : {"dataset", "running"}, default="dataset"
        Statistics of the first normalisation: ``"dataset"`` uses mean and standard deviation of the training clips,
        ``"running"`` uses running statistics, which are frozen after 20 epochs.
    post_norm : bool, default=True
        Whether there is a second normalisation after the augmentation.

    Notes
    -----
    The code of [1]_ is not public, so frequencies, masks and ratios are reconstructed; see the
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

    __no_type_check__ = True  # the test run checks no types here: the values are the user's, and `check` validates them

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

    def check(self) -> None:
        """Raise if a parameter is out of range, or has no effect with the others."""
        if isinstance(self.split_frequency, str):
            if self.split_frequency != "auto":
                raise ValueError(f"split_frequency={self.split_frequency!r}; a frequency in Hz or 'auto' is expected.")
        else:
            check_number("split_frequency", self.split_frequency, low=0)
        check_number("mask_width", self.mask_width, low=0, above=True)
        pair = self.mix_ratio if isinstance(self.mix_ratio, list | tuple) else (self.mix_ratio,)
        for ratio in pair:
            check_number("mix_ratio", ratio, low=0, high=1)
        check_integer("bank_size", self.bank_size, low=1)
        for name, options in _OPTIONS.items():
            check_option(name, getattr(self, name), options)
        for name in _FLAGS:
            check_option(name, getattr(self, name), (True, False))
        for name, low in _RANGES.items():
            self._check_range(name, low)
        if not self.resize_crop:
            refuse_idle(self, _RANGES, "resize_crop=False")
        if self.mask == "hard":
            refuse_idle(self, ["mask_width"], "mask='hard'")
        if not any(self._ratios()):
            refuse_idle(self, _OF_MIXING, "mix_ratio=0")

    def _check_range(self, name: str, low: float) -> None:
        pair = getattr(self, name)
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            raise TypeError(f"{name}={pair!r}; a pair of numbers is expected.")
        for value in pair:
            check_number(name, value, low=low, above=low == 0)
        if name != "canvas" and pair[0] > pair[1]:
            raise ValueError(f"{name}={pair!r} has its minimum above its maximum; write ({pair[1]}, {pair[0]}).")

    def _ratios(self) -> tuple[float, ...]:
        if isinstance(self.mix_ratio, list | tuple):
            if len(self.mix_ratio) != 2:
                raise ValueError(f"mix_ratio={self.mix_ratio!r}; a number or a pair, for two views, is expected.")
            return tuple(self.mix_ratio)
        return (self.mix_ratio,)

    def prepare(self, spectra: TrainingSpectra) -> "SpectrumAugmenter":
        """Create the module that augments training spectrograms.

        Parameters
        ----------
        spectra : TrainingSpectra
            Properties of the training spectrograms.

        Returns
        -------
        augmenter : SpectrumAugmenter
            Module with these settings.
        """
        return SpectrumAugmenter(self, spectra)


class SpectrumAugmenter(nn.Module):
    """Module that augments and normalises spectrograms in training mode and only normalises them in evaluation mode.

    Parameters
    ----------
    options : SpectrumAugmentation
        Settings of the augmentation.
    spectra : TrainingSpectra
        Properties of the training spectrograms.
    """

    mask: Float[Tensor, "masks bands"]
    ratio: Float[Tensor, " ratios"]

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
        spectrogram: Float[Tensor, "clips bands frames"],
        label: Int[Tensor, " clips"] | None = None,
        generator: torch.Generator | None = None,
        n_views: int = 1,
    ) -> Float[Tensor, "{n_views}*clips bands frames"]:
        """Normalise spectrograms, and augment them if a generator is given in training mode.

        Parameters
        ----------
        spectrogram : Tensor of shape (clips, bands, frames)
            Spectrograms in the unit of the training spectrograms.
        label : Tensor of shape (clips,), int64, or None, default=None
            Classes of the clips, used in training by ``split_frequency="auto"`` and the bank. None puts all clips into
            class 0.
        generator : torch.Generator or None, default=None
            Random generator; the drawn numbers are moved to the device of the spectrograms.
        n_views : int, default=1
            Number of views of each clip. The output has the first views of all clips, then the second views, and so on.

        Returns
        -------
        spectrogram : Tensor of shape (n_views * clips, bands, frames)
            Normalised spectrograms.
        """
        with torch.autocast(spectrogram.device.type, enabled=False):
            x = self.pre_norm(spectrogram * self.log_unit)
            if n_views > 1:
                x = x.repeat(n_views, 1, 1)
            if self.training and generator is not None:
                label = torch.zeros(len(x), dtype=torch.int64) if label is None else label.repeat(n_views)
                x = self._augmented(x, label.to(x.device), n_views, generator)
            return self.post_norm(x)

    def _augmented(
        self,
        x: Float[Tensor, "views bands frames"],
        label: Int[Tensor, " views"],
        n_views: int,
        generator: torch.Generator,
    ) -> Float[Tensor, "views bands frames"]:
        options = self.options
        if self.bank is not None:
            x = self._mixed(self.bank, x, label, n_views, generator)
        if options.resize_crop:
            crops = draw_crops(
                len(x),
                (x.shape[1], x.shape[2]),
                generator,
                device=x.device,
                frequency_scale=options.frequency_scale,
                time_scale=options.time_scale,
                canvas=options.canvas,
            )
            x = resized_crops(x, crops)
        return linear_fader(x, generator) if options.fader else x

    def _mixed(
        self,
        bank: MemoryBank,
        x: Float[Tensor, "views bands frames"],
        label: Int[Tensor, " views"],
        n_views: int,
        generator: torch.Generator,
    ) -> Float[Tensor, "views bands frames"]:
        """Mix past spectrograms from the bank into `x`, then store the unmixed `x` in the bank."""
        same_class = self.options.bank_scope == "same_class"
        past, is_drawn = bank.draw(label, generator, same_class=same_class)
        most = self.ratio.repeat_interleave(len(x) // n_views) if len(self.ratio) > 1 else self.ratio
        share = drawn_uniform(len(x), generator=generator).to(x.device) * most[: len(x)] * is_drawn
        mixed = self._mixture(x, past.to(x.dtype), share.to(x.dtype), label)
        bank.push(x, label)
        return mixed

    def _mixture(
        self,
        x: Float[Tensor, "views bands frames"],
        z: Float[Tensor, "views bands frames"],
        share: Float[Tensor, " views"],
        label: Int[Tensor, " views"],
    ) -> Float[Tensor, "views bands frames"]:
        mask = self.mask[label if len(self.mask) > 1 else torch.zeros_like(label)].to(x.dtype)  # (B, F)
        if self.options.mix_space == "power":
            std, mean = self.pre_norm.std.to(x.dtype), self.pre_norm.mean.to(x.dtype)
            return (self._in_logarithms(x * std + mean, z * std + mean, share, mask) - mean) / std
        return self._in_logarithms(x, z, share, mask)

    def _in_logarithms(
        self,
        x: Float[Tensor, "views bands frames"],
        z: Float[Tensor, "views bands frames"],
        share: Float[Tensor, " views"],
        mask: Float[Tensor, "views bands"],
    ) -> Float[Tensor, "views bands frames"]:
        if self.options.mask_form == "blend":
            return torch.lerp(x, log_mixup_exp(x, z, share[:, None, None]), mask[:, :, None])
        return log_mixup_exp(x, z, (share[:, None] * mask)[:, :, None])


def forget_clips(network: nn.Module) -> None:
    """Delete the memory banks in a network, which are only needed in training.

    Parameters
    ----------
    network : nn.Module
        Network whose :class:`SpectrumAugmenter` modules, if any, are changed in place.
    """
    for module in network.modules():
        if isinstance(module, SpectrumAugmenter):
            module.bank = None


def _masks(options: SpectrumAugmentation, spectra: TrainingSpectra) -> Float[Tensor, "masks bands"]:
    """One mask per class, or a single mask for all classes."""
    width = options.mask_width if options.mask == "soft" else 0.0
    splits: list[Any] = [options.split_frequency]
    if options.split_frequency == "auto":
        splits = [power_split(spectra.frequency, power) for power in spectra.power]
    return torch.stack(
        [band_mask(spectra.frequency, float(split), width, invert=options.invert_mask) for split in splits]
    )
