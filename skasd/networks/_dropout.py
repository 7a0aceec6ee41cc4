"""Dropout that draws from a generator of its own: the same on every device, and whatever other threads draw."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from skasd._typing import Float


def _noise(input: Tensor, p: float, generator: torch.Generator) -> Tensor:
    """Factors 0 or 1 / (1 - p), drawn in the order of the memory of the input."""
    kept = torch.empty_like(input, device="cpu", requires_grad=False).bernoulli_(1 - p, generator=generator)
    return kept.div_(1 - p if p < 1 else 1).to(input.device)


class Dropout(nn.Dropout):
    """Dropout that draws on the CPU from the attribute `generator`; while that is None, from torch's global generator.

    :func:`skasd.training.train` sets the generator during a training. If the network is compiled, it also keeps `draw` out
    of the compiled code, which would draw from a generator of the compiler.

    Parameters
    ----------
    p : float, default=0.5
        Probability that a value is set to 0.
    """

    generator: torch.Generator | None = None
    draw: Callable[[Tensor, float, torch.Generator], Tensor] = staticmethod(_noise)

    def __init__(self, p: float = 0.5) -> None:
        super().__init__(p)

    def forward(self, input: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """Input with some values set to 0 and the others scaled up; unchanged in evaluation mode."""
        if not self.training or self.generator is None:
            return super().forward(input)
        return input * self.draw(input, self.p, self.generator)
