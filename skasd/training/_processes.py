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
        If Accelerate was set up in another way before.
    """

    def __init__(self, *, on_cpu: bool) -> None:
        try:
            from accelerate import Accelerator
        except ImportError as error:
            raise ImportError(
                "accelerate=True needs Hugging Face Accelerate; install it with pip install 'skasd[accelerate]'."
            ) from error
        try:
            self._accelerator: Any = Accelerator(cpu=on_cpu, mixed_precision="no")
        except ValueError as error:
            raise ValueError(
                "accelerate=True needs an Accelerate that computes on one kind of device and leaves the precision to skasd, "
                f"but this program has set it up in another way ({error}); fit in a program of its own."
            ) from error
        self.rank, self.n = self._accelerator.process_index, self._accelerator.num_processes
        self.device: torch.device = self._accelerator.device

    def check_equal(self, **figures: int) -> None:
        """Raise unless these figures are the same in all processes, which would else wait for each other for ever.

        Parameters
        ----------
        **figures : int
            Figures by their names, such as seeds and numbers of clips.
        """
        mine = torch.tensor([list(figures.values())], dtype=torch.int64, device=self.device)
        differs = (self._accelerator.gather(mine) != mine).any(dim=0).tolist()
        names = [name.replace("_", " ") for name, is_other in zip(figures, differs, strict=True) if is_other]
        if names:
            raise ValueError(
                f"The {self.n} processes that train together have different {' and '.join(names)}; give random_state a "
                "number, and all clips to every process."
            )

    def of_first(self, value: Tensor) -> Tensor:
        """The value of the first process, so that all decide alike."""
        mine = value.reshape(1) if self.rank == 0 else torch.zeros_like(value.reshape(1))
        return value if self.n == 1 else self._accelerator.reduce(mine, reduction="sum").view_as(value)

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
        if self.n == 1:
            return loss
        weights = [weight for weight in learner.student.parameters() if weight.requires_grad]
        gradients = [torch.zeros_like(weight) if weight.grad is None else weight.grad for weight in weights]
        buffers = learner.shared_buffers()
        values = [loss, *gradients]
        parts = [value.flatten().to(loss.dtype) * n_rows for value in values]
        sent = buffers if self.rank == 0 else map(torch.zeros_like, buffers)
        parts += [buffer.flatten().to(loss.dtype) for buffer in sent]
        count = torch.full((1,), n_rows, dtype=loss.dtype, device=loss.device)
        total = self._accelerator.reduce(torch.cat([count, *parts]), reduction="sum")
        received = total[1:].split([part.numel() for part in parts])
        means = [of_all.div_(total[0]) for of_all in received[: len(values)]]
        for value, new in zip([*gradients, *buffers], [*means[1:], *received[len(values) :]], strict=True):
            value.copy_(new.view_as(value))
        return means[0].view_as(loss)
