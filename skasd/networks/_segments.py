"""SegmentNet: the embedding of a clip is the mean embedding of several segments.

Axes: B clips, S segments, F bands, T frames, L length of a segment, D dim of the embedding.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from skasd._typing import Float


class SegmentNet(nn.Module):
    """Spectrograms to embeddings of unit length, averaged over segments.

    Parameters
    ----------
    normalise : nn.Module
        Normalisation of the segments, before the encoder.
    encoder : nn.Module
        Network that maps images (B, 1, F, L) to embeddings (B, D).
    n_segments : int
        Number of segments of a clip.
    length : int
        Length of a segment in frames.
    """

    def __init__(self, normalise: nn.Module, encoder: nn.Module, n_segments: int, length: int) -> None:
        super().__init__()
        self.normalise, self.encoder = normalise, encoder
        self.n_segments, self.length = n_segments, length

    def forward(self, inputs: dict[str, Tensor]) -> Float[Tensor, "clips dim"]:
        """Embeddings of the input `log_mel` (B, F, T)."""
        parts = segments(inputs["log_mel"], self.n_segments, self.length)  # (B, S, F, L)
        unit = functional.normalize(self.embedding(self.normalise(parts.flatten(0, 1))))
        return functional.normalize(unit.unflatten(0, parts.shape[:2]).mean(dim=1))

    def embedding(self, segment: Float[Tensor, "segments bands length"]) -> Float[Tensor, "segments dim"]:
        """Embeddings of normalised segments of any length."""
        image = segment[:, None].contiguous(memory_format=torch.channels_last)
        embedding = self.encoder(image)
        return embedding.to(torch.promote_types(embedding.dtype, torch.float32))


def segments(
    log_mel: Float[Tensor, "clips bands frames"], n_segments: int, length: int
) -> Float[Tensor, "clips {n_segments} bands {length}"]:
    """Segments of spectrograms, evenly spaced from the first frame to the last; a single segment is in the middle.

    Spectrograms need at least `length` frames.

    >>> segments(torch.arange(313.0)[None, None], 5, 64)[0, :, 0, 0]
    tensor([  0.,  62., 124., 186., 249.])
    """
    room = log_mel.shape[2] - length
    starts = [room // 2] if n_segments == 1 else [index * room // (n_segments - 1) for index in range(n_segments)]
    return torch.stack([log_mel[:, :, start : start + length] for start in starts], dim=1)


def random_segments(
    log_mel: Float[Tensor, "clips bands frames"], length: int, generator: torch.Generator
) -> Float[Tensor, "clips bands {length}"]:
    """One segment of each spectrogram, with a uniformly distributed start."""
    room = log_mel.shape[2] - length
    start = torch.randint(room + 1, (len(log_mel), 1), generator=generator, device=generator.device)
    frame = start.to(log_mel.device) + torch.arange(length, device=log_mel.device)  # (B, L)
    return log_mel.gather(2, frame[:, None].expand(-1, log_mel.shape[1], -1))
