"""Self-attention over the bands of a log-mel, which finds those that tell machines apart.

H. Zhang et al., "Anomalous sound detection using self-attention-based frequency pattern analysis of machine sounds",
Interspeech 2023, arXiv:2308.14063. The paper does not tell sizes; these are ours.

Axes: B clips, F mel bands, T frames.
"""

from torch import Tensor, nn

_WIDTH, _HEADS = 64, 4


class FrequencyAttention(nn.Module):
    """An image of the size of a log-mel in which each band has looked at all others.

    Parameters
    ----------
    n_frames : int
        Frames of the log-mel; its bands may be any number.
    """

    def __init__(self, n_frames: int) -> None:
        super().__init__()
        self.narrow = nn.Linear(n_frames, _WIDTH)
        self.attention = nn.MultiheadAttention(_WIDTH, _HEADS, batch_first=True)
        self.norm = nn.LayerNorm(_WIDTH)
        self.widen = nn.Linear(_WIDTH, n_frames)

    def forward(self, log_mel: Tensor) -> Tensor:
        """Image (B, F, T) of a log-mel (B, F, T)."""
        band = self.narrow(log_mel)  # (B, F, 64)
        attended, _ = self.attention(band, band, band, need_weights=False)
        return self.widen(self.norm(band + attended))
