"""OSSCLNet: images of a clip, stacked as channels of one small convolutional network.

S. Huang et al. (OS-SCL), ICASSP 2025, arXiv:2509.13853. With other branches it is the network of STgram-MFN
(arXiv:2201.05510), Noisy-ArcMix (arXiv:2310.06364) and AFPA (arXiv:2308.14063).

Axes: B clips, C images, F bands, T frames, D dim of the embedding.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from skasd._typing import Float, Int
from skasd.networks._frequency_attention import FrequencyAttention
from skasd.networks._mobilefacenet import MobileFaceNet
from skasd.networks._perturbation import PerturbationHead
from skasd.networks._tagram import TAgramNet
from skasd.networks._tfgram import TFgramNet
from skasd.networks._tgram import TgramNet

# the input of each branch
BRANCH_INPUTS = {
    "log_mel": "log_mel",
    "tgram": "waveform",
    "tfgram": "waveform",
    "tagram": "log_mel",
    "frequency_attention": "log_mel",
}


class OSSCLNet(nn.Module):
    """Spectrograms and waveforms to embeddings of unit length.

    Parameters
    ----------
    branches : sequence of {"log_mel", "tgram", "tfgram", "tagram", "frequency_attention"}
        Input images of the encoder, in the order of its channels.
    size : tuple of int
        Number of bands and frames of the spectrograms.
    hop_length : int, default=512
        Hop length of the front end in samples, which the Tgram uses too.
    embedding_dim : int, default=128
        Length of the embedding.
    perturbation_head : bool, default=True
        Whether a :class:`PerturbationHead` follows the encoder.
    bottlenecks : {"2023", "2021"} or sequence of tuple of int, default="2023"
        Stages of :class:`MobileFaceNet`.
    pooling : {"depthwise", "generalised_mean", "rank", "attention"}, default="depthwise"
        Pooling of the last feature map of :class:`MobileFaceNet`.
    channels_last : bool, default=True
        Whether the memory format is channels-last, which is faster on a CPU and on recent accelerators.
    augmenter : nn.Module or None, default=None
        Module that augments or normalises the spectrograms first; it is called with spectrograms, label and generator.
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
        pooling: str = "depthwise",
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
        self.encoder = MobileFaceNet(
            len(branches), size, embedding_dim=embedding_dim, bottlenecks=bottlenecks, pooling=pooling
        )
        self.augmenter = augmenter
        self.head = PerturbationHead(embedding_dim) if perturbation_head else nn.Identity()
        self.memory_format = torch.channels_last if channels_last else torch.contiguous_format
        to: Any = self.to  # its annotations lack memory_format in some versions of torch
        to(memory_format=self.memory_format)

    def forward(
        self,
        inputs: dict[str, Tensor],
        label: Int[Tensor, " clips"] | None = None,
        generator: torch.Generator | None = None,
        mix: Callable[[Tensor], Tensor] | None = None,
    ) -> Float[Tensor, "clips dim"]:
        """Embeddings of clips.

        Parameters
        ----------
        inputs : dict of str to Tensor
            Those of `log_mel` (B, F, T) and `waveform` (B, n_timepoints) that the branches need.
        label : Tensor of shape (clips,), int64, or None, default=None
            Classes of the clips, passed to the augmenter.
        generator : torch.Generator or None, default=None
            Random generator, passed to the augmenter.
        mix : callable or None, default=None
            Function that mixes the clips of the batch; it is applied to each input after the augmentation.

        Returns
        -------
        embedding : Tensor of shape (clips, dim)
            Embeddings of unit length.
        """
        if self.augmenter is not None and "log_mel" in inputs:
            inputs = {**inputs, "log_mel": self.augmenter(inputs["log_mel"], label, generator)}
        if mix is not None:
            inputs = {name: mix(values) for name, values in inputs.items()}
        images = [branch(inputs[BRANCH_INPUTS[name]]) for name, branch in self.branches.items()]
        stack = torch.stack([image.to(images[0].dtype) for image in images], dim=1)  # (B, C, F, T)
        embedding = self.head(self.encoder(stack.contiguous(memory_format=self.memory_format)))  # (B, D)
        return functional.normalize(embedding.to(torch.promote_types(embedding.dtype, torch.float32)))
