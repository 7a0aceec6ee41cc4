"""Labels as text: labels that are spelt alike begin with centres that lie together.

J. Tian et al., "Self-supervised anomalous sound detection with statistical clustering and contrastive learning", DCASE 2024
technical report, which renders labels as text and embeds it; with hashed letters in place of a language model.
"""

import zlib
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

_LENGTHS = (2, 3, 4)  # of the runs of letters


def text_embedding(labels: Sequence[str], embedding_dim: int = 128) -> Tensor:
    """Unit vectors of labels by the runs of two to four letters in them.

    Parameters
    ----------
    labels : sequence of C str
        Such as ``"fan | source | speed 5"``.
    embedding_dim : int, default=128
        Length of the vectors. Runs of letters are hashed into it; each adds or takes away one.

    Returns
    -------
    embedding : Tensor of shape (C, embedding_dim)
        The same on every machine and in every run.

    Examples
    --------
    >>> same, near, far = text_embedding(["fan speed 5", "fan speed 6", "valve pat 01"], 512)
    >>> bool(same @ near > 0.5), bool(same @ far < 0.3)
    (True, True)
    """
    embedding = torch.zeros(len(labels), embedding_dim)
    for row, label in enumerate(labels):
        for hashed in map(_hash, _runs(f" {label} ")):
            embedding[row, hashed % embedding_dim] += 1 if (hashed // embedding_dim) % 2 else -1
    return functional.normalize(embedding)


def _runs(text: str) -> list[str]:
    return [text[start : start + length] for length in _LENGTHS for start in range(len(text) - length + 1)]


def _hash(run: str) -> int:
    return zlib.crc32(run.encode())
