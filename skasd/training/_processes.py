"""Training of one network by several processes, each with its share of every batch, by Hugging Face Accelerate."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from skasd.training._averaging import Learner


class Processes:
    """The processes that train one network together, such as those of ``accelerate launch --num_processes 2``.

    Every process has all clips, draws the same order of them, and takes its share of each batch. Gradients are averaged over
    the rows of the whole batch, so that the weights stay the same in all processes. Running statistics of normalisation
    layers are those of the first process.

    Parameters
    ----------
    on_cpu : bool
        Whether the processes compute on the CPU even if there are accelerators.
    seed : int
        Seed of the training.

    Attributes
    ----------
    rank, n : int
        Number of this process, counted from 0, and of processes.
    device : torch.device
        Device of this process.

    Raises
    ------
    ImportError
        If Accelerate is not installed.
    ValueError
        If the processes have different seeds, and so different weights to begin with.
    """

    def __init__(self, *, on_cpu: bool, seed: int) -> None:
        try:
            from accelerate import Accelerator
        except ImportError as error:
            raise ImportError(
                "accelerate=True needs Hugging Face Accelerate; install it with pip install 'skasd[accelerate]'."
            ) from error
        self._accelerator: Any = Accelerator(cpu=on_cpu, mixed_precision="no")
        self.rank, self.n = self._accelerator.process_index, self._accelerator.num_processes
        self.device: torch.device = self._accelerator.device
        seeds = self._accelerator.gather(torch.tensor([seed], device=self.device))
        if len(seeds.unique()) > 1:
            raise ValueError(
                f"The {self.n} processes that train together have different seeds; give random_state a number, so that all "
                "begin with the same weights."
            )

    def generator(self, own: torch.Generator, seed: int) -> torch.Generator:
        """Random generator of this process: the given one in the first process, another in each of the others."""
        if self.rank == 0:
            return own
        (word,) = np.random.SeedSequence([seed, self.rank]).generate_state(1)
        return torch.Generator().manual_seed(int(word))

    @torch.no_grad()
    def share(self, learner: Learner, loss: Tensor, n_rows: int) -> Tensor:
        """Replace gradients and loss by their means over the rows of all processes, and buffers by those of the first.

        Parameters
        ----------
        learner : Learner
            Its trained weights have gradients of the mean loss of this process.
        loss : Tensor of shape ()
            Mean loss of this process.
        n_rows : int
            Number of rows of this process in the batch.

        Returns
        -------
        loss : Tensor of shape ()
            Mean loss of the whole batch.
        """
        gradients = [weight.grad for weight in learner.student.parameters() if weight.grad is not None]
        buffers = learner.shared_buffers()
        values = [loss, *gradients]
        parts = [value.flatten().to(loss.dtype) * n_rows for value in values]
        parts += [buffer.flatten().to(loss.dtype) * (self.rank == 0) for buffer in buffers]
        count = torch.full((1,), n_rows, dtype=loss.dtype, device=loss.device)
        total = self._accelerator.reduce(torch.cat([count, *parts]), reduction="sum")
        received = total[1:].split([part.numel() for part in parts])
        means = [of_all.div_(total[0]) for of_all in received[: len(values)]]
        for value, new in zip([*gradients, *buffers], [*means[1:], *received[len(values) :]], strict=True):
            value.copy_(new.view_as(value))
        return means[0].view_as(loss)
