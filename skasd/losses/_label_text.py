"""Text embeddings of labels, so that classes with similar names start with centres that are close together.

J. Tian et al., "Self-supervised anomalous sound detection with statistical clustering and contrastive learning", DCASE 2024
technical report, embeds labels as text and does not say how; here by hashed letter n-grams, without a language model.

Axes: C labels, D dim of the embedding.
"""

import zlib
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from skasd._typing import Float

_LENGTHS = (2, 3, 4)  # letters of an n-gram


def text_embedding(labels: Sequence[str], embedding_dim: int = 128) -> Float[Tensor, "labels dim"]:
    """Unit vectors of labels from their letter n-grams of two to four letters.

    Parameters
    ----------
    labels : sequence of str
        Labels such as ``"fan | source | speed 5"``.
    embedding_dim : int, default=128
        Length of the vectors. Each n-gram is hashed to one entry and adds 1 to it or subtracts 1 from it.

    Returns
    -------
    embedding : Tensor of shape (labels, embedding_dim)
        Vectors of unit length, the same on every machine and in every run.

    Examples
    --------
    >>> same, near, far = text_embedding(["fan speed 5", "fan speed 6", "valve pat 01"], 512)
    >>> bool(same @ near > 0.5), bool(same @ far < 0.3)
    (True, True)
    """
    embedding = torch.zeros(len(labels), embedding_dim, dtype=torch.float32)
    for row, label in enumerate(labels):
        for hashed in map(_hash, _runs(f" {label} ")):
            embedding[row, hashed % embedding_dim] += 1 if (hashed // embedding_dim) % 2 else -1
    return functional.normalize(embedding)


def _runs(text: str) -> list[str]:
    return [text[start : start + length] for length in _LENGTHS for start in range(len(text) - length + 1)]


def _hash(run: str) -> int:
    return zlib.crc32(run.encode())
