r"""Log-mixup-exp: a little of a past spectrogram mixed into each, in power, in some of its bands.

D. Niizumi et al., "BYOL for audio", IJCNN 2021, arXiv:2103.06695 (all bands); X. Meng et al., "Contrastive learning with
spectrum information augmentation in abnormal sound detection", 2025, arXiv:2509.15570 (the high bands).

Axes: B spectrograms, F mel bands, T frames, N entries of the bank, C classes.
"""

import math

import torch
from torch import Tensor, nn


def log_mixup_exp(x: Tensor, z: Tensor, share: Tensor, eps: float = 0.0) -> Tensor:
    r"""Logarithm of a mixture of powers, :math:`\ln((1 - \alpha) e^x + \alpha e^z + \epsilon)`.

    Parameters
    ----------
    x, z : Tensor of shape (B, F, T)
        Spectrograms as natural logarithms. dB are divided by :math:`10 / \ln 10 = 4.343` first.
    share : Tensor of a shape that goes with (B, F, T)
        :math:`\alpha` in [0, 1], of each spectrogram or band.
    eps : float, default=0.0
        :math:`\epsilon`; BYOL-A has 1.19e-7, which lifts what is quieter than -10.

    Returns
    -------
    mixed : Tensor of shape (B, F, T)
        Where the share is 0 it is `x`, bit by bit; everywhere it lies between `x` and `z` but for `eps`.

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
    """The last spectrograms that were put in, the oldest of which the next one replaces.

    Parameters
    ----------
    size : int
        N.
    shape : tuple of int
        Mel bands and frames.

    Notes
    -----
    The entries are part of the state, so that a training that goes on from a checkpoint mixes as it would have mixed.
    """

    holds_clips = True  # which no running average is taken of
    entries: Tensor
    label: Tensor
    n_pushed: Tensor

    def __init__(self, size: int, shape: tuple[int, int]) -> None:
        super().__init__()
        self.register_buffer("entries", torch.zeros(size, *shape))
        self.register_buffer("label", torch.zeros(size, dtype=torch.int64))
        self.register_buffer("n_pushed", torch.zeros((), dtype=torch.int64))

    def __len__(self) -> int:
        return min(int(self.n_pushed), len(self.entries))

    def push(self, spectrogram: Tensor, label: Tensor) -> None:
        """Put in spectrograms (B, F, T) of classes (B,)."""
        size = len(self.entries)
        first = int(self.n_pushed) + max(len(spectrogram) - size, 0)
        place = (first + torch.arange(min(len(spectrogram), size), device=self.label.device)) % size
        self.entries[place] = spectrogram[-size:].detach().to(self.entries.dtype)
        self.label[place] = label[-size:]
        self.n_pushed += len(spectrogram)

    def draw(self, label: Tensor, generator: torch.Generator, *, same_class: bool = False) -> tuple[Tensor, Tensor]:
        """Draw an entry for each spectrogram of a batch.

        Parameters
        ----------
        label : Tensor of shape (B,), int64
            Classes of the batch.
        generator : torch.Generator
            On the device of the bank.
        same_class : bool, default=False
            Whether only entries of the same class are drawn.

        Returns
        -------
        spectrogram : Tensor of shape (B, F, T)
            Entries, each as likely as any other.
        is_drawn : Tensor of shape (B,), bool
            Where there was one to draw: nowhere while the bank is empty.
        """
        n_entries = len(self)
        priority = torch.rand(len(label), max(n_entries, 1), generator=generator, device=generator.device)
        allowed = torch.full_like(priority, n_entries > 0, dtype=torch.bool)
        if same_class:
            allowed &= self.label[: max(n_entries, 1)] == label[:, None]
        chosen = priority.masked_fill(~allowed, -1).argmax(dim=1)
        return self.entries[chosen], allowed.any(dim=1)
