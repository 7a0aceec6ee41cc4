"""SegmentNet: the embedding of a clip is the mean of those of some of its segments.

Axes: B clips, S segments, F mel bands, T frames, L frames of a segment, D dimensions of the embedding.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional


class SegmentNet(nn.Module):
    """Spectrograms of clips to embeddings of unit length.

    Parameters
    ----------
    normalise : nn.Module
        What the segments are given to first.
    encoder : nn.Module
        Images (B, 1, F, L) to embeddings (B, D).
    n_segments : int
        S.
    length : int
        L.
    """

    def __init__(self, normalise: nn.Module, encoder: nn.Module, n_segments: int, length: int) -> None:
        super().__init__()
        self.normalise, self.encoder = normalise, encoder
        self.n_segments, self.length = n_segments, length

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        """Embeddings (B, D) of `log_mel` (B, F, T)."""
        parts = segments(inputs["log_mel"], self.n_segments, self.length)  # (B, S, F, L)
        unit = functional.normalize(self.embedding(self.normalise(parts.flatten(0, 1))))
        return functional.normalize(unit.unflatten(0, parts.shape[:2]).mean(dim=1))

    def embedding(self, segment: Tensor) -> Tensor:
        """Embeddings (B, D) of normalised segments (B, F, L), of any length."""
        image = segment[:, None].contiguous(memory_format=torch.channels_last)
        embedding = self.encoder(image)
        return embedding.to(torch.promote_types(embedding.dtype, torch.float32))


def segments(log_mel: Tensor, n_segments: int, length: int) -> Tensor:
    """Segments (B, S, F, L) of spectrograms (B, F, T) with T >= L, evenly spread from the first frame to the last.

    One alone is in the middle.

    >>> segments(torch.arange(313.0)[None, None], 5, 64)[0, :, 0, 0]
    tensor([  0.,  62., 124., 186., 249.])
    """
    room = log_mel.shape[2] - length
    starts = [room // 2] if n_segments == 1 else [index * room // (n_segments - 1) for index in range(n_segments)]
    return torch.stack([log_mel[:, :, start : start + length] for start in starts], dim=1)


def random_segments(log_mel: Tensor, length: int, generator: torch.Generator) -> Tensor:
    """A segment (B, F, L) of each spectrogram (B, F, T), which may begin at any frame with the same probability."""
    room = log_mel.shape[2] - length
    start = torch.randint(room + 1, (len(log_mel), 1), generator=generator, device=generator.device)
    frame = start + torch.arange(length, device=log_mel.device)  # (B, L)
    return log_mel.gather(2, frame[:, None].expand(-1, log_mel.shape[1], -1))
