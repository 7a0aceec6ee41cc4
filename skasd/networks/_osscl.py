"""OSSCLNet: images of a clip, stacked as channels of one small convolutional network.

S. Huang et al. (OS-SCL), ICASSP 2025, arXiv:2509.13853; with other branches STgram-MFN (arXiv:2201.05510) and Noisy-ArcMix
(arXiv:2310.06364), and AFPA (arXiv:2308.14063).

Axes: B clips, C images, F mel bands, T frames, D dimensions of the embedding.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from skasd.networks._frequency_attention import FrequencyAttention
from skasd.networks._mobilefacenet import MobileFaceNet
from skasd.networks._perturbation import PerturbationHead
from skasd.networks._tagram import TAgramNet
from skasd.networks._tfgram import TFgramNet
from skasd.networks._tgram import TgramNet

# what each branch is made from
BRANCH_INPUTS = {
    "log_mel": "log_mel",
    "tgram": "waveform",
    "tfgram": "waveform",
    "tagram": "log_mel",
    "frequency_attention": "log_mel",
}


class OSSCLNet(nn.Module):
    """Spectrograms and waveforms of clips to embeddings of unit length.

    Parameters
    ----------
    branches : sequence of {"log_mel", "tgram", "tfgram", "tagram", "frequency_attention"}
        Images, in the order of the channels.
    size : tuple of int
        Mel bands and frames of the spectrograms.
    hop_length : int, default=512
        Of the front end, in samples, which the filters of the Tgram follow.
    embedding_dim : int, default=128
        Length of the embedding.
    perturbation_head : bool, default=True
        Whether the embedding goes through a :class:`PerturbationHead`.
    bottlenecks : {"2023", "2021"} or sequence of tuple of int, default="2023"
        Stages of :class:`MobileFaceNet`.
    channels_last : bool, default=True
        Whether tensors lie in memory with the channels of a place together: faster on a CPU and on recent accelerators.
    augmenter : nn.Module or None, default=None
        What the spectrograms are given to first, with label and generator in training.
    """

    def __init__(
        self,
        branches: Sequence[str],
        size: tuple[int, int],
        *,
        hop_length: int = 512,
        embedding_dim: int = 128,
        perturbation_head: bool = True,
        bottlenecks: str | Sequence[tuple[int, int, int, int]] = "2023",
        channels_last: bool = True,
        augmenter: nn.Module | None = None,
    ) -> None:
        super().__init__()
        makers: dict[str, Callable[[], nn.Module]] = {
            "log_mel": nn.Identity,
            "tgram": lambda: TgramNet(size, hop_length),
            "tfgram": lambda: TFgramNet(size),
            "tagram": TAgramNet,
            "frequency_attention": lambda: FrequencyAttention(size[1]),
        }
        self.branches = nn.ModuleDict({name: makers[name]() for name in branches})
        self.encoder = MobileFaceNet(len(branches), size, embedding_dim=embedding_dim, bottlenecks=bottlenecks)
        self.augmenter = augmenter
        self.head = PerturbationHead(embedding_dim) if perturbation_head else nn.Identity()
        self.memory_format = torch.channels_last if channels_last else torch.contiguous_format
        to: Any = self.to  # whose annotations tell of memory_format in some versions of torch
        to(memory_format=self.memory_format)

    def forward(
        self,
        inputs: dict[str, Tensor],
        label: Tensor | None = None,
        generator: torch.Generator | None = None,
        mix: Callable[[Tensor], Tensor] | None = None,
    ) -> Tensor:
        """Embeddings (B, D) of clips.

        Parameters
        ----------
        inputs : dict of str to Tensor
            `log_mel` (B, F, T) and `waveform` (B, n_timepoints), as far as the branches need them.
        label : Tensor of shape (B,), int64, or None, default=None
            Classes, for the augmenter.
        generator : torch.Generator or None, default=None
            For the augmenter.
        mix : callable or None, default=None
            Mixes the clips of the batch, augmented ones, in each input.
        """
        if self.augmenter is not None and "log_mel" in inputs:
            inputs = {**inputs, "log_mel": self.augmenter(inputs["log_mel"], label, generator)}
        if mix is not None:
            inputs = {name: mix(values) for name, values in inputs.items()}
        images = [branch(inputs[BRANCH_INPUTS[name]]) for name, branch in self.branches.items()]
        stack = torch.stack([image.to(images[0].dtype) for image in images], dim=1)  # (B, C, F, T)
        embedding = self.head(self.encoder(stack.contiguous(memory_format=self.memory_format)))  # (B, D)
        return functional.normalize(embedding.to(torch.promote_types(embedding.dtype, torch.float32)))
