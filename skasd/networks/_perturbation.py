"""Feature perturbation head: a narrow network on the embedding.

S. Huang et al. (OS-SCL), ICASSP 2025, arXiv:2509.13853.

Axes: B clips, D dimensions of the embedding.
"""

from torch import Tensor, nn


class PerturbationHead(nn.Module):
    """Embeddings through a layer of half their length and back.

    Parameters
    ----------
    embedding_dim : int, default=128
        Length of an embedding.

    Notes
    -----
    Part of the network in training and at test, as in the reference code. Nothing in it is random: what perturbs is
    learnt.
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

    def forward(self, embedding: Tensor) -> Tensor:
        """Embeddings (B, D) of embeddings (B, D)."""
        return self.layers(embedding)
