"""Feature perturbation head: a small bottleneck network after the embedding.

S. Huang et al. (OS-SCL), ICASSP 2025, arXiv:2509.13853.
"""

from torch import Tensor, nn

from skasd._typing import Float


class PerturbationHead(nn.Module):
    """Bottleneck network on embeddings: two linear layers with a hidden layer of half the length of the embedding.

    Parameters
    ----------
    embedding_dim : int, default=128
        Length of an embedding.

    Notes
    -----
    As in the reference code, it is part of the network both in training and at test time. It is deterministic: the
    perturbation is learned.
    """

    def __init__(self, embedding_dim: int = 128) -> None:
        super().__init__()
        width = embedding_dim // 2
        self.layers = nn.Sequential(
            nn.Linear(embedding_dim, width),
            nn.ReLU(),
            nn.BatchNorm1d(width),
            nn.Linear(width, embedding_dim),
            nn.ReLU(),
            nn.BatchNorm1d(embedding_dim),
        )

    def forward(self, embedding: Float[Tensor, "clips dim"]) -> Float[Tensor, "clips dim"]:
        """Perturbed embeddings."""
        return self.layers(embedding)
