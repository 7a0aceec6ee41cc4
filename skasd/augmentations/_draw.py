"""Uniform random numbers in float32, whatever torch's default data type is."""

import torch
from torch import Tensor


def drawn_uniform(*shape: int, generator: torch.Generator) -> Tensor:
    """Numbers in [0, 1), on the device of the generator."""
    return torch.rand(shape, generator=generator, device=generator.device, dtype=torch.float32)
