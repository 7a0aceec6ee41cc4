"""Running median of spectrograms.

Axes: B clips, F bands, T frames.
"""

import torch
from torch import Tensor, nn

from skasd.export._lengths import length_of


class RunningMedian(nn.Module):
    """Running median over frames or bands; both ends are reflected without repeating the outermost value.

    Parameters
    ----------
    size : int
        Length of the window, odd.
    axis : {"time", "frequency"}, default="time"
        Axis to filter along.
    """

    def __init__(self, size: int, axis: str = "time") -> None:
        super().__init__()
        self.size, self.over_time = size, axis == "time"

    def forward(self, levels: Tensor) -> Tensor:
        """Filtered levels (B, F, T)."""
        x = levels if self.over_time else levels.transpose(1, 2)
        n, half = length_of(x), self.size // 2
        period = (2 * (n - 1)).clamp(min=1)
        mirrored = torch.remainder(torch.arange(-half, n + half), period)
        source = torch.minimum(mirrored, period - mirrored)
        window = source[torch.arange(n)[:, None] + torch.arange(self.size)]  # (T, size)
        values = x[:, :, window].topk(half + 1, dim=3).values[..., -1]
        return values if self.over_time else values.transpose(1, 2)
