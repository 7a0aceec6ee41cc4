r"""Log-mixup-exp: mixes a small share of the power of a past spectrogram into each spectrogram.

D. Niizumi et al., "BYOL for audio", IJCNN 2021, arXiv:2103.06695 (in all bands); X. Meng et al., "Contrastive learning with
spectrum information augmentation in abnormal sound detection", 2025, arXiv:2509.15570 (in the high bands).
"""

import math

import torch
from torch import Tensor, nn

from skasd._typing import Bool, Float, Int
from skasd.augmentations._draw import drawn_uniform


def log_mixup_exp(
    x: Float[Tensor, "*shape"], z: Float[Tensor, "*shape"], share: Float[Tensor, "*#shape"], eps: float = 0.0
) -> Float[Tensor, "*shape"]:
    r"""Logarithm of a mixture of powers, :math:`\ln((1 - \alpha) e^x + \alpha e^z + \epsilon)`.

    Parameters
    ----------
    x, z : Tensor of shape (clips, bands, frames) or any other
        Spectrograms as natural logarithms of power. Divide levels in dB by :math:`10 / \ln 10 = 4.343` first.
    share : Tensor that broadcasts to the shape of `x`
        Share :math:`\alpha` of `z`, dimensionless, in [0, 1]; for example one per spectrogram or per band.
    eps : float, default=0.0
        Constant :math:`\epsilon`. BYOL-A uses 1.19e-7, which raises values below about -10.

    Returns
    -------
    mixed : Tensor of the shape of `x`
        Mixture, which lies between `x` and `z` apart from `eps`. It equals `x` exactly where `share` is 0.

    Examples
    --------
    >>> two, eight = torch.tensor(2.0).log(), torch.tensor(8.0).log()
    >>> log_mixup_exp(two, eight, torch.tensor(0.25)).exp()
    tensor(3.5000)
    """
    mixed = torch.logaddexp(x + torch.log1p(-share), z + share.log())
    if eps:
        mixed = torch.logaddexp(mixed, torch.full_like(mixed, math.log(eps)))
    return torch.where(share > 0, mixed, x)


class MemoryBank(nn.Module):
    """Ring buffer of the most recent spectrograms and their classes.

    Parameters
    ----------
    size : int
        Maximum number of spectrograms.
    shape : tuple of int
        Number of bands and frames of a spectrogram.

    Notes
    -----
    The entries are part of the state dict, so a training run that is resumed from a checkpoint mixes as if it had not been
    interrupted.
    """

    holds_clips = True  # excludes the buffers from weight averaging
    entries: Float[Tensor, "size bands frames"]
    label: Int[Tensor, " size"]
    n_pushed: Int[Tensor, ""]

    def __init__(self, size: int, shape: tuple[int, int]) -> None:
        super().__init__()
        self.register_buffer("entries", torch.zeros(size, *shape, dtype=torch.float32))
        self.register_buffer("label", torch.zeros(size, dtype=torch.int64))
        self.register_buffer("n_pushed", torch.zeros((), dtype=torch.int64))

    def __len__(self) -> int:
        return min(int(self.n_pushed), len(self.entries))

    def push(self, spectrogram: Float[Tensor, "clips bands frames"], label: Int[Tensor, " clips"]) -> None:
        """Store spectrograms and their classes in place of the oldest entries."""
        size = len(self.entries)
        first = int(self.n_pushed) + max(len(spectrogram) - size, 0)
        place = (first + torch.arange(min(len(spectrogram), size), device=self.label.device)) % size
        self.entries[place] = spectrogram[-size:].detach().to(self.entries.dtype)
        self.label[place] = label[-size:]
        self.n_pushed += len(spectrogram)

    def draw(
        self, label: Int[Tensor, " clips"], generator: torch.Generator, *, same_class: bool = False
    ) -> tuple[Float[Tensor, "clips bands frames"], Bool[Tensor, " clips"]]:
        """Draw an entry for each spectrogram of a batch.

        Parameters
        ----------
        label : Tensor of shape (clips,), int64
            Classes of the batch.
        generator : torch.Generator
            Random generator; the drawn numbers are moved to the device of the bank.
        same_class : bool, default=False
            Whether only entries of the same class are drawn.

        Returns
        -------
        spectrogram : Tensor of shape (clips, bands, frames)
            Entries drawn with equal probability.
        is_drawn : Tensor of shape (clips,), bool
            Whether there was a suitable entry; False for all clips while the bank is empty.
        """
        n_entries = len(self)
        drawn = drawn_uniform(len(label), max(n_entries, 1), generator=generator)
        priority = drawn.to(self.label.device)
        allowed = torch.full_like(priority, n_entries > 0, dtype=torch.bool)
        if same_class:
            allowed &= self.label[: max(n_entries, 1)] == label[:, None]
        chosen = priority.masked_fill(~allowed, -1).argmax(dim=1)
        return self.entries[chosen], allowed.any(dim=1)
