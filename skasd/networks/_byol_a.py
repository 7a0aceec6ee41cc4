"""BYOLANet: a small convolutional network whose frame embeddings are pooled over time.

D. Niizumi et al., "BYOL for audio", IJCNN 2021, arXiv:2103.06695; implemented from the table of layers in the paper.

Axes: B clips, F bands, T frames, D dim of the embedding.
"""

from torch import Tensor, nn

from skasd._typing import Float
from skasd.networks._cpu_layers import NormActivation
from skasd.networks._dropout import Dropout

_CHANNELS = 64
_DROPOUT = 0.3


class BYOLANet(nn.Module):
    """Encoder of BYOL-A: spectrograms to embeddings.

    Parameters
    ----------
    n_bands : int
        Number of mel bands, at least 8.
    embedding_dim : int, default=128
        Length of the embedding; 2048 in the paper.
    """

    def __init__(self, n_bands: int, embedding_dim: int = 128) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(*_block(1), *_block(_CHANNELS), *_block(_CHANNELS))
        self.of_frame = nn.Sequential(
            nn.Linear(_CHANNELS * (n_bands // 8), embedding_dim),
            nn.ReLU(),
            Dropout(_DROPOUT),
            nn.Linear(embedding_dim, embedding_dim),
            nn.ReLU(),
        )

    def forward(self, image: Float[Tensor, "clips 1 bands frames"]) -> Float[Tensor, "clips dim"]:
        """Embeddings of one-channel images with at least 8 frames."""
        x = self.convolutions(image)  # (B, 64, F / 8, T / 8)
        x = self.of_frame(x.permute(0, 3, 2, 1).flatten(2))  # (B, T / 8, D)
        return x.amax(dim=1) + x.mean(dim=1)


def _block(n_in: int) -> list[nn.Module]:
    return [nn.Conv2d(n_in, _CHANNELS, 3, padding=1), NormActivation(_CHANNELS, "relu"), nn.MaxPool2d(2)]
